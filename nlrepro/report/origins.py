"""Where each number comes from: net by net, what makes its runs again, and the record of each run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nlrepro import evaluation as evaluations
from nlrepro import record as records
from nlrepro.evaluation import Evaluation
from nlrepro.record import Provenance, Record
from nlrepro.report.formats import number

START = "start"  # among the versions of a record: the pretrained weights that the run began with


@dataclass(frozen=True, kw_only=True)
class Source:
    """Results that are told apart, under the name of their columns: "here", or "published" and "yours"."""

    name: str
    folder: Path  # of the results, seen from the folder of the page
    records: tuple[Record, ...]
    evaluations: tuple[Evaluation, ...] = ()

    @property
    def all(self) -> tuple[Record | Evaluation, ...]:
        return (*self.records, *self.evaluations)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A run, or a test of given weights."""

    source: str
    name: str  # "seed 0", or the file of the weights
    file: Path  # that holds the record, seen from the folder of the page
    top1: str
    top5: str
    made: Provenance

    @property
    def when(self) -> str:
        """ "2026-11-25 14:03", in UTC."""
        return self.made.date[:16].replace("T", " ")

    @property
    def setting(self) -> str:
        return setting(self.made)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A net with all that is recorded of it."""

    key: str
    again: str  # the command that makes its runs again; empty where weights were only tested
    start: str  # what its runs begin with; empty if it is not recorded
    lines: tuple[Line, ...]


def setting(made: Provenance) -> str:
    """Versions and device, in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(made.versions.items()) if name != START)
    return f"{versions}; {made.device}"


def settings(sources: Sequence[Source]) -> dict[str, int]:
    """The settings that records were made in, numbered from 1, the first used first."""
    made = sorted((found.made for source in sources for found in source.all), key=lambda made: made.date)
    return {text: i for i, text in enumerate(dict.fromkeys(map(setting, made)), 1)}


def origins(sources: Sequence[Source]) -> list[Origin]:
    """One a net, by key. All records are of one profile."""
    keys = {found.key for source in sources for found in source.all}
    return [_origin(key, sources) for key in sorted(keys)]


def _origin(key: str, sources: Sequence[Source]) -> Origin:
    mine = [(source, found) for source in sources for found in source.all if found.key == key]
    runs = [found for _, found in mine if isinstance(found, Record)]
    return Origin(
        key=key,
        again=again(runs) if runs else "",
        start=" or ".join(sorted(set(filter(None, map(start, runs))))),
        lines=tuple(_line(source, found) for source, found in mine),
    )


def again(runs: Sequence[Record]) -> str:
    """The command that makes the runs of a net again."""
    run, seeds = runs[0], ",".join(map(str, sorted({run.seed for run in runs})))
    return f"python -m ablations sweep {min(run.tables, default='all')} --only {run.key} --seeds {seeds} --profile {run.profile}"


def start(run: Record) -> str:
    """What a run begins with; empty if it is not recorded."""
    return f"{run.spec.parent.key} of the same seed" if run.spec.parent else run.made.versions.get(START, "")


def _line(source: Source, found: Record | Evaluation) -> Line:
    if isinstance(found, Record):
        name, file = f"seed {found.seed}", records.record_path(source.folder, found.profile, found.key, found.seed)
    else:
        name, file = found.weights.file, evaluations.evaluation_path(source.folder, found)
    top1, top5 = number(found.metrics.top1), number(found.metrics.top5)
    return Line(source=source.name, name=name, file=file, top1=top1, top5=top5, made=found.made)
