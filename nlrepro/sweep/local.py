"""Many runs on this machine: each once, parents first, `jobs` at a time.

Several sweeps may work on the same folder, from one machine or from several that share it: each leaves to the
others what they train, and does not train again what they have recorded. Each run has a process of its own
with one thread: two such runs at once get more done than one run with two threads. Where there are GPUs, the
runs are spread over them.
"""

import multiprocessing
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext

import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException
from tqdm import tqdm

from nlrepro.files import BadInput, Busy, is_locked, make_folder
from nlrepro.processes import die_with_parent, progress_bar
from nlrepro.run import Run, by_root
from nlrepro.train.checkpoint import Progress, Report
from nlrepro.train.loop import one_line, rank, train

TICK = 0.5  # seconds between two looks at the locks of other sweeps
BUSY = 75  # exit status: another process trains the run
VISIBLE = "CUDA_VISIBLE_DEVICES"
# A training step frees the same blocks of memory and asks for them again. If the process keeps them, on huge
# pages, a step takes 3 to 8 % less time.
KEEP_MEMORY = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296"
)

Done = Callable[[Run], None]


def sweep(runs: Sequence[Run], jobs: int, done: Done | None = None) -> None:
    """Make the runs that have no fresh record, given parents before children; `done` is called after each.

    Raises:
        BadInput: some runs failed; the others are done and recorded.
    """
    waiting = unfinished(runs, jobs, f"{jobs} at a time")
    if not waiting:
        return
    failures = Scheduler(waiting, jobs, done).go()
    if failures:
        lines = [f"{run.name}: {why}" for run, why in failures.items()]
        print("failed:\n  " + "\n  ".join(lines) + f"\nto retry: {shlex.join(sys.orig_argv)}", flush=True)
        advice = "the same command tries them again"
        raise BadInput(f"{len(failures)} of {len(waiting)} runs failed ({lines[0]}); {advice}")


def unfinished(runs: Sequence[Run], jobs: int, how: str) -> list[Run]:
    """The runs without a fresh record, whose data are made; lines say how many, and what is damaged."""
    waiting = []
    for run in runs:
        if run.finished():
            run.forget_failure()  # another sweep may have marked it late
        else:
            waiting.append(run)
    print(f"{len(runs)} runs: {len(runs) - len(waiting)} recorded, {len(waiting)} to do, {how}", flush=True)
    for damage in filter(None, (run.damage() for run in waiting)):
        print(damage, flush=True)
    prepare_data(waiting, jobs)
    for run in waiting[:1]:
        make_folder(run.folders.results)
    return waiting


def prepare_data(runs: Sequence[Run], processes: int) -> None:
    """Make, decode or check the data of the runs, each folder once."""
    for group in by_root(runs):
        specs, first = [run.spec for run in group], group[0]
        first.task.prepare(specs, first.profile, first.folders.data, processes)


class Scheduler:
    """A loop that starts each run as soon as its parent is done and a process is free."""

    def __init__(self, runs: Sequence[Run], jobs: int, done: Done | None) -> None:
        self.runs, self.waiting, self.jobs, self.done = set(runs), list(runs), jobs, done
        self.workers: list[Worker] = []
        self.gpus = gpus()
        self.failures: dict[Run, str] = {}
        self.bar = progress_bar(total=sum(run.steps for run in runs), desc="sweep", unit=" steps")
        self.context: ForkServerContext = multiprocessing.get_context("forkserver")
        modules = {run.module.__module__ for run in runs if run.module}
        imports = ["nlrepro.sweep.local", "wandb", *modules]  # once, not 6 s in each run
        self.context.set_forkserver_preload(imports)

    def go(self) -> dict[Run, str]:
        """Run all, and return those that failed with the reason."""
        os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the runs
        os.environ.setdefault("GLIBC_TUNABLES", KEEP_MEMORY)
        try:
            with self.bar:
                while self.waiting or self.workers:
                    self.start_ready()
                    self.receive()
        finally:
            for worker in self.workers:
                worker.process.kill()
                worker.process.join()
        return self.failures

    def start_ready(self) -> None:
        """Start the runs whose parents are done, as many as may run; drop those that others have recorded."""
        pending = {*self.waiting, *(worker.run for worker in self.workers)}
        for run in list(self.waiting):
            parent = run.parent
            if parent in self.failures:
                self.waiting.remove(run)
                self.fail(run, "the run that it starts from failed")
            elif parent in pending:
                continue
            elif len(self.workers) == self.jobs:
                break
            elif not is_locked(run.lock):
                self.waiting.remove(run)
                if run.finished():
                    self.end(run, run.steps, "in another sweep")
                else:
                    gpu = freest(self.gpus, [worker.gpu for worker in self.workers])
                    self.workers.append(Worker(self.context, run, gpu))
                    self.say(f"{run.name}: started")

    def receive(self) -> None:
        """Wait up to half a second for messages of the runs: steps that are done, or their end."""
        ready = wait([worker.pipe for worker in self.workers], TICK)
        for worker in [worker for worker in self.workers if worker.pipe in ready]:
            before = worker.step
            alive = worker.receive()
            self.bar.update(worker.step - before)
            if alive:
                continue
            self.workers.remove(worker)
            if worker.busy:
                self.waiting.append(worker.run)
            elif worker.failure and not worker.run.finished():
                self.fail(worker.run, worker.failure)
            else:
                self.end(worker.run, worker.run.steps - worker.step)

    def end(self, run: Run, steps: int, where: str = "") -> None:
        record = run.record()
        took = [record.headline, f"took {tqdm.format_interval(record.made.seconds)}"] if record else []
        self.bar.update(steps)
        self.say(f"{run.name}: {', '.join(['done', *took, *filter(None, [where])])}")
        if self.done:
            self.done(run)

    def fail(self, run: Run, why: str) -> None:
        self.failures[run] = why
        run.mark_failed(why)
        self.say(f"{run.name}: failed: {why}")

    def say(self, line: str) -> None:
        """A line above the bar."""
        self.bar.write(line, file=sys.stderr)
        sys.stderr.flush()


