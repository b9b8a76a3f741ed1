"""A table of the paper as data: rows, measures, sentences; the catalogue of all tables and runs. No torch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import product
from math import nan
from typing import TYPE_CHECKING, Any, NamedTuple

from nlrepro import paper
from nlrepro.config import Profile
from nlrepro.files import BadInput
from nlrepro.record import Record
from nlrepro.run import Folders, Run, with_parents
from nlrepro.spec import Clip, Depth, NetSpec, RunSpec
from nlrepro.task import VIDEO, Task

if TYPE_CHECKING:
    from nlrepro.learners.learner import Learner

TOP = {"top1": "top-1", "top5": "top-5"}
TABLE2 = "2"  # stands for all of its panels


class Cell(NamedTuple):
    """A number of a table, which sentences name; without a measure it is the table's first."""

    table: str
    depth: int
    label: str
    measure: str = ""


Pairs = tuple[tuple[Cell, Cell], ...]  # (better, worse)


@dataclass(frozen=True)
class Claim(ABC):
    """A sentence of the paper on pairs of numbers; nlrepro/stats/verdicts.py has the kinds."""

    text: str
    pairs: Pairs

    @property
    def table(self) -> str:
        """The table that it stands in."""
        return self.pairs[0][0].table

    @property
    def cells(self) -> frozenset[Cell]:
        """The numbers that must be measured for it."""
        return frozenset(cell for pair in self.pairs for cell in pair)

    @abstractmethod
    def verdict(self, evidence: Any, declared: int) -> Any:
        """By the records of an `Evidence`; preliminary unless they have the declared number of seeds."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row: the paper's label, the depth of its backbone, and what is run; None for a system of others."""

    label: str
    spec: Any
    depth: int

    @property
    def key(self) -> str:
        return self.spec.key if self.spec else ""


def rows(
    nets: Mapping[str, NetSpec], depths: Iterable[Depth] = (50,), clip: Clip = "short"
) -> tuple[Row, ...]:
    """Rows of the video task: these nets, by label, in each depth."""
    return tuple(
        Row(label=label, spec=RunSpec(net=replace(net, depth=depth), clip=clip), depth=depth)
        for depth, (label, net) in product(depths, nets.items())
    )


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table.

    `measures` are its numbers, percent, by the names of the paper's columns, with the titles to show.
    `compared` are those that are shown as differences from the baseline too, `plotted` those in its figure;
    the first measure if not given. The first row of each depth is the baseline of the others, or of each
    `block` rows the first.
    """

    name: str
    title: str
    task: Task = VIDEO
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...] = ()
    measures: Mapping[str, str] = field(default_factory=lambda: TOP)
    compared: tuple[str, ...] = ("top1",)
    plotted: tuple[str, ...] = ("top1",)
    block: int | None = None
    shows_cost: bool = False  # whether parameters and multiply-adds are columns
    trains: bool = True  # else its rows are filled by runs of other tables
    variants: tuple[str, ...] = ()  # profiles besides `mini` whose tables are published

    @property
    def short_title(self) -> str:
        """The title's first words, as the paper prints them in bold; empty where none are."""
        return self.title.partition(":")[0] if ":" in self.title else ""

    @property
    def heading(self) -> str:
        return f"Table {self.name}. {self.title}"

    @property
    def depths(self) -> list[int]:
        """In the order of the rows."""
        return list(dict.fromkeys(row.depth for row in self.rows))

    @property
    def groups(self) -> list[list[Row]]:
        """The rows that share a baseline, their first one."""
        if self.block:
            return [list(self.rows[i : i + self.block]) for i in range(0, len(self.rows), self.block)]
        return [[row for row in self.rows if row.depth == depth] for depth in self.depths]

    def baseline(self, row: Row) -> Row:
        return next(group[0] for group in self.groups if row in group)

    def label(self, row: Row) -> str:
        """The paper's label, with the backbone in front where the table has several."""
        return row.label if len(self.depths) == 1 else f"R{row.depth} {row.label}"

    def paper(self, row: Row, measure: str) -> float:
        """The paper's number, NaN where it prints none."""
        return paper.numbers(self.name).get((row.depth, row.label), {}).get(measure, nan)

    def within(self, profile: Profile) -> "Table":
        """Without rows that the profile cannot build and tested sentences about them; counted ones stay."""
        rows = tuple(row for row in self.rows if row.spec is None or self.task.can(row.spec, profile))
        places = {(row.depth, row.label) for row in rows}

        def has(claim: Claim) -> bool:
            return all((cell.depth, cell.label) in places for cell in claim.cells if cell.table == self.name)

        return replace(self, rows=rows, claims=tuple(claim for claim in self.claims if has(claim)))

    def comparable(self, records: Iterable[Record]) -> list[Record]:
        """The records of the table's rows, of the seeds that all rows with one baseline have.

        So no seed favours a row. A row without any record is left out of this; where the others share no
        seed, each keeps its own.
        """
        records = list(records)
        chosen: list[Record] = []
        for group in self.groups:
            keys = {row.key for row in group}
            runs = [record for record in records if record.key in keys]
            seeds = [{run.seed for run in runs if run.key == key} for key in {run.key for run in runs}]
            common = set.intersection(*seeds) if seeds else set()
            chosen += [run for run in runs if not common or run.seed in common]
        return chosen


