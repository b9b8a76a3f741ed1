"""Work in processes that are killed and replaced when an item takes too long: for libraries that may hang or crash.

`concurrent.futures` and `multiprocessing.Pool` cannot stop a task that runs; here each process has a pipe and one item at a
time, so that the hanging one and its item are known. pebble's processes share a pipe: of 360 crashes it blamed 2 on the item
before (5.2.3). Processes are spawned: decord must not be open before a fork.
"""

import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

from nlrepro.processes import die_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")

START = 120.0  # seconds that a process may take to start: its imports may come from a slow disk
LIFE = 1000  # items after which a process is replaced: one that reads videos grows by about 30 MB in that time
TICK = 0.1  # seconds between two looks at the clock


class Failure(Exception):
    """Why an item has no result: yielded in its place, never raised."""


class Watched(Generic[Item, Result]):
    """A process, this side's end of its pipe, and what it works on since when; it comes up without an item."""

    def __init__(self, work: Callable[[Item], Result]) -> None:
        context = get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(work, other), daemon=True)
        self.process.start()
        other.close()  # so that the end of the process closes the pipe
        self.item: Item | None = None
        self.ready, self.since = False, time.monotonic()
        self.handed = 0

    def hand(self, item: Item) -> None:
        self.item, self.ready, self.since = item, False, time.monotonic()
        self.handed += 1
        self.pipe.send(item)

    def overdue(self, limit: float) -> bool:
        return not self.ready and time.monotonic() - self.since > (START if self.item is None else limit)

    def answer(self) -> Iterator[tuple[Item, Result | Failure]]:
        """What the process has sent, if it worked on an item, or that it has died."""
        try:
            result: Result | Failure = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(1)  # else it may not have its status yet
            yield self.given_up(f"the process that read it died with status {self.process.exitcode}")
            return
        self.ready = True
        if self.item is not None:
            yield self.item, result

    def given_up(self, reason: str) -> tuple[Item, Result | Failure]:
        self.end()
        if self.item is None:
            raise RuntimeError(f"a process that should read videos did not start: {reason}")
        return self.item, Failure(reason)

    def end(self) -> None:
        self.process.kill()  # a hanging decord heeds nothing less
        self.process.join()
        self.pipe.close()

    @property
    def ended(self) -> bool:
        return self.pipe.closed


def serve(work: Callable[[Item], Result], pipe: Connection) -> None:
    """A process's life: tell that it is up, then answer items until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    die_with_parent()
    try:
        pipe.send(None)
        while True:
            pipe.send(answered(work, pipe.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def answered(work: Callable[[Item], Result], item: Item) -> Result | Failure:
    """An error of one item is that item's."""
    try:
        return work(item)
    except Exception as error:
        return Failure(f"{type(error).__name__}: {error}")


def watched(
    work: Callable[[Item], Result], items: Iterable[Item], jobs: int, limit: float
) -> Iterator[tuple[Item, Result | Failure]]:
    """Each item with its result, in the order in which they are done; an item has `limit` seconds.

    Raises:
        RuntimeError: a process cannot start.
    """
    waiting = deque(items)
    workers: list[Watched[Item, Result]] = [Watched(work) for _ in range(min(jobs, len(waiting)))]
    try:
        while workers:
            answering = wait([worker.pipe for worker in workers], TICK)
            for worker in list(workers):
                if worker.pipe in answering:
                    yield from worker.answer()
                elif worker.overdue(limit):
                    yield worker.given_up(f"timed out after {limit:g} seconds")
                if worker.ready and waiting and worker.handed < LIFE:
                    worker.hand(waiting.popleft())
                elif worker.ready or worker.ended:
                    worker.end()
                    workers.remove(worker)
                    if waiting:
                        workers.append(Watched(work))
    finally:
        for worker in workers:
            worker.end()
