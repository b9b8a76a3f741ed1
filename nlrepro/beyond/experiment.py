"""One of Tables 4 to 6 as data: its rows, its columns, its sentences, and the task whose runs fill it."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from math import nan
from typing import Any, Protocol

from nlrepro.beyond.trials import Measured
from nlrepro.report.claims import Beats, Cell, Claim
from nlrepro.sweep.jobs import Work
from nlrepro.trial import Folders


class Task(Protocol):
    """What is trained for a table. `profile` is "mini", "paper", "smoke", or the path of a TOML file."""

    def load(self, profile: str) -> Any:
        """The task's own profile, which has a `name` and the declared `seeds`.

        Raises:
            BadInput: there is none of that name.
        """

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
    """A table. The first row of each depth, or of each `group` of labels, is the baseline of those below it."""

    table: str
    title: str
    task: Task
    measures: Mapping[str, str]  # by the name of the paper's column: the title to show
    lines: tuple[Line, ...]
    claims: tuple[Claim, ...]
    size: int = 2  # rows a group

    @cached_property
    def baselines(self) -> dict[str, str]:
        """The label and depth of each row's baseline, by key."""
        groups = [self.lines[i : i + self.size] for i in range(0, len(self.lines), self.size)]
        return {line.spec.key: group[0].spec.key for group in groups for line in group}

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

    def work(self, trials: Sequence[Measured]) -> list[Work]:
        """The jobs of these trials and of what they start from, each once."""
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