class Catalogue(dict[str, Table]):
    """The tables by name, in the paper's order; `modules` imports their Lightning modules (seconds)."""

    def __init__(self, *tables: Table, modules: "Callable[[], Mapping[str, type[Learner]]]") -> None:
        super().__init__({table.name: table for table in tables})
        self.modules = modules

    def chosen(self, names: Iterable[str]) -> list[Table]:
        """The tables by name: "2" stands for all of Table 2, "all", or no name, for all tables.

        Raises:
            BadInput: an unknown table.
        """
        names = list(names)
        for name in names:
            if name not in (*self, TABLE2, "all"):
                known = f"{', '.join(self)}, 2 for 2a to 2g, or all"
                raise BadInput(f"unknown table {name!r}; use one of {known}")
        return [table for table in self.values() if not names or "all" in names or is_named(table, names)]

    def tables_of(self, key: str) -> tuple[str, ...]:
        """The tables that train the run of this key."""
        training = [table for table in self.values() if table.trains]
        return tuple(table.name for table in training if key in {row.key for row in table.rows})

    def runs(
        self,
        names: Sequence[str],
        seeds: Iterable[int],
        profile: str,
        folders: Folders,
        only: str = "*",
        steps: int | None = None,
    ) -> list[Run]:
        """Every run of the tables' rows, each once, seed by seed so that a first table is complete early.

        `steps` makes dry runs. A table without such a profile is left out if it was not asked for by name.

        Raises:
            BadInput: an unknown table, there is no such profile, or no key matches `only`, a pattern such as
                "r50-*".
        """
        rows: dict[str, Run] = {}
        for table in self.chosen(names):
            own = self.profile(table, names, profile, steps) if table.trains else None
            if own:
                for row in table.within(own).rows:
                    run = Run(task=table.task, spec=row.spec, profile=own, seed=0, folders=folders)
                    rows[row.key] = replace(run, tables=self.tables_of(row.key))
        keys = [key for key in rows if fnmatchcase(key, only)]
        if not keys:
            without = [name for name in names if name in self and not self[name].trains]
            if without and not rows:
                raise BadInput(f"table {without[0]} has no runs of its own; `report {without[0]}` shows it")
            known = ", ".join(rows) or "none"
            raise BadInput(f"no run key matches {only!r}; the keys of these tables are {known}")
        return [replace(rows[key], seed=seed) for seed in seeds for key in keys]

    def profile(
        self, table: Table, names: Sequence[str], name: str, steps: int | None = None
    ) -> Profile | None:
        """The profile of a table's task; None if there is none and the table was not asked for by name."""
        try:
            return table.task.profile(name, steps)
        except BadInput:
            if is_named(table, names) or not any(has_profile(other.task, name) for other in self.values()):
                raise
            return None

    def run(self, key: str, seed: int, profile: str, folders: Folders, steps: int | None = None) -> Run:
        """One run by its key: of a row, or of any other video net, which no table shows.

        Raises:
            BadInput: there is no such run, or no such profile, or the profile cannot build its net.
        """
        if tables := self.tables_of(key):
            return self.runs(tables[:1], [seed], profile, folders, key, steps)[0]
        spec = RunSpec.of_key(key)
        if spec is None:
            keys = dict.fromkeys(row.key for table in self.values() for row in table.rows if row.spec)
            near = ", ".join(get_close_matches(key, keys, cutoff=0.0))
            advice = "`python -m ablations list` shows those of the tables"
            raise BadInput(f"unknown run key {key!r}; {advice}; near: {near}")
        return Run(task=VIDEO, spec=spec, profile=VIDEO.profile(profile, steps), seed=seed, folders=folders)

    def spec(self, key: str) -> RunSpec:
        """The spec of a video net's key, with the errors of `run`."""
        run = self.run(key, 0, "mini", Folders())
        if not isinstance(run.spec, RunSpec):
            raise BadInput(f"{key} is no video net of Table 2")
        return run.spec

    def complete(self, runs: Iterable[Run]) -> list[Run]:
        """The runs and all that they start from, parents before children, with the tables that show them."""
        return [replace(run, tables=self.tables_of(run.key)) for run in with_parents(runs)]

    def trained(self, runs: Iterable[Run]) -> list[Run]:
        """The runs with the Lightning module of the first table that shows each."""
        modules = self.modules()
        return [replace(run, module=modules.get(next(iter(run.tables), ""))) for run in runs]


def is_named(table: Table, names: Sequence[str]) -> bool:
    return table.name in names or (TABLE2 in names and table.name.startswith(TABLE2))


def has_profile(task: Task, name: str) -> bool:
    with suppress(BadInput):
        return bool(task.profile(name))
    return False
