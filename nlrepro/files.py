"""Files that are written whole or not at all, locks on files, and the one exception that a user can cause."""

import fcntl
import glob
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

UMASK = os.umask(0o022)
os.umask(UMASK)  # there is no other way to read it


class BadInput(Exception):
    """Something outside the program is wrong; the message names the thing, what is allowed and what to do.

    The command line prints it in one line and exits with status 2.
    """


class Busy(BadInput):
    """Another process holds the lock."""


@contextmanager
def access(
    path: Path, verb: str = "read", advice: str = "check the path and its permissions"
) -> Iterator[None]:
    """Turns errors of the system in the block into `BadInput`: "cannot read PATH: Permission denied"."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"cannot {verb} {path}: {error.strerror}; {advice}") from None


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        BadInput: it cannot be made.
    """
    with access(path, "write", "check the permissions of the folder above it"):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def atomic(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """A temporary file beside `path` to write to, renamed if the block ends well and removed if it does not.

    No reader ever sees half a file, and a loss of power leaves none, as the content is on the disk before the
    name is. Without `sync` a write takes some milliseconds less, but a loss of power may leave an empty file.

    Raises:
        BadInput: the folder cannot be written, or the disk is full; an older file at `path` stays as it was.
    """
    temporary = None
    try:
        with access(path, "write", "check the permissions and the free space of its folder"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
                temporary = file.name
                yield cast(BinaryIO, file)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~UMASK)  # as any other file: a group may share a folder
            os.replace(temporary, path)
            temporary = None
    finally:
        if temporary:
            with suppress(OSError):  # keep the first error
                os.unlink(temporary)


def write_atomic(path: Path, content: bytes | str, *, sync: bool = True) -> None:
    """Write a file whole or not at all, with the errors of `atomic`."""
    with atomic(path, sync=sync) as file:
        # the text may name a path that is no UTF-8
        file.write(content.encode(errors="backslashreplace") if isinstance(content, str) else content)


def remove_temporaries(path: Path) -> None:
    """Remove what killed writers of `path` have left. Only when no process can be writing `path`."""
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.*"):
        temporary.unlink(missing_ok=True)


def file_digest(path: Path) -> str:
    """sha256 of a file.

    Raises:
        BadInput: it cannot be read.
    """
    with access(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; hidden ones are skipped.

    Raises:
        BadInput: it may not be read, or is no folder.
    """
    with access(folder):
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))


@contextmanager
def exclusive(path: Path, what: str, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock at `path`; messages say what its holder does: `what` is "trains r50-c2d seed 0".

    It is flock's: however its process ends, the lock goes with it. On NFS (v4, or v3 with its lock service)
    Linux makes it a lock of the server, which holds between nodes; Lustre needs the mount option `flock`.
    Lock files stay: if one were removed and made again, two processes could each hold a lock of that name.
    The package filelock falls back to a lock that outlives a killed process where a file system has no flock.

    Raises:
        Busy: another process holds it, and `wait` is false.
        BadInput: the file cannot be opened, or its file system has no locks.
    """
    make_folder(path.parent)
    try:
        with path.open("a") as file:
            if not try_lock(file):
                if not wait:
                    raise Busy(f"another process {what}; its lock is {path}")
                print(f"waiting: another process {what}; its lock is {path}", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        if error.filename != str(path):
            raise
        advice = "check the permissions of its folder"
        raise BadInput(f"cannot write {path}: {error.strerror}; {advice}") from None


def try_lock(file: IO[str]) -> bool:
    """Lock an open file; False if another process holds its lock.

    Raises:
        BadInput: its file system has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        advice = "--results must be where files can be locked"
        raise BadInput(f"cannot lock {file.name}: {error.strerror}; {advice}") from None
    return True


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock at `path` now."""
    try:
        with path.open("r") as file:
            return not try_lock(file)
    except OSError:
        return False
