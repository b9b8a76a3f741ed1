"""What a sweep is made of: runs, each once, parents before children."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nlrepro.run import Run
from nlrepro.spec import RunSpec
from nlrepro.train.module import VideoClassifier


@dataclass(frozen=True)
class Job:
    """A run to be made, the class that trains it, and the tables that show it."""

    run: Run
    module: type[VideoClassifier]
    tables: tuple[str, ...] = ()


def with_parents(jobs: Iterable[Job], tables_of: Callable[[RunSpec], tuple[str, ...]]) -> list[Job]:
    """The jobs and all that they start from, each once, parents before children; `tables_of` tells which tables show a run.

    A parent that was not asked for is trained by `VideoClassifier` itself; which class does it changes nothing.
    """
    ordered: dict[Run, Job] = {}
    asked = {job.run: job for job in jobs}

    def add(job: Job) -> None:
        parent = job.run.parent
        if parent:
            add(asked.get(parent, Job(parent, VideoClassifier, tables_of(parent.spec))))
        ordered.setdefault(job.run, job)

    for job in asked.values():
        add(job)
    return sorted(ordered.values(), key=lambda job: generation(job.run))


def generation(run: Run) -> int:
    """How many runs this one starts from, directly and indirectly."""
    return 1 + generation(run.parent) if run.parent else 0