class Worker:
    """A process that makes one run; `pipe` can be read when it has sent something or has ended.

    Each run has its own pipe: a process that is killed while it writes would leave a shared queue locked.
    """

    def __init__(self, context: ForkServerContext, run: Run, gpu: str | None) -> None:
        self.run, self.gpu = run, gpu
        self.pipe, other = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(run, other, gpu), name=run.name)
        self.process.start()
        other.close()  # so that the end of the process closes the pipe
        self.step, self.error = 0, ""

    def receive(self) -> bool:
        """Receive one message, progress or an error; False when the process has ended."""
        try:
            message: Progress | str = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            self.pipe.close()
            return False
        if isinstance(message, str):
            self.error = message
        else:
            self.step = message.step
        return True

    @property
    def busy(self) -> bool:
        return self.process.exitcode == BUSY

    @property
    def failure(self) -> str | None:
        """Why an ended process has left no record."""
        status = self.process.exitcode
        if not status or self.error:
            return self.error or None
        if status == -signal.SIGKILL:
            return "its process was killed (SIGKILL), as the system does when memory runs out"
        if status < 0:
            return f"its process was ended by {signal.Signals(-status).name}"
        return f"its process ended with status {status}"


def work(run: Run, pipe: Connection, gpu: str | None) -> None:
    """Make the run in this process; its output goes to its log, errors also to the sweep."""
    if gpu is not None:
        os.environ[VISIBLE] = gpu  # before anything starts CUDA
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the sweep's to handle
    die_with_parent()
    failure = ""
    try:
        make_folder(run.folder)
        log = (run.folder / "log.txt").open("a", encoding="utf-8", errors="backslashreplace")
        with log as file, redirect_stdout(file), redirect_stderr(file):
            try:
                train(run, report=pipe.send, wait=False)
            except (Busy, SIGTERMException):
                raise
            except BaseException as error:
                traceback.print_exc(file=file)
                failure = f"{one_line(error)}; see {file.name}"
    except Busy:
        sys.exit(BUSY)
    except SIGTERMException:
        failure = "its process was asked to end (SIGTERM)"
    except (BadInput, OSError) as error:  # there is no log
        failure = one_line(error)
    if failure:
        with suppress(OSError):
            pipe.send(failure)
        sys.exit(1)


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA names them. The driver is asked; CUDA is not started."""
    count, named = torch.cuda.device_count(), os.environ.get(VISIBLE)
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


def freest(devices: list[str], taken: Collection[str | None]) -> str | None:
    """The GPU that the fewest runs have taken, the first of several such; None without a GPU."""
    return min(devices, key=list(taken).count, default=None)


@contextmanager
def run_bar(run: Run) -> Iterator[Report]:
    """A progress bar of one run; of several processes only the first draws it."""
    with progress_bar(total=run.steps, desc=run.name, unit=" steps", disable=rank() > 0) as bar:

        def report(progress: Progress) -> None:
            bar.total = progress.steps
            bar.update(progress.step - bar.n)
            parts = [] if progress.last is None else [f"val {progress.last.value:.1f} %"]
            parts += [] if progress.tested is None else [f"testing {progress.tested:.0%}"]
            bar.set_postfix_str(", ".join(parts), refresh=False)

        yield report
