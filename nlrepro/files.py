"""Files are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from nlrepro.errors import BadInput


def make_folder(path: Path) -> None:
    """
    Raises:
        BadInput: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}; check the permissions of the folder above it") from None


@contextmanager
def whole(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """A file to write under a temporary name beside `path`; moved there when the block ends well, removed when it does not.

    A reader never sees half a file, nor does the next start after the power was lost: the content is on the disk before the name
    is. Without `sync`, which saves some milliseconds a file, a loss of power may leave an empty one.

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


def write_whole(path: Path, content: bytes | str, *, sync: bool = True) -> None:
    """Write a file whole or not at all, with the errors of `whole`."""
    with whole(path, sync=sync) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def tidy(path: Path) -> None:
    """Remove what writers of `path` left that were killed; only for one who knows that no other writes it now."""
    for temporary in path.parent.glob(f".{path.name}.*"):
        temporary.unlink(missing_ok=True)
