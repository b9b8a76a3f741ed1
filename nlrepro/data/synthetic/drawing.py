"""Parts of all generated pictures: handwritten digits and solid cards in red or green ink, on noisy grey.

The digits are scikit-learn's optdigits. Every picture is a function of (settings, split, index).
"""

import zlib
from collections.abc import Callable, Sequence
from functools import cache
from itertools import cycle
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlrepro.config import ActionVideos, Generator, Scenes
from nlrepro.data import Frames

Floats = npt.NDArray[np.float32]
INKS = {"red": (230, 40, 40), "green": (40, 200, 60)}
FOLDS = ("train", "train", "train", "val", "test")  # of every five images of a digit
CLEAR = 2  # pixels between two squares that do not touch
ROUNDS = 100  # of `place_squares`
DRAWS = 100  # of squares in a round; after it all are drawn anew, as the placed ones may leave no room

DrawingSettings = Generator | ActionVideos | Scenes


class Square(NamedTuple):
    """A square in a frame: its upper left corner and side, in pixels."""

    x: int
    y: int
    side: int

    def distance(self, other: "Square") -> float:
        """Pixels between the two centres."""
        half = (self.side - other.side) / 2
        return float(np.hypot(self.x - other.x + half, self.y - other.y + half))

    def clear_of(self, other: "Square", by: int = CLEAR) -> bool:
        """Whether at least `by` pixels lie between the two, across or down."""
        across = max(self.x - other.x - other.side, other.x - self.x - self.side)
        down = max(self.y - other.y - other.side, other.y - self.y - self.side)
        return max(across, down) >= by

    def inside(self, size: int) -> bool:
        return min(self.x, self.y) >= 0 and max(self.x, self.y) + self.side <= size


def random_generator(settings: DrawingSettings, split: str, index: int) -> np.random.Generator:
    """The random numbers of one picture: the same in every process, on every machine."""
    return np.random.default_rng([settings.seed, zlib.crc32(split.encode()), index])


def random_square(size: int, side: int, rng: np.random.Generator) -> Square:
    """A square at any place of a frame, all equally likely."""
    x, y = rng.integers(0, size - side + 1, 2)
    return Square(int(x), int(y), side)


def place_squares(
    size: int,
    sides: Sequence[int],
    rng: np.random.Generator,
    fits: Callable[[Square, list[Square]], bool] = lambda square, placed: True,
    draws: int = DRAWS,
) -> list[Square] | None:
    """Squares of these sides, each clear of those before it and where it `fits`; None if there is no room."""
    for _ in range(ROUNDS):
        placed: list[Square] = []
        for _ in range(draws):
            square = random_square(size, sides[len(placed)], rng)
            if all(map(square.clear_of, placed)) and fits(square, placed):
                placed.append(square)
            if len(placed) == len(sides):
                return placed
    return None


@cache
def digit_images(digit: int, fold: str, side: int) -> Floats:
    """Handwritten images of one digit, (number, side, side): ink coverage in [0, 1]. Folds share no image."""
    from PIL import Image
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    of_digit = (255 * images[labels == digit].reshape(-1, 8, 8) / 16.0).astype(np.uint8)
    of_fold = [Image.fromarray(image) for image, of in zip(of_digit, cycle(FOLDS)) if of == fold]
    scaled = [image.resize((side, side), Image.Resampling.BICUBIC) for image in of_fold]
    return np.stack([np.asarray(image, np.float32) / 255 for image in scaled])


def random_digit_image(digit: int, fold: str, side: int, rng: np.random.Generator) -> Floats:
    """One of `digit_images`, (side, side)."""
    images = digit_images(digit, fold, side)
    image: Floats = images[rng.integers(len(images))]
    return image


def card_image(settings: DrawingSettings) -> Floats:
    """The ink coverage of a card, (card, card)."""
    return np.ones((settings.card, settings.card), np.float32)


def background(settings: DrawingSettings, frames: int, rng: np.random.Generator) -> Floats:
    """Grey with a slight tint, (T, H, W, 3)."""
    colour = rng.uniform(60, 200) + rng.uniform(-settings.tint, settings.tint, 3)
    return np.broadcast_to(colour, (frames, settings.size, settings.size, 3)).astype(np.float32)


def paint(frames: Floats, coverage: Floats, ink: str, square: Square) -> None:
    """Blend an inked square into frames (T, H, W, 3) in place; `coverage` is (side, side)."""
    x, y, side = square
    part = frames[:, y : y + side, x : x + side]  # (T, side, side, 3)
    part += coverage[..., None] * (np.asarray(INKS[ink], np.float32) - part)


def with_noise(frames: Floats, settings: DrawingSettings, rng: np.random.Generator) -> Frames:
    """The frames with pixel noise, rounded to bytes."""
    noisy = frames + rng.standard_normal(frames.shape, np.float32) * settings.noise
    return noisy.clip(0, 255).astype(np.uint8)
