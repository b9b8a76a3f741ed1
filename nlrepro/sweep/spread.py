"""Many small tasks over processes, none of which outlives the one that asked."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any

from nlrepro.sweep.orphans import die_with_parent

Map = Callable[[Callable[[int], Any], Iterable[int]], Iterable[Any]]
CHUNK = 32  # tasks that a process takes at once


@contextmanager
def spread(jobs: int) -> Iterator[Map]:
    """`map`, in order, over so many processes; over none besides this one where that is one, for each takes seconds to begin."""
    if jobs == 1:
        yield map
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=die_with_parent) as pool:
        yield partial(pool.map, chunksize=CHUNK)
