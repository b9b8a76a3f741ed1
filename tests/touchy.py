"""Work for processes, some of which hangs or dies; apart from its test, whose imports every process would pay for."""

import os
import time
from pathlib import Path

from nlrepro.data.kinetics.facts import Facts, examine


def touchy(folder: Path, video: str) -> Facts:
    """`examine`, but it hangs, dies or fails on files of these names, and leaves a mark for each that it opens."""
    name = Path(video).stem
    with (folder.parent / "opened.txt").open("a") as file:
        file.write(name + "\n")
    if name == "hang":
        time.sleep(60)
    if name == "die":
        os._exit(7)
    if name == "fail":
        raise OSError("the disk is gone")
    return examine(folder, video)


def process(item: int) -> int:
    """The id of the process that works on the item."""
    return os.getpid()
