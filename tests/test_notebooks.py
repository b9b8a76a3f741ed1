"""The notebooks run from start to end; those to read stand in the repository with their outputs."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest
import torch
from conftest import ROOT

HOSTED = ROOT / "notebooks" / "hosted.ipynb"
NOTEBOOKS = sorted({*(ROOT / "notebooks").glob("*.ipynb")} - {HOSTED})
CLONE = "nonlocal-table2"


def code(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def kinds(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell's outputs are: a picture, an error, ..."""
    return [":".join([output.output_type, output.get("name", ""), *sorted(output.get("data", {}))]) for output in cell.outputs]


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell says, without pictures."""
    said = [output.data for output in cell.outputs if "data" in output]
    plain = [data["text/plain"] for data in said if set(data) <= {"text/plain", "text/html"}]
    return plain + [output.text for output in cell.outputs if output.output_type == "stream"]


def executed(path: Path, within: Path, to: Path, *, python: str | Path = sys.executable, **environment: str) -> str:
    """Run a notebook within a folder, as if nobody had told Python of this project, write it to another; what went wrong."""
    line = [python, ROOT / "notebooks/execute.py", path, "--within", within, "--to", to]
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith("NLREPRO_")}
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, env=known | environment)
    return done.stderr if done.returncode else ""


def test_there_are_three_to_read() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["attention", "nonlocal_block", "table2"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_outputs_are_there_and_free_of_errors(path: Path) -> None:
    cells = code(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    found = [kind for cell in cells for kind in kinds(cell)]
    assert not [kind for kind in found if kind.startswith(("error", "stream:stderr"))]
    assert sum("image" in kind for kind in found) >= 3
    assert path.stat().st_size < 400_000
    assert not any("def " in cell.source for cell in cells)


def test_the_one_that_trains_stands_without_outputs_and_defines_nothing() -> None:
    assert not any(cell.outputs or cell.execution_count or "def " in cell.source for cell in code(HOSTED))


@pytest.mark.rare
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_gives_what_is_committed(path: Path, tmp_path: Path) -> None:
    """Its outputs are of the same kinds; those of the tables, which records decide, are the same words."""
    line = [sys.executable, "notebooks/execute.py", str(path), "--to", str(tmp_path)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ours, again = code(path), code(tmp_path / path.name)
    assert [kinds(cell) for cell in again] == [kinds(cell) for cell in ours], "run `make notebooks`"
    if path.stem == "table2":
        assert [texts(cell) for cell in again] == [texts(cell) for cell in ours], "run `make notebooks`"
        assert sum(map(len, map(texts, ours))) > 15


def test_the_hosted_notebook_says_that_it_must_be_told_where_the_project_is(tmp_path: Path) -> None:
    assert "REPOSITORY is not set: write the address of the project there" in executed(HOSTED, tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []


def repository(folder: Path) -> Path:
    """The project as it stands here, committed or not, in a repository of its own."""
    place = os.environ | {"GIT_DIR": str(folder), "GIT_WORK_TREE": str(ROOT)}
    who = ("-c", "user.name=a test", "-c", "user.email=a@test")
    for words in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "--message", "as it stands"]):
        subprocess.run(["git", *words], cwd=ROOT, check=True, env=place)
    return folder


def hosted_python(folder: Path) -> Path:
    """The Python of a hosted service: the packages are there, this project is not."""
    venv.create(folder, symlinks=True, with_pip=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "service.pth").write_text(f"{Path(torch.__file__).parents[1]}\n")
    return folder / "bin" / "python"


@pytest.mark.rare
def test_the_hosted_notebook_trains_in_an_empty_folder_and_not_again_the_second_time(tmp_path: Path) -> None:
    origin, python = repository(tmp_path / "origin"), hosted_python(tmp_path / "service")
    empty, out = tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    out.mkdir()
    smoke = {"NLREPRO_PROFILE": "smoke"}
    assert not executed(HOSTED, empty, out, python=python, NLREPRO_REPOSITORY=str(origin), **smoke)
    shown = [kind for cell in code(out / HOSTED.name) for kind in kinds(cell)]
    assert sum("image" in kind for kind in shown) == 3
    assert not list(tmp_path.glob("service/lib/python*/site-packages/torch")), "the service's own PyTorch stays"

    records = empty / CLONE / "results/local/records/smoke"
    made = {path: path.stat().st_mtime_ns for path in records.glob("*/seed0.json")}
    assert len(made) == 5
    trained = up_to("!{sys.executable} -m ablations sweep", tmp_path / "again.ipynb")
    assert not executed(trained, empty, out, python=python, **smoke)
    assert "5 runs: 5 recorded, 0 to do" in "".join(map(str, code(out / trained.name)))
    assert {path: path.stat().st_mtime_ns for path in records.glob("*/seed0.json")} == made

    inside = empty / CLONE / "notebooks"
    assert not executed(up_to("import torch", tmp_path / "inside.ipynb"), inside, out, python=python, **smoke)
    assert not (inside / CLONE).exists()


def up_to(last: str, path: Path) -> Path:
    """The hosted notebook up to the cell that begins so."""
    notebook = nbformat.read(HOSTED, as_version=4)
    (number,) = [i for i, cell in enumerate(notebook.cells) if cell.source.startswith(last)]
    notebook.cells = notebook.cells[: number + 1]
    nbformat.write(notebook, path)
    return path
