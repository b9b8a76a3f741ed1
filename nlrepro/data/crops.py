"""Which part of a real video a net sees: where the clip lies in time, how its frames are scaled, cropped and flipped (section 4).

All of it is drawn before the video is opened, so that a clip is a function of (seed, step) alone.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nlrepro.config import Real
from nlrepro.data import Frames

MIDDLE = 0.5


class Crop(NamedTuple):
    """Scale the shorter side to `side` pixels, then cut a square of `size`: at x, y = 0 left and top, 1 right and bottom."""

    side: int
    size: int | None = None  # None: the whole frame
    x: float = MIDDLE
    y: float = MIDDLE
    flip: bool = False


class ClipSample(NamedTuple):
    """A clip that is asked for: its first frame lies at the fraction `where` of the possible ones."""

    video: int
    where: float
    crop: Crop | None = None  # None: frames are square and of the net's size already


def training_crops(real: Real, size: int, seed: int, first: int) -> Iterator[Crop]:
    """Scale jitter, a random crop and a flip for every clip, from number `first` on."""
    low, high = real.train_sides
    for number in range(first, 1 << 62):
        random = np.random.default_rng([seed, 1, number])
        x, y = random.random(2).tolist()
        yield Crop(int(random.integers(low, high + 1)), size, x, y, bool(random.integers(2)))


def view_crops(real: Real, release: bool) -> list[Crop]:
    """The text tests whole frames of any shape, the released code three squares along the longer side."""
    if release:
        return [Crop(real.test_side, real.test_side, place, place) for place in (0.0, MIDDLE, 1.0)]
    return [Crop(real.test_side)]


def scaled(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height when the shorter of them becomes `side` pixels and their ratio stays."""
    shorter = min(width, height)
    return max(round(width * side / shorter), side), max(round(height * side / shorter), side)


def cropped(frames: Frames, crop: Crop) -> Frames:
    """Crop and flip: (T, H, W, 3) -> (T, size, size, 3), or the whole frames."""
    if crop.size:
        _, height, width, _ = frames.shape
        top, left = round(crop.y * (height - crop.size)), round(crop.x * (width - crop.size))
        frames = frames[:, top : top + crop.size, left : left + crop.size]  # (T, size, size, 3)
    return frames[:, :, ::-1] if crop.flip else frames
