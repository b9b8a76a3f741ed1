"""One of Tables 4 to 6 as data: its rows, its columns, its sentences, and the task whose runs fill it."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib import resources
from math import nan
from typing import Any, Protocol

from nlrepro.beyond.trials import Measured
from nlrepro.files import BadInput
from nlrepro.report.claims import Beats, Cell, Slight
from nlrepro.sweep.jobs import Work
from nlrepro.trial import Folders


class Task(Protocol):
    """What is trained for a table. `profile` is "mini", "paper", "smoke", or the path of a TOML file."""

    def load(self, profile: str) -> Any:
        """The task's own profile, which has a `name` and the declared `seeds`.

        Raises:
            BadInput: there is none of that name.
        """

    def dry(self, profile: Any, steps: int) -> Any:
        """The profile for a trial of machine and data, with its own name."""

    def can(self, spec: Any, profile: Any) -> bool:
        """Whether the profile can build the spec's net."""

    def trial(self, spec: Any, profile: Any, seed: int, folders: Folders) -> Measured: ...

    def jobs(self, trial: Any, tables: tuple[str, ...]) -> list[Work]:
        """The trial, after those that it starts from."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row: the paper's label, the depth of its backbone, and what is run."""

    label: str
    depth: int
    spec: Any
    paper: Mapping[str, float]  # percent by measure, {} where the paper has none


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A table. Of each `size` rows the first is the baseline of the others; `main` are the measures that sentences are about.

    `macs` are multiply-adds at the paper's scale: counted, so that every profile can show sentences about them. `variants` are
    profiles besides `mini` whose tables are published.
    """

    table: str
    title: str
    task: Task
    measures: Mapping[str, str]  # by the name of the paper's column: the title to show
    lines: tuple[Line, ...]
    claims: tuple[Beats | Slight, ...]
    main: tuple[str, ...]
    size: int = 2
    macs: Mapping[Cell, int] = field(default_factory=dict)
    variants: tuple[str, ...] = ()

    def folder(self, profile: str) -> str | None:
        """The name of the task's profile, which its records and tables lie under; None where the task has no such profile."""
        with suppress(BadInput):
            return str(self.task.load(profile).name)
        return None

    def within(self, profile: Any) -> "Experiment":
        """Without rows that the profile cannot build, and sentences about what they measure."""
        lines = tuple(line for line in self.lines if self.task.can(line.spec, profile))
        depths = {line.depth for line in lines}
        claims = tuple(
            claim
            for claim in self.claims
            if isinstance(claim, Slight) or {cell.depth for pair in claim.pairs for cell in pair} <= depths
        )
        return replace(self, lines=lines, claims=claims)

    def baseline(self, line: Line) -> Line:
        place = self.lines.index(line)
        return self.lines[place - place % self.size]

    def label(self, line: Line) -> str:
        """The paper's label, with the backbone in front where the table has several."""
        return line.label if len({each.depth for each in self.lines}) == 1 else f"R{line.depth} {line.label}"

    def cells(self) -> dict[Cell, tuple[str, str]]:
        """The key and the measure behind each number that a sentence can name."""
        return {
            cell(self.table, line.depth, line.label, title): (line.spec.key, measure)
            for line in self.lines
            for measure, title in self.measures.items()
        }

    def on_paper(self) -> dict[Cell, float]:
        return {
            cell(self.table, line.depth, line.label, title): line.paper.get(measure, nan)
            for line in self.lines
            for measure, title in self.measures.items()
        }

    def work(self, profile: str, seeds: Iterable[int], folders: Folders, only: str = "*", steps: int | None = None) -> list[Work]:
        """The jobs of the rows that the profile can build, seed by seed, and of what they start from, each once.

        With `steps` they are dry runs.

        Raises:
            BadInput: there is no such profile, or no key matches `only`.
        """
        loaded = self.task.load(profile)
        if steps:
            loaded = self.task.dry(loaded, steps)
        specs = {line.spec.key: line.spec for line in self.within(loaded).lines}
        chosen = [spec for key, spec in specs.items() if fnmatchcase(key, only)]
        if not chosen:
            raise BadInput(f"no run key matches {only!r}; the keys of table {self.table} are {', '.join(specs)}")
        trials = [self.task.trial(spec, loaded, seed, folders) for seed in seeds for spec in chosen]
        jobs = [job for trial in trials for job in self.task.jobs(trial, (self.table,))]
        return list({job.run: job for job in jobs}.values())


def cell(table: str, depth: int, label: str, measure: str) -> Cell:
    return Cell(table, depth, f"{label}, {measure}")


def better(table: str, text: str, pairs: Sequence[tuple[int, str, str]], measures: Sequence[str]) -> Beats:
    """The sentence that in each pair (depth, better, worse) the first row has more of each measure, by its shown title."""
    both = [
        (cell(table, depth, first, measure), cell(table, depth, second, measure))
        for depth, first, second in pairs
        for measure in measures
    ]
    return Beats(table=table, text=text, pairs=tuple(both))


def printed(table: str) -> list[dict[str, str]]:
    """The paper's table, as its CSV has it."""
    with resources.files("nlrepro.paper").joinpath(f"table{table}.csv").open() as file:
        return list(csv.DictReader(file))
