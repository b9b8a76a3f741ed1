"""What a sweep is made of: runs, each once, parents before children."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from nlrepro.data.videos import Tree, decoded
from nlrepro.record import Record
from nlrepro.run import Run
from nlrepro.spec import RunSpec
from nlrepro.train.machine import Machine
from nlrepro.train.module import VideoClassifier
from nlrepro.train.progress import Report
from nlrepro.trial import Recorded, Trial

Build = Callable[..., VideoClassifier]  # profile, devices=... -> the module of a run


class Work(Protocol):
    """What a sweep asks of a job, whatever its trial trains."""

    @property
    def run(self) -> Trial[Any]: ...
    @property
    def steps(self) -> int:
        """Of the training, on one device."""

    @property
    def needs(self) -> Hashable:
        """Names the data that `prepare` makes ready: of jobs that need the same, one does it."""

    def prepare(self, processes: int) -> None:
        """Make ready on this machine, in so many processes, what trials of this kind would else each wait for."""

    def train(self, machine: Machine, report: Report) -> Recorded:
        """Go on from where an earlier try was cut off, test, and write the record."""


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

    @property
    def needs(self) -> Hashable:
        return self.run.spec.clip

    def prepare(self, processes: int) -> None:
        """Fill the cache of decoded videos, if the profile has one, before runs of this kind of clip ask for it."""
        profile, folder = self.run.profile, self.run.folders.data
        data, clips = profile.data, profile.clips[self.run.spec.clip]
        if data.cached:
            for split in sorted({clips.train, clips.val, clips.test}):
                tree = Tree.complete(folder / data.root / split, clips.classes, profile.generator)
                decoded(tree, data, folder / "cache", processes)

    def train(self, machine: Machine, report: Report) -> Record:
        from nlrepro.train.runner import train  # which imports this file

        return train(self, machine, report)

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
