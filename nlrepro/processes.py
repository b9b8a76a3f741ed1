"""Child processes that do not outlive their parent, a map over several of them, and progress bars.

Also which cores this process may use, and whether a launcher has started it.
"""

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
# Of torchrun and Lightning, srun, jsrun:
SIZE_VARIABLES = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "JSM_NAMESPACE_SIZE")
RANK_VARIABLES = (  # of one process among these, as Lightning reads them, some at its import
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"),
    *("SLURM_PROCID", "SLURM_NTASKS", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_LOCAL_RANK"),
)


def detect_launcher(processes: int) -> bool:
    """Whether a launcher has started this process as one of so many.

    If not, what an outer job or an allocation of SLURM has left in the environment is taken from it.
    """
    if os.environ.get("SLURM_JOB_NAME") == "bash":
        os.environ.pop("SLURM_STEP_NUM_TASKS", None)  # the step is a terminal, of `srun --pty bash`
    launched = processes > 1 and str(processes) in map(os.environ.get, SIZE_VARIABLES)
    for name in () if launched else RANK_VARIABLES:
        os.environ.pop(name, None)
    return launched


def usable_cores() -> int:
    """Number of CPU cores that this process may use: by affinity (taskset, SLURM) and quota of its cgroup."""
    from joblib import cpu_count  # takes 0.2 s

    return int(cpu_count())


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
