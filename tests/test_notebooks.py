"""The notebooks run from start to end; those to read are committed with their outputs."""

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
READ = [ROOT / "notebooks" / f"{name}.ipynb" for name in ("table2", "nonlocal_block", "attention")]


def code(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def kinds(path: Path) -> list[list[str]]:
    """What the outputs of each cell are: a picture, an error, ..."""
    return [
        [" ".join([o.output_type, o.get("name", ""), *o.get("data", {})]) for o in cell.outputs]
        for cell in code(path)
    ]


def execute(path: Path, to: Path, *, within: Path, python: str | Path = sys.executable, **names: str) -> str:
    """Run a notebook within a folder, and write it to another; returns the errors."""
    line = [python, ROOT / "notebooks" / "execute.py", path, "--within", within, "--to", to]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=os.environ | names)
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize("path", READ, ids=lambda path: path.stem)
def test_committed_outputs_are_complete_and_free_of_errors(path: Path) -> None:
    cells, outputs = code(path), [kind for of_cell in kinds(path) for kind in of_cell]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [kind for kind in outputs if kind.startswith(("error", "stream stderr"))]
    assert sum("image" in kind for kind in outputs) >= 3
    assert path.stat().st_size < 400_000


@pytest.mark.rare
@pytest.mark.parametrize("path", READ, ids=lambda path: path.stem)
def test_a_notebook_gives_outputs_of_the_committed_kinds(path: Path, tmp_path: Path) -> None:
    assert not execute(path, tmp_path, within=path.parent)
    assert kinds(tmp_path / path.name) == kinds(path), "run `make notebooks`"


@pytest.mark.rare
def test_the_hosted_notebook_trains_in_an_empty_folder(tmp_path: Path) -> None:
    """In a Python that has the packages, but not this project; it is committed as nobody has run it."""
    assert not any(cell.outputs or cell.execution_count for cell in code(HOSTED))
    assert "REPOSITORY is not set" in execute(HOSTED, tmp_path, within=tmp_path)
    origin, empty, service = (tmp_path / name for name in ("origin", "empty", "service"))
    empty.mkdir()
    git = ("git", "-c", "user.name=a test", "-c", "user.email=a@test")
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "as it stands"]):
        environment = os.environ | {"GIT_DIR": str(origin), "GIT_WORK_TREE": str(ROOT)}
        subprocess.run([*git, *words], cwd=ROOT, check=True, env=environment)
    venv.create(service, symlinks=True, with_pip=True)
    (packages,) = service.glob("lib/python*/site-packages")
    (packages / "service.pth").write_text(f"{Path(torch.__file__).parents[1]}\n")
    smoke = {"NLREPRO_PROFILE": "smoke", "NLREPRO_REPOSITORY": str(origin), "PYTHONPATH": ""}
    assert not execute(HOSTED, tmp_path, within=empty, python=service / "bin" / "python", **smoke)
    assert sum("image" in kind for of_cell in kinds(tmp_path / HOSTED.name) for kind in of_cell) == 3
    assert len(list(empty.glob("nonlocal-table2/results/local/records/smoke/*/seed0.json"))) == 5
    assert not (packages / "torch").exists()  # the service's own PyTorch stays
