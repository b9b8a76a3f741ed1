"""What a sweep is made of: runs, each once, parents before children."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from nlrepro.run import Run
from nlrepro.spec import RunSpec
from nlrepro.train.module import VideoClassifier

Build = Callable[..., VideoClassifier]  # profile, devices=... -> the module of a run


@dataclass(frozen=True)
class Job:
    """A run to be made, who builds the module that trains it, and the tables that show it."""

    run: Run
    build: Build | None = None  # without, `VideoClassifier` itself; which class trains a run changes nothing
    tables: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """Of the run on one device."""
        return self.run.profile.recipe(self.run.spec, 1).steps

    def module(self, devices: int) -> VideoClassifier:
        """The Lightning module of the run, on so many devices."""
        build = self.build or partial(VideoClassifier, self.run.spec)
        return build(self.run.profile, devices=devices)


def with_parents(jobs: Iterable[Job], tables_of: Callable[[RunSpec], tuple[str, ...]]) -> list[Job]:
    """The jobs and all that they start from, each once, parents before children; `tables_of` tells which tables show a run."""
    ordered: dict[Run, Job] = {}
    asked = {job.run: job for job in jobs}

    def add(job: Job) -> None:
        parent = job.run.parent
        if parent:
            add(asked.get(parent, Job(parent, tables=tables_of(parent.spec))))
        ordered.setdefault(job.run, job)

    for job in asked.values():
        add(job)
    return sorted(ordered.values(), key=lambda job: generation(job.run))


def generation(run: Run) -> int:
    """How many runs this one starts from, directly and indirectly."""
    return 1 + generation(run.parent) if run.parent else 0
