"""Whether what is published follows from the committed records, and whether a run gives its record again."""

import io
import shutil
from contextlib import chdir, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

from nlrepro import profiles
from nlrepro import record as records
from nlrepro.beyond.experiment import Experiment
from nlrepro.beyond.reporting import report as report_other
from nlrepro.errors import BadInput
from nlrepro.experiments import findings
from nlrepro.experiments.catalogue import Catalogue
from nlrepro.experiments.publishing import READMES, bodies, write_measured
from nlrepro.experiments.reporting import report
from nlrepro.files import write_atomic
from nlrepro.profile import Profile
from nlrepro.record import Record
from nlrepro.report.queries import QUERIES
from nlrepro.report.readme import pasted
from nlrepro.report.statistics import one_more
from nlrepro.sweep.board import watched
from nlrepro.sweep.jobs import with_parents
from nlrepro.train.runner import execute
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
                    report(catalogue, tables, profiles.load(name), Folders(results=findings.PUBLISHED))
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
    return sorted({path.parent.name for path in files if path.parts[0] == "tables"} & set(profiles.names()))


def others_in(catalogue: Catalogue, files: Files) -> list[tuple[Experiment, str]]:
    """The tables of other tasks, each with the name of its profile."""
    places = [(experiment, name) for experiment in catalogue.beyond.values() for name in profiles.names()]
    return [(each, name) for each, name in places if Path("tables", each.folder(name) or "", f"table{each.table}.csv") in files]


def tables_in(catalogue: Catalogue, profile: str, files: Files) -> list[str]:
    return [name for name in catalogue if Path("tables", profile, f"table{name}.csv") in files]


def verify_run(catalogue: Catalogue, key: str, seed: int, profile: Profile, data: Path) -> None:
    """Train a run again, and what it starts from, in a temporary folder, and compare it with its published record.

    Raises:
        BadInput: nothing of that name is published, or the accuracy is none that another seed would give.
    """
    known = [record for record in records.read_all(findings.PUBLISHED, profile.name) if record.key == key]
    before = next((record for record in known if record.seed == seed), None)
    if before is None:
        raise BadInput(f"no published record of {key} seed {seed} of the profile {profile.name}")
    with TemporaryDirectory() as place:
        job = catalogue.job(key, seed, profile, Folders(data=data, results=Path(place)))
        for each in with_parents([job], catalogue.tables_of):
            with watched(each.run.name) as report:
                now = execute(each, report=report)
    print(compared(before, now, [record.metrics.top1 for record in known]))


def compared(before: Record, now: Record, seeds: list[float]) -> str:
    """What is said of a run that was made again; `seeds` are the published accuracies of its key.

    Raises:
        BadInput: the digits differ on the same kind of CPU, or the accuracy lies outside of the 95 % interval of one more seed.
    """
    if now.metrics == before.metrics:
        return f"the same digits: top-1 {now.metrics.top1:.2f} %, every test video ranked as before"
    here, there = now.made.device, before.made.device
    words = f"top-1 {now.metrics.top1:.2f} % on {here}, published {before.metrics.top1:.2f} % on {there}"
    if here.endswith("cores") and (here, now.made.versions) == (there, before.made.versions):  # GPUs promise no digits
        raise BadInput(f"not reproduced: {words}; the same kind of processor and the same versions give the same digits")
    ends = one_more(seeds)
    if ends is None:
        return f"{words}; one published seed tells no interval"
    interval = f"[{ends[0]:.1f}, {ends[1]:.1f}], where 95 % of further seeds would lie"
    if not ends[0] <= now.metrics.top1 <= ends[1]:
        raise BadInput(f"not reproduced: {words}; outside of {interval}")
    return f"{words}; other digits, as on another kind of processor or with other versions, inside of {interval}"
