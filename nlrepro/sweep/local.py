"""Many runs on this machine: each once, parents first, `at_once` at a time.

Several sweeps may work on the same folder, from one machine or from several that share it: each leaves to the others what they
train, and does not train again what they have recorded. Each run has a process of its own with one thread: two such runs at once
get more done than one run with two threads. Where there are GPUs, the runs are spread over them.
"""

import multiprocessing
import os
from collections.abc import Sequence
from contextlib import closing
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext

from nlrepro.files import is_locked
from nlrepro.sweep.board import board
from nlrepro.sweep.gpus import freest, gpus
from nlrepro.sweep.jobs import Work
from nlrepro.sweep.progress import Whole, outcome
from nlrepro.sweep.status import mark_failed
from nlrepro.sweep.temporary import mark_temporary_folder
from nlrepro.sweep.worker import Worker

TICK = 0.5  # seconds between two looks at what other sweeps do
# A training step frees the same blocks of memory and asks for them again. If the process keeps them, on huge pages, a step takes
# 3 to 8 % less time.
KEEP_MEMORY = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296"
PARENT_FAILED = "the run that it starts from failed"


class Scheduler:
    """A loop that starts each job as soon as its parent is done and a process is free."""

    def __init__(self, jobs: Sequence[Work], at_once: int) -> None:
        self.jobs, self.waiting, self.at_once = jobs, list(jobs), at_once
        self.running: list[Worker] = []
        self.gpus = gpus()
        self.failures: dict[Work, str] = {}
        self.board, self.whole = board(), Whole()
        self.context: ForkServerContext = multiprocessing.get_context("forkserver")
        imports = ["nlrepro.sweep.server", "nlrepro.train.runner", "wandb"]
        self.context.set_forkserver_preload(imports)  # once: 6 s saved a run

    def go(self) -> dict[Work, str]:
        """Run all, and return those that failed with the reason."""
        mark_temporary_folder()
        os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the runs
        os.environ.setdefault("GLIBC_TUNABLES", KEEP_MEMORY)
        try:
            with closing(self.board):
                self.show(0)  # the first process takes seconds to start
                while self.waiting or self.running:
                    elsewhere = self.start_ready()
                    self.listen()
                    self.show(elsewhere)
        finally:
            for worker in self.running:
                worker.kill()
        return self.failures

    def start_ready(self) -> int:
        """Start the runs whose parents are done, as many as may run, and drop those that others have recorded.

        Returns how many could start but are trained by other sweeps.
        """
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
            elif is_locked(job.run.lock):
                elsewhere += 1
            else:
                self.waiting.remove(job)
                if job.run.finished():
                    self.board.say(f"{job.run.name}: {outcome(job.run)}, in another sweep")
                else:
                    gpu = freest(self.gpus, [worker.gpu for worker in self.running])
                    self.running.append(Worker(self.context, job, gpu))
                    self.whole.rows.append(self.running[-1].row)
        return elsewhere

    def parent(self, job: Work) -> Work | None:
        """The job of this sweep that makes what this one starts from; None where that is recorded."""
        parent = job.run.parent
        return next((other for other in self.jobs if other.run == parent), None)

    def listen(self) -> None:
        """Wait up to half a second for news of the runs: steps that are done, or their end."""
        telling = wait([worker.pipe for worker in self.running], TICK)
        for worker in [worker for worker in self.running if worker.pipe in telling]:
            if worker.hear():
                continue
            self.running.remove(worker)
            if worker.busy:
                self.waiting.append(worker.job)
            elif worker.failure and not worker.job.run.finished():  # of a recorded run only its process has come to harm
                self.fail(worker.job, worker.failure)
            else:
                self.board.say(f"{worker.job.run.name}: {outcome(worker.job.run)}")

    def fail(self, job: Work, why: str) -> None:
        self.failures[job] = why
        mark_failed(job.run, why)
        self.board.say(f"{job.run.name}: failed: {why}")

    def show(self, elsewhere: int) -> None:
        rows = [worker.row for worker in self.running]
        whole = self.whole.line(
            runs=len(self.jobs),
            running=rows,
            waiting=[job.steps for job in self.waiting],
            failed=len(self.failures),
            elsewhere=elsewhere,
        )
        self.board.show([row.line for row in rows], whole)
