"""Work in processes that are killed and replaced when an item takes too long: for libraries that may hang or crash.

`concurrent.futures` and `multiprocessing.Pool` cannot stop a task that runs. pebble can, but all its processes answer through one
pipe: when one crashed at once, pebble 5.2.3 blamed the item before in 2 of 360 trials. Here a thread waits for each process.
"""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from nlrepro.sweep.orphans import die_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")

START = 120.0  # seconds that a process may take to start: its imports may come from a slow disk
LIFE = 1000  # items after which a process is replaced: one that reads videos grows by about 30 MB in that time


class Failure(Exception):
    """Why an item has no result: yielded in its place, never raised."""


class Watched(Generic[Item, Result]):
    """A process that works on one item at a time, and the next one when it has ended."""

    def __init__(self, work: Callable[[Item], Result]) -> None:
        self.work, self.left = work, 0
        self.process: BaseProcess | None = None

    def start(self) -> None:
        """Put a new process in the place of the last.

        Raises:
            RuntimeError: it does not start.
        """
        self.end()
        context = get_context("spawn")  # decord must not be open before a fork
        self.pipe, other = context.Pipe()
        self.process, self.left = context.Process(target=serve, args=(self.work, other), daemon=True), LIFE
        self.process.start()
        other.close()  # so that the end of the process closes the pipe
        started = self.answer(START)
        if isinstance(started, Failure):
            raise RuntimeError(f"a process that should read videos did not start: {started}")

    def result(self, item: Item, limit: float) -> Result | Failure:
        """What the work makes of an item, or why it makes nothing of it within `limit` seconds."""
        if not self.left or not self.process or not self.process.is_alive():
            self.start()
        self.left -= 1
        self.pipe.send(item)
        return self.answer(limit)

    def answer(self, limit: float) -> Result | Failure:
        """What the process sends; after a timeout or a crash the process is gone."""
        try:
            if self.pipe.poll(limit):
                return self.pipe.recv()
            reason = f"timed out after {limit:g} seconds"
        except (EOFError, OSError):
            assert self.process
            self.process.join(1)  # else it may not have its status yet
            reason = f"the process that read it died with status {self.process.exitcode}"
        self.end()
        return Failure(reason)

    def end(self) -> None:
        if self.process:
            self.process.kill()  # a hanging decord heeds nothing less
            self.process.join()


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
    waiting, done = deque(items), SimpleQueue[tuple[Item, Result | Failure] | Exception]()
    processes: list[Watched[Item, Result]] = [Watched(work) for _ in range(min(jobs, len(waiting)))]

    def follow(process: Watched[Item, Result]) -> None:
        try:
            for item in taken(waiting):
                done.put((item, process.result(item, limit)))
        except Exception as error:
            done.put(error)
        process.end()

    number = len(waiting)
    try:
        for process in processes:
            Thread(target=follow, args=(process,), daemon=True).start()
        for _ in range(number):
            found = done.get()
            if isinstance(found, Exception):
                raise found
            yield found
    finally:
        waiting.clear()
        for process in processes:
            process.end()


def taken(waiting: deque[Item]) -> Iterator[Item]:
    """Items off the front, until none is left; threads may share it."""
    while True:
        try:
            yield waiting.popleft()
        except IndexError:
            return
