"""Child processes that do not outlive their parent, a map over several of them, and progress bars."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from tqdm import tqdm

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
CHUNK = 32  # tasks that a process takes at once
TICK = 0.2  # seconds between two looks at the parent
MINUTE = 60.0


def die_with_parent() -> None:
    """Kill this process as soon as its parent has ended, even if that was killed.

    Else it could wait for ever on pipes that stay open. With `multiprocessing` the parent is not the
    system's: a fork server stands between, and lives as long as its children.
    """
    parent, number = multiprocessing.parent_process(), os.getppid()

    def watch() -> None:
        if parent:
            parent.join()
        while not parent and os.getppid() == number:  # until the system gives this process another one
            time.sleep(TICK)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent's end", daemon=True).start()


@contextmanager
def parallel_map(jobs: int) -> Iterator[Map]:
    """Ordered map over `jobs` processes; with one job, in this process, for each takes seconds to start."""
    if jobs == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")  # decord does not survive a fork
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=die_with_parent) as pool:
        yield partial(pool.map, chunksize=CHUNK)


def progress_bar(items: Iterable[Any] | None = None, **options: Any) -> "tqdm[Any]":
    """tqdm, redrawn once a second in a terminal; in a file or a pipe one line about once a minute."""
    interactive = bool(sys.stderr) and sys.stderr.isatty()
    rate: dict[str, Any] = {"mininterval": 1.0}
    if not interactive:
        rate = {"mininterval": MINUTE, "maxinterval": MINUTE, "ncols": 100, "file": Lines()}
    return tqdm(items, **options, **rate)


class Lines:
    """A file for tqdm that writes each state of a bar as a line of stderr."""

    def write(self, text: str) -> None:
        if state := text.strip():
            print(state, file=sys.stderr, flush=True)

    def flush(self) -> None: ...
