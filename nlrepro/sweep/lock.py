"""One process at a time: a lock of the operating system on a file. However the process ends that holds it, the lock goes with it.

On a local disk it is flock's. On NFS (v4, or v3 with its lock service) Linux makes it a lock of the server: it holds between
nodes, and if a node dies it ends with that node's lease, after 90 s by default. Lustre needs the mount option `flock`. On mounts
whose locks are the node's own (`nolock`, `local_lock`, `localflock`) two nodes do not see each other's. Lock files stay: if one
were removed and made again, two processes could each hold a lock of that name.

The package filelock would save no lines here, and is less safe: where a file system has no flock it falls back to a lock that
outlives a killed process. It also waits by trying again and again, and creates the file when asked whether a lock is held.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nlrepro.errors import BadInput
from nlrepro.files import make_folder


class Busy(BadInput):
    """Another process holds the lock."""


@contextmanager
def exclusive(path: Path, what: str, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock at `path` during the block; messages say what its holder does, such as "trains r50-c2d seed 0".

    Raises:
        Busy: another process holds it, and `wait` is false.
        BadInput: the file cannot be opened, or its file system has no locks.
    """
    make_folder(path.parent)
    try:
        with path.open("a") as file:
            if not taken(file):
                if not wait:
                    raise Busy(f"another process {what}; its lock is {path}")
                print(f"waiting: another process {what}; its lock is {path}", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        if error.filename != str(path):
            raise
        raise BadInput(f"cannot write {path}: {error.strerror}; check the permissions of its folder") from None


def taken(file: IO[str]) -> bool:
    """Take the lock on an open file; False if another process holds it.

    Raises:
        BadInput: its file system has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise BadInput(f"cannot lock {file.name}: {error.strerror}; --results must be where files can be locked") from None
    return True


def is_held(path: Path) -> bool:
    """Whether some process holds the lock at `path` now."""
    try:
        with path.open("r") as file:
            return not taken(file)
    except OSError:
        return False
