"""How the rooms stand on each other (nlrepro/README.md), and how large files and functions are."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter

from conftest import ROOT

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in ("nlrepro", "ablations")
    for path in (ROOT / folder).rglob("*.py")
}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}


def imported(node: ast.AST) -> Iterator[str]:
    """The project's files that a file imports, inside functions too; types alone are no import."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names if alias.name in FILES)
        if isinstance(child, ast.ImportFrom):
            names = [f"{child.module}.{alias.name}" for alias in child.names]
            yield from {name if name in FILES else str(child.module) for name in names} & FILES.keys()
        yield from imported(child)


def room(name: str) -> str:
    """ "nlrepro.nets.resnet" -> "nets"; the package itself hands names on and is no room."""
    package, _, rest = name.partition(".")
    return package if package == "ablations" else rest.partition(".")[0]


IMPORTS = {name: set(imported(tree)) - {name, "nlrepro"} for name, tree in TREES.items() if name != "nlrepro"}


def test_imports_go_to_lower_floors_of_the_readme() -> None:
    readme = (ROOT / "nlrepro/README.md").read_text()
    (text,) = re.findall(r"^## Rooms\n.*?^```text\n(.*?)^```", readme, re.M | re.S)
    height = {name: -number for number, line in enumerate(text.splitlines()) for name in line.split()}
    assert {room(name) for name in IMPORTS} == height.keys()
    edges = [(one, other) for one, others in IMPORTS.items() for other in others if room(one) != room(other)]
    assert [edge for edge in edges if height[room(edge[0])] <= height[room(edge[1])]] == []


def test_no_files_import_each_other_in_a_circle() -> None:
    TopologicalSorter(IMPORTS).prepare()  # a CycleError names the circle


def test_files_have_their_own_names_and_are_short_and_so_are_functions() -> None:
    names = Counter(path.name for path in FILES.values() if not path.name.startswith("__"))
    assert [name for name, number in names.items() if number > 1] == []
    assert [name for name, path in FILES.items() if len(path.read_text().splitlines()) > 400] == []
    nodes = [node for tree in TREES.values() for node in ast.walk(tree)]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    assert [each.name for each in functions if (each.end_lineno or 0) - each.lineno >= 50] == []
