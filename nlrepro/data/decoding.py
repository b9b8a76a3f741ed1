"""Video files -> frames: decord where it is installed, for all that it can read, and PyAV for the rest. It imports no torch.

Both give the same frames (tests/test_decoding.py), equal in every pixel but for what `with_pyav` says. A file is always read by
the same one: by decord, unless that raises `NoDecoder`.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlrepro.data import Frames, with_pyav
from nlrepro.data.unusable import NoDecoder, Unusable

__all__ = ["READER", "Unusable", "frame_times", "frames", "picture_size"]

READER = "decord" if find_spec("decord") else "av"  # the package

if READER == "decord":
    from nlrepro.data import with_decord as first
else:
    first = with_pyav  # type: ignore[misc]  # another module of the same functions


def frames(path: Path, wanted: Sequence[int] | None, width: int, height: int) -> Frames:
    """Frames of rising indices, which may repeat, upright and scaled, (T, height, width, 3); None: all.

    Raises:
        Unusable: the file is missing, damaged or too short.
    """
    try:
        return first.frames(path, wanted, width, height)
    except NoDecoder:
        return with_pyav.frames(path, wanted, width, height)


def frame_times(path: Path) -> npt.NDArray[np.float64]:
    """Begin and end of each frame in seconds, (frames, 2), after frames of all parts were decoded.

    Raises:
        Unusable: the file is damaged, or frames that it promises are not there.
    """
    try:
        return first.frame_times(path)
    except NoDecoder:
        return with_pyav.frame_times(path)


def picture_size(path: Path) -> tuple[int, int, int]:
    """Width and height of the upright picture, and the degrees that the display matrix turns it by; of the first frame.

    Raises:
        Unusable: the file has no video that can be decoded.
    """
    return with_pyav.picture_size(path)
