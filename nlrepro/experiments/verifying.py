"""Whether what is published follows from the committed records."""

import io
import shutil
from contextlib import chdir, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

from nlrepro import record as records
from nlrepro.beyond.experiment import Experiment
from nlrepro.beyond.reporting import report as report_other
from nlrepro.config import load_profile, profile_names
from nlrepro.experiments import findings
from nlrepro.experiments.catalogue import Catalogue
from nlrepro.experiments.publishing import READMES, bodies, write_measured
from nlrepro.experiments.reporting import report
from nlrepro.files import BadInput, write_atomic
from nlrepro.report.queries import QUERIES
from nlrepro.report.readme import pasted
from nlrepro.trial import Folders

Files = dict[Path, bytes]


def verify(catalogue: Catalogue) -> None:
    """Make all tables, figures, the page and the READMEs' tables again from the records alone, and compare them byte by byte.

    What was measured of maps is a record too: its table and its picture are made again.

    Raises:
        BadInput: nothing is published here, or something is not what the records give; each such file is named.
    """
    missing = [path for path in (findings.PUBLISHED / "records", *READMES) if not path.exists()]
    if missing:
        raise BadInput(f"no {missing[0]} here; run `verify` in the project's own folder, as git clones it")
    committed, texts = published(), {path: path.read_text() for path in READMES}
    with TemporaryDirectory() as place:
        shutil.copytree(findings.PUBLISHED / "records", Path(place) / findings.PUBLISHED / "records")
        with chdir(place):
            for experiment, name in others_in(catalogue, committed):
                with redirect_stdout(io.StringIO()):
                    report_other(experiment, name, Folders(results=findings.PUBLISHED))
                print(f"{name}: table {experiment.table}", flush=True)
            for name in profiles_in(committed):
                tables = tables_in(catalogue, name, committed)
                with redirect_stdout(io.StringIO()):
                    report(catalogue, tables, load_profile(name), Folders(results=findings.PUBLISHED))
                print(f"{name}: {len(tables)} tables from {len(records.paths(findings.PUBLISHED, name))} records", flush=True)
            for path in (path for path in committed if path.name == QUERIES):
                write_atomic(findings.PUBLISHED / path, committed[path])
            write_measured()
            made, parts = published(), bodies(catalogue)
    files = [str(findings.PUBLISHED / path) for path in sorted({*committed, *made}) if committed.get(path) != made.get(path)]
    marks = [f"{mark} in {path}" for path, text in texts.items() for mark in parts if pasted(text, mark, parts[mark]) != text]
    if files or marks:
        raise BadInput(f"not what the committed records give: {', '.join(files + marks)}; `publish` writes them anew")
    print(f"{len(committed)} published files and {len(parts)} parts of READMEs follow from the records")


def published() -> Files:
    """All published files that are made of records, by their paths below `results/published`."""
    folders = [findings.PUBLISHED / kind for kind in ("tables", "figures", "attention")]
    paths = [findings.PUBLISHED / "report.html", *(path for folder in folders for path in folder.glob("*/*"))]
    return {path.relative_to(findings.PUBLISHED): path.read_bytes() for path in paths if path.is_file()}


def profiles_in(files: Files) -> list[str]:
    """Those of Table 2."""
    return sorted({path.parent.name for path in files if path.parts[0] == "tables"} & set(profile_names()))


def others_in(catalogue: Catalogue, files: Files) -> list[tuple[Experiment, str]]:
    """The tables of other tasks, each with the name of its profile."""
    places = [(each, name) for each in catalogue.beyond.values() for name in (*profile_names(), *each.variants)]
    return [(each, name) for each, name in places if Path("tables", each.folder(name) or "", f"table{each.table}.csv") in files]


def tables_in(catalogue: Catalogue, profile: str, files: Files) -> list[str]:
    return [name for name in catalogue if Path("tables", profile, f"table{name}.csv") in files]
