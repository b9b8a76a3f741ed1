"""The notebooks run from start to end, and stand in the repository with their outputs."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


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


def test_there_are_three() -> None:
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
