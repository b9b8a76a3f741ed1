"""Files are written atomically: whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from nlrepro.errors import BadInput


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises:
        BadInput: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}; check the permissions of the folder above it") from None


@contextmanager
def atomic(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """A file to write under a temporary name beside `path`; moved there when the block ends well, removed when it does not.

    No reader ever sees half a file, and a loss of power leaves none, as the content is on the disk before the name is. Without
    `sync` a write takes some milliseconds less, but a loss of power may leave an empty file.

    Raises:
        BadInput: the folder cannot be written, or the disk is full; an older file at `path` stays as it was.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            yield cast(BinaryIO, file)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}; check the permissions and the free space of its folder") from None
    finally:
        if temporary:
            with suppress(OSError):  # of a folder that lost its permission: the error above is the one to tell
                os.unlink(temporary)


def write_atomic(path: Path, content: bytes | str, *, sync: bool = True) -> None:
    """Write a file whole or not at all, with the errors of `atomic`."""
    with atomic(path, sync=sync) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def remove_temporaries(path: Path) -> None:
    """Remove the temporary files that killed writers of `path` left; call it only when no process can be writing `path`."""
    for temporary in path.parent.glob(f".{path.name}.*"):
        temporary.unlink(missing_ok=True)
