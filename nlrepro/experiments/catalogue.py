"""The tables that there are, and the runs that they need: which row asks for which run, and who shares it."""

from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial

from nlrepro.beyond.experiment import Experiment
from nlrepro.config import Profile
from nlrepro.experiments.ablation import Ablation
from nlrepro.files import BadInput
from nlrepro.nets.forms import forms
from nlrepro.report.claims import Claim
from nlrepro.report.others import Comparison
from nlrepro.run import Run
from nlrepro.spec import RunSpec, every_run
from nlrepro.sweep.jobs import Build, Job, with_parents
from nlrepro.trial import Folders

Axes = Iterable[type[Ablation]]


class Catalogue(dict[str, type[Ablation]]):
    """The ablations by the name of their table, in their order. `comparisons` are tables that need no run of their own, `beyond`
    those of other tasks, which "all" does not name.
    """

    def __init__(self, *axes: type[Ablation], comparisons: Iterable[Comparison] = (), beyond: Iterable[Experiment] = ()) -> None:
        super().__init__({axis.table: axis for axis in axes})
        self.comparisons = {comparison.table: comparison for comparison in comparisons}
        self.beyond = {experiment.table: experiment for experiment in beyond}

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The sentences that the paper draws from all tables."""
        return tuple(claim for axis in self.values() for claim in axis.claims)

    def chosen(self, names: Iterable[str]) -> list[type[Ablation]]:
        """The axes by table name; all, for no name or "all".

        Raises:
            BadInput: an unknown table.
        """
        names = list(names) or ["all"]
        for name in names:
            if name in self.comparisons:
                raise BadInput(
                    f"table {name} has no runs of its own; `report {name}` shows it, or use one of {', '.join(self)}, or all"
                )
            if name in self.beyond:
                raise BadInput(f"table {name} is of another task; this verb takes {', '.join(self)}, or all")
            if name not in (*self, "all"):
                raise BadInput(f"unknown table {name!r}; use one of {', '.join((*self, *self.beyond))}, or all")
        return list(self.values()) if "all" in names else [self[name] for name in names]

    def parted(self, names: Iterable[str]) -> tuple[list[str], list[Experiment]]:
        """The names of the tables of this task, and the experiments of others."""
        names = list(names)
        return [name for name in names if name not in self.beyond], [self.beyond[name] for name in names if name in self.beyond]

    def other(self, key: str) -> Experiment | None:
        """The first experiment of another task that has a run of this key."""
        return next((each for each in self.beyond.values() if key in {line.spec.key for line in each.lines}), None)

    def tables_of(self, spec: RunSpec) -> tuple[str, ...]:
        """The tables that show this run."""
        return tuple(name for name, axis in self.items() if any(axis.spec(**row.value) == spec for row in axis.rows))

    def specs(self) -> list[RunSpec]:
        """The specs of all rows, each once."""
        return list(built_by(self.values()))

    def spec(self, key: str) -> RunSpec:
        """The spec of a key: of a row, or of any other net, which no table shows.

        Raises:
            BadInput: there is no such run.
        """
        known = {spec.key: spec for spec in self.specs()} | {spec.key: spec for spec in every_run(forms())}
        if key not in known:
            near = ", ".join(get_close_matches(key, known, cutoff=0.0))
            raise BadInput(
                f"unknown run key {key!r}; `python -m ablations list` shows those of the tables; the nearest are {near}"
            )
        return known[key]

    def job(self, key: str, seed: int, profile: Profile, folders: Folders) -> Job:
        """One run by its key, with the errors of `spec`."""
        wanted = Job(Run(spec=self.spec(key), profile=profile, seed=seed, folders=folders))
        of_tables = {job.run: job for job in self.complete(self.values(), [seed], profile, folders)}
        return of_tables.get(wanted.run, wanted)

    def jobs(self, axes: Axes, seeds: Iterable[int], profile: Profile, folders: Folders, only: str = "*") -> list[Job]:
        """Every run of the axes' rows, each once, seed by seed so that a first seed is complete early.

        Raises:
            BadInput: no key matches `only`, a pattern such as "r50-*".
        """
        unique = built_by(axes)
        found = {spec: build for spec, build in unique.items() if fnmatchcase(spec.key, only)}
        if not found:
            keys = ", ".join(spec.key for spec in unique)
            raise BadInput(f"no run key matches {only!r}; the keys of these tables are {keys}")
        return [
            Job(Run(spec=spec, profile=profile, seed=seed, folders=folders), build, self.tables_of(spec))
            for seed in seeds
            for spec, build in found.items()
        ]

    def complete(self, axes: Axes, seeds: Iterable[int], profile: Profile, folders: Folders, only: str = "*") -> list[Job]:
        """`jobs` and all that they start from, parents before children."""
        return with_parents(self.jobs(axes, seeds, profile, folders, only), self.tables_of)


def built_by(axes: Axes) -> dict[RunSpec, Build]:
    """The specs of the axes' rows, each once, where the last of its tables has it; and how the first of the axes builds it."""
    found: dict[RunSpec, Build] = {}
    for axis in axes:
        for row in axis.rows:
            spec = axis.spec(**row.value)
            found[spec] = found.pop(spec, partial(axis, **row.value))
    return found
