"""Files are written whole or not at all."""

import os
import tempfile
from pathlib import Path

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


def write_whole(path: Path, content: bytes | str) -> None:
    """Write to a temporary name beside `path`, then move it there: a reader never sees half a file.

    Raises:
        BadInput: the folder cannot be written, or the disk is full; an older file at `path` stays as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise BadInput(f"cannot write {path}: {error.strerror}; check the permissions and the free space of its folder") from None
