"""Run notebooks from start to end and write them with their outputs: `make notebooks`."""

import argparse
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
TRAINS = HERE / "hosted.ipynb"  # it has no outputs
READ = sorted({*HERE.glob("*.ipynb")} - {TRAINS})
SECONDS = 300  # that a cell may take


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs, run in that folder.

    Raises:
        CellExecutionError: there was an error in a cell.
    """
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": folder}}
    NotebookClient(notebook, timeout=SECONDS, record_timing=False, resources=resources).execute()
    notebook.metadata = {key: notebook.metadata[key] for key in ("kernelspec", "language_info")}
    notebook.metadata.language_info = {"name": "python"}  # a version would be a difference on every machine
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, default=READ, help="default: all but hosted.ipynb")
    parser.add_argument("--to", type=Path, default=HERE, help="folder to write to (default: here)")
    parser.add_argument("--within", type=Path, default=HERE, help="folder to run in (default: here)")
    arguments = parser.parse_args()
    for path in arguments.notebooks:
        nbformat.write(executed(path, arguments.within), arguments.to / path.name)


if __name__ == "__main__":
    main()
