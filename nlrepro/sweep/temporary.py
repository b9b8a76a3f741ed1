"""The temporary folder of a sweep: in it `multiprocessing` talks to the server of its runs, and these have temporary files.

A killed sweep cannot remove it; the next one does.
"""

import os
import tempfile
from functools import cache
from multiprocessing import parent_process
from multiprocessing.util import get_temp_dir
from pathlib import Path
from shutil import rmtree
from typing import IO

from nlrepro.files import is_locked, taken

MARK = "nlrepro.lock"


@cache
def mark_temporary_folder() -> IO[str] | None:
    """Lock a file in this process's folder for as long as the process lives, and remove the folders of sweeps that were killed.

    A process that `multiprocessing` has started has no folder of its own but that of the one that asked for it.
    """
    if parent_process():
        return None
    for mark in Path(tempfile.gettempdir()).glob(f"pymp-*/{MARK}"):
        if not is_locked(mark):
            rmtree(mark.parent, ignore_errors=True)
    os.environ["TMPDIR"] = get_temp_dir()  # of the processes that this one starts: wandb leaves folders there
    file = (Path(get_temp_dir()) / MARK).open("a")
    taken(file)
    return file
