"""Many runs on this machine: each once, parents first, `at_once` at a time, with the time that is left.

Another sweep over the same keys, of this machine or of one that shares the folder, takes its part: what it trains is left to it,
and what it has recorded is not trained again. Each run has a process of its own with one thread: two such runs at once do more
than one run with two threads. With GPUs it has one of its own, as far as they go.
"""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from typing import Any

from tqdm import tqdm

from nlrepro.profile import Profile
from nlrepro.sweep.gpus import freest, gpus
from nlrepro.sweep.jobs import Job
from nlrepro.sweep.lock import is_held
from nlrepro.sweep.marks import mark_failed
from nlrepro.sweep.worker import Worker
from nlrepro.train.paths import Place, finished

TICK = 0.5  # seconds between two looks at what other sweeps do
# A training step frees and asks for the same blocks again and again: kept, and on huge pages, it takes 3 to 8 % less time
KEEP_MEMORY = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296"
PARENT_FAILED = "the run that it starts from failed"


class Scheduler:
    """Starts each job as soon as its parent is done and a process is free."""

    def __init__(self, jobs: Sequence[Job], profile: Profile, place: Place, at_once: int) -> None:
        self.waiting, self.profile, self.place, self.at_once = list(jobs), profile, place, at_once
        self.running: list[Worker] = []
        self.gpus = gpus()
        self.failures: dict[Job, str] = {}
        self.steps = dict.fromkeys(jobs, 0)
        self.context: ForkServerContext = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["nlrepro.train.runner", "wandb"])  # imported once: 6 s saved a run

    def go(self) -> dict[Job, str]:
        """Run all; the failed ones with the reason."""
        total = sum(map(self.length, self.waiting))
        os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the runs
        os.environ.setdefault("GLIBC_TUNABLES", KEEP_MEMORY)
        slow = 0.5 if sys.stderr.isatty() else 20
        try:
            with tqdm(total=total, unit=" steps", mininterval=slow, desc=f"0/{len(self.waiting)} runs", smoothing=0.05) as bar:
                while self.waiting or self.running:
                    elsewhere = self.start_ready()
                    self.listen()
                    self.show(bar, elsewhere)
        finally:
            for worker in self.running:
                worker.kill()
        return self.failures

    def length(self, job: Job) -> int:
        return self.profile.recipes[job.spec.clip].steps

    def start_ready(self) -> int:
        """Start what can be started, let go of what others have done; how many ready ones others train."""
        elsewhere = 0
        for job in list(self.waiting):
            parent = self.parent(job)
            if parent in self.failures:
                self.waiting.remove(job)
                self.fail(job, PARENT_FAILED)
            elif parent and parent in (*self.waiting, *(worker.job for worker in self.running)):
                continue
            elif len(self.running) == self.at_once:
                break
            elif is_held(self.place.lock(self.profile, job.spec, job.seed)):
                elsewhere += 1
            else:
                self.waiting.remove(job)
                if finished(job.spec, job.seed, self.profile, self.place):
                    self.steps[job] = self.length(job)
                else:
                    gpu = freest(self.gpus, [worker.gpu for worker in self.running])
                    self.running.append(Worker(self.context, job, self.profile, self.place, gpu))
        return elsewhere

    def parent(self, job: Job) -> Job | None:
        """The job of this sweep that makes what this one starts from; None where that is recorded."""
        spec = job.spec.parent
        return next((other for other in self.steps if (other.spec, other.seed) == (spec, job.seed)), None)

    def listen(self) -> None:
        """Take in what runs have told, and let go of those that have ended, for up to half a second."""
        telling = wait([worker.pipe for worker in self.running], TICK)
        for worker in [worker for worker in self.running if worker.pipe in telling]:
            if worker.hear():
                self.steps[worker.job] = max(worker.step, self.steps[worker.job])
                continue
            self.running.remove(worker)
            if worker.busy:
                self.waiting.append(worker.job)
            elif worker.failure:
                self.fail(worker.job, worker.failure)
            else:
                self.steps[worker.job] = self.length(worker.job)

    def fail(self, job: Job, why: str) -> None:
        self.failures[job] = why
        mark_failed(self.place.run(self.profile, job.spec, job.seed), why)

    def show(self, bar: "tqdm[Any]", elsewhere: int) -> None:
        done = len(self.steps) - len(self.waiting) - len(self.running)
        others = f", {elsewhere} in another sweep" if elsewhere else ""
        bar.set_description(f"{done}/{len(self.steps)} runs{others}", refresh=False)
        bar.update(sum(self.steps.values()) - bar.n)
