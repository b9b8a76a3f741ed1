"""What a sweep is made of: runs, each once, parents before children."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nlrepro.spec import RunSpec
from nlrepro.train.module import VideoClassifier


@dataclass(frozen=True)
class Job:
    """One run of a sweep: who trains it, which tables show it."""

    spec: RunSpec
    seed: int
    module: type[VideoClassifier]
    tables: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.spec.key} seed {self.seed}"


def with_parents(jobs: Iterable[Job], tables_of: Callable[[RunSpec], tuple[str, ...]]) -> list[Job]:
    """The jobs and all that they start from, each once, parents before children; `tables_of` tells which tables show a run.

    A parent is trained by `VideoClassifier` itself; which class does it changes nothing.
    """
    ordered: dict[tuple[str, int], Job] = {}
    asked = {(job.spec.key, job.seed): job for job in jobs}

    def add(job: Job) -> None:
        spec = job.spec.parent
        if spec:
            add(asked.get((spec.key, job.seed), Job(spec, job.seed, VideoClassifier, tables_of(spec))))
        ordered.setdefault((job.spec.key, job.seed), job)

    for job in asked.values():
        add(job)
    return sorted(ordered.values(), key=lambda job: generation(job.spec))


def generation(spec: RunSpec) -> int:
    """How many runs this one starts from, directly and indirectly."""
    return 1 + generation(spec.parent) if spec.parent else 0
