"""Which part of a real video a net sees: where the clip lies in time, how its frames are scaled, cropped and flipped (section 4).

All of it is drawn before the video is opened, so that a clip is a function of (seed, step) alone.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nlrepro.data.videos import Frames
from nlrepro.profile import Real

MIDDLE = 0.5


class Framing(NamedTuple):
    """Scale the shorter side to `side` pixels, then cut a square of `crop`: at x, y = 0 left and top, 1 right and bottom."""

    side: int
    crop: int | None = None  # None: the whole frame
    x: float = MIDDLE
    y: float = MIDDLE
    flip: bool = False


class Draw(NamedTuple):
    """A clip that is asked for: its first frame lies at the fraction `where` of the possible ones."""

    video: int
    where: float
    framing: Framing | None = None  # None: frames are square and of the net's size already


def training_framings(real: Real, size: int, seed: int, first: int) -> Iterator[Framing]:
    """Scale jitter, a random crop and a flip for every clip, from number `first` on."""
    low, high = real.train_sides
    for number in range(first, 1 << 62):
        random = np.random.default_rng([seed, 1, number])
        x, y = random.random(2).tolist()
        yield Framing(int(random.integers(low, high + 1)), size, x, y, bool(random.integers(2)))


def test_framings(real: Real, release: bool) -> list[Framing]:
    """The text tests whole frames of any shape, the released code three squares along the longer side."""
    if release:
        return [Framing(real.test_side, real.test_side, place, place) for place in (0.0, MIDDLE, 1.0)]
    return [Framing(real.test_side)]


def scaled(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height when the shorter of them becomes `side` pixels and their ratio stays."""
    shorter = min(width, height)
    return max(round(width * side / shorter), side), max(round(height * side / shorter), side)


def framed(frames: Frames, framing: Framing) -> Frames:
    """Crop and flip: (T, H, W, 3) -> (T, crop, crop, 3), or the whole frames."""
    if framing.crop:
        _, height, width, _ = frames.shape
        top, left = round(framing.y * (height - framing.crop)), round(framing.x * (width - framing.crop))
        frames = frames[:, top : top + framing.crop, left : left + framing.crop]  # (T, crop, crop, 3)
    return frames[:, :, ::-1] if framing.flip else frames
