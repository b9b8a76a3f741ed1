"""Many runs: each once, parents first, `jobs` at a time, with the time that is left.

Each run has a process of its own with one thread: two such runs at once do more than one run with two threads. With GPUs it has
one of its own, as far as they go.
"""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.queues import Queue
from typing import Any

from tqdm import tqdm

from nlrepro.data.videos import Tree, decoded
from nlrepro.errors import BadInput
from nlrepro.files import make_folder
from nlrepro.profile import Profile
from nlrepro.runs.classifier import VideoClassifier
from nlrepro.runs.gpus import freest, gpus, keep_to
from nlrepro.runs.place import Place, finished
from nlrepro.runs.runner import run
from nlrepro.spec import RunSpec

Note = tuple["Job", int, str]  # job, steps done, what went wrong
# A training step frees and asks for the same blocks again and again: kept, and on huge pages, it takes 3 to 8 % less time
KEEP_MEMORY = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296"


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


def with_parents(jobs: Iterable[Job], profile: Profile) -> list[Job]:
    """The jobs and all that they start from, each once, parents before children.

    A parent that no table shows (the still images) is trained by `VideoClassifier` itself.
    """
    ordered: dict[tuple[str, int], Job] = {}
    asked = {(job.spec.key, job.seed): job for job in jobs}

    def add(job: Job) -> None:
        spec = profile.parent(job.spec)
        if spec:
            add(asked.get((spec.key, job.seed), Job(spec, job.seed, VideoClassifier)))
        ordered.setdefault((job.spec.key, job.seed), job)

    for job in asked.values():
        add(job)
    return sorted(ordered.values(), key=lambda job: generation(job.spec))


def generation(spec: RunSpec) -> int:
    """How many runs this one starts from, directly and indirectly."""
    return 1 + generation(spec.parent) if spec.parent else 0


def work(job: Job, profile: Profile, place: Place, notes: "Queue[Note]", gpu: str | None = None) -> None:
    """One run, in a process of its own; what it prints goes to its log, what goes wrong to the sweep."""
    import torch

    keep_to(gpu)
    torch.set_num_threads(1)
    folder = place.run(profile, job.spec, job.seed)
    make_folder(folder)
    with (folder / "log.txt").open("a") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            run(
                job.module,
                job.spec,
                job.seed,
                profile,
                tables=job.tables,
                place=place,
                report=lambda step: notes.put((job, step, "")),
            )
            notes.put((job, profile.recipes[job.spec.clip].steps, ""))
        except BadInput as error:
            notes.put((job, 0, str(error)))
            sys.exit(1)
        except BaseException as error:
            traceback.print_exc(file=log)
            notes.put((job, 0, f"{type(error).__name__}: {error}; see {log.name}"))
            sys.exit(1)


def sweep(jobs: Sequence[Job], profile: Profile, place: Place, at_once: int) -> None:
    """Run what has no fresh record.

    Raises:
        BadInput: some runs failed; the others are done and recorded.
    """
    ordered = with_parents(jobs, profile)
    waiting = [job for job in ordered if not finished(job.spec, job.seed, profile, place)]
    print(f"{len(ordered)} runs: {len(ordered) - len(waiting)} recorded, {len(waiting)} to do, {at_once} at a time", flush=True)
    if not waiting:
        return
    if profile.data.cached:
        decode_all(waiting, profile, place, at_once)
    make_folder(place.results)
    failures = Scheduler(waiting, profile, place, at_once).go()
    if failures:
        listing = [f"{job.name}: {why}" for job, why in failures.items()]
        print("failed:\n  " + "\n  ".join(listing))
        raise BadInput(f"{len(failures)} of {len(waiting)} runs failed ({listing[0]}); the same command tries them again")


def decode_all(jobs: Sequence[Job], profile: Profile, place: Place, at_once: int) -> None:
    """Fill the cache of decoded videos before the runs ask for it, with all processes."""
    for kind in sorted({job.spec.clip for job in jobs}):
        clips = profile.clips[kind]
        for split in sorted({clips.train, clips.val, clips.test}):
            decoded(
                Tree.index(place.data / profile.data.root / split, clips.classes), profile.data, place.data / "cache", at_once
            )


class Scheduler:
    """Starts each job as soon as its parent is done and a process is free."""

    def __init__(self, jobs: Sequence[Job], profile: Profile, place: Place, at_once: int) -> None:
        self.waiting, self.profile, self.place, self.at_once = list(jobs), profile, place, at_once
        self.running: dict[Job, ForkServerProcess] = {}
        self.gpus, self.on = gpus(), dict[Job, str | None]()
        self.failures: dict[Job, str] = {}
        self.steps = dict.fromkeys(jobs, 0)
        self.context: ForkServerContext = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["nlrepro.runs.runner", "wandb"])  # imported once: 6 s saved a run
        self.notes: Queue[Note] = self.context.Queue()

    def go(self) -> dict[Job, str]:
        """Run all; the failed ones with the reason."""
        total = sum(self.profile.recipes[job.spec.clip].steps for job in self.waiting)
        os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the runs
        os.environ.setdefault("GLIBC_TUNABLES", KEEP_MEMORY)
        slow = 0.5 if sys.stderr.isatty() else 20
        with tqdm(total=total, unit=" steps", mininterval=slow, desc=f"0/{len(self.waiting)} runs", smoothing=0.05) as bar:
            while self.waiting or self.running:
                self.start_ready()
                self.listen(bar)
                self.collect(bar)
        return self.failures

    def start_ready(self) -> None:
        for job in list(self.waiting):
            unfinished = {(other.spec, other.seed) for other in (*self.waiting, *self.running)}
            failed = {(other.spec, other.seed) for other in self.failures}
            parent = (self.profile.parent(job.spec), job.seed)
            if parent in failed:
                self.waiting.remove(job)
                self.failures[job] = "the run that it starts from failed"
            elif parent not in unfinished and len(self.running) < self.at_once:
                self.on[job] = freest(self.gpus, [self.on[other] for other in self.running])
                arguments = (job, self.profile, self.place, self.notes, self.on[job])
                process = self.context.Process(target=work, args=arguments, name=job.name)
                process.start()
                self.waiting.remove(job)
                self.running[job] = process

    def listen(self, bar: "tqdm[Any]") -> None:
        """Take in what runs have told, for up to half a second."""
        import queue

        try:
            job, step, wrong = self.notes.get(timeout=0.5)
        except queue.Empty:
            return
        if wrong:
            self.failures[job] = wrong
        bar.update(max(step - self.steps[job], 0))
        self.steps[job] = max(step, self.steps[job])

    def collect(self, bar: "tqdm[Any]") -> None:
        """Let go of the processes that have ended."""
        for job, process in list(self.running.items()):
            if process.is_alive():
                continue
            process.join()
            del self.running[job]
            if process.exitcode and job not in self.failures:
                self.failures[job] = f"its process ended with status {process.exitcode}"
            bar.set_description(f"{len(self.steps) - len(self.waiting) - len(self.running)}/{len(self.steps)} runs")
