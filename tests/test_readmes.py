"""The READMEs: short enough, no dead link, no command that would be refused."""

import doctest
import re
import shlex
import subprocess
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import pytest
from conftest import ROOT

from nlrepro.cli import parser
from nlrepro.record import Record
from nlrepro.report import kinds, tables, verdicts

READMES = sorted(
    path for path in ROOT.rglob("README.md") if not {".venv", "local", ".pytest_cache", "build"} & {*path.relative_to(ROOT).parts}
)
every_readme = pytest.mark.parametrize("readme", READMES, ids=lambda path: str(path.relative_to(ROOT)))


def commands(readme: Path, first: str) -> list[str]:
    """The lines of its code that begin so, without comments; a variable stands for any word."""
    code = "\n".join(re.findall(r"^```\w*\n(.*?)^```", readme.read_text(), re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
    return [line.replace("$KEY", "r50-c2d") for line in code.splitlines() if line.startswith(first)]


def anchors(markdown: str) -> set[str]:
    """What a repository's page calls its headings."""
    return {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in re.findall(r"^#+ .*$", markdown, re.M)
    }


def test_the_readme_is_read_in_one_go() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@every_readme
def test_no_link_is_dead(readme: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", readme.read_text()):
        if not target.startswith("http"):
            path, _, anchor = target.partition("#")
            there = (readme.parent / path).resolve() if path else readme
            assert there.exists(), target
            if anchor:
                assert anchor in anchors(there.read_text()), target


@every_readme
def test_its_commands_are_understood(readme: Path) -> None:
    for line in commands(readme, "python -m ablations "):
        parser().parse_args(shlex.split(line, comments=True)[3:])
    for line in commands(readme, "make "):
        done = subprocess.run(
            ["make", "-n", *shlex.split(line, comments=True)[1:]], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_the_examples_of_the_readme_run() -> None:
    found = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert found.attempted == 3
    assert found.failed == 0


def test_commands_are_found() -> None:
    assert len(commands(ROOT / "README.md", "make ")) == 5
    assert len(commands(ROOT / "README.md", "python -m ablations ")) == 3


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("seed<k>.json", [field.name for field in fields(Record)]),
        ("table<2a>.csv", [*tables.COLUMNS, *tables.COSTS]),
        ("table<2a>-kinds.csv", kinds.COLUMNS),
        ("claims.csv", verdicts.COLUMNS),
    ],
)
def test_every_column_and_field_of_the_results_is_explained(file: str, names: Iterable[str]) -> None:
    below = (ROOT / "results/README.md").read_text().partition(f"{file}`")[2]
    cells = re.findall(r"^\| (`.+?) \|", below.partition("\n\n|")[2].partition("\n\n")[0], re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(cells)) == list(names)
