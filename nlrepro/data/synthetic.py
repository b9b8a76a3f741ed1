"""The generated video task behind `mini` and `smoke`: which digit has the card's ink?

Two handwritten digits (scikit-learn's optdigits) and a small solid card appear in a video, one digit in red ink, one in green,
the card in one of the two. The label is the digit that has the card's ink. Which frames and places they take is drawn on
purpose: the `VideoKind` of a video says what has to be compared to know its label.

    near       card and its digit touch, in the same frames: a local convolution can tell
    far        same frames, far apart: needs to compare across space
    later      other frames, the same place: across time
    far-later  other frames, far apart: across space and time
    outside    the card is in frames that a short clip does not show: longer clips

Where the digits alone are seen, either of the two is right half of the time. In `near` and `later` the card's place would tell
its digit too; in the others both digits are as far from it.

Everything is a function of (generator settings, split, index). Digit images of one split are never seen in another.
"""

import re
import zlib
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from nlrepro.config import Generator, VideoKind
from nlrepro.data import Frames
from nlrepro.files import BadInput

Floats = npt.NDArray[np.float32]
INKS = {"red": (230, 40, 40), "green": (40, 200, 60)}
FOLDS = ("train", "train", "train", "val", "test")  # of every five images of a digit
TRIES = 10_000  # draws of places; in mini a video takes about seven
CLEAR = 2  # pixels between two things that do not touch
NAME = re.compile(r"(\d{5})-([a-z-]+)\.mp4")  # of a video's file: index and kind


class Look(Protocol):
    """The settings that all pictures have; `Generator` tells what they mean."""

    @property
    def seed(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def card(self) -> int: ...
    @property
    def tint(self) -> float: ...
    @property
    def noise(self) -> float: ...


def kind_of(video: str) -> str:
    """The kind that a file's name tells: "3/00012-far-later.mp4" -> "far-later"; "" for a video of others."""
    name = NAME.fullmatch(video.rpartition("/")[2])
    return name[2] if name else ""


@cache
def digit_images(digit: int, fold: str, side: int) -> Floats:
    """Handwritten images of one digit as ink coverage in [0, 1], (number, side, side); folds share no image."""
    from PIL import Image
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    of_digit = images[labels == digit].reshape(-1, 8, 8) / 16.0
    of_fold = [image for i, image in enumerate(of_digit) if FOLDS[i % len(FOLDS)] == fold]
    pictures = [Image.fromarray((255 * image).astype(np.uint8)) for image in of_fold]
    return np.stack([np.asarray(p.resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255 for p in pictures])


class Box(NamedTuple):
    """A square in a frame: its upper left corner and side, in pixels."""

    x: int
    y: int
    side: int

    def distance(self, other: "Box") -> float:
        """Pixels between the two centres."""
        half = (self.side - other.side) / 2
        return float(np.hypot(self.x - other.x + half, self.y - other.y + half))

    def clear_of(self, other: "Box", by: int = CLEAR) -> bool:
        across = max(self.x - other.x - other.side, other.x - self.x - self.side)
        down = max(self.y - other.y - other.side, other.y - self.y - self.side)
        return max(across, down) >= by

    def inside(self, size: int) -> bool:
        return min(self.x, self.y) >= 0 and max(self.x, self.y) + self.side <= size


def random_box(size: int, side: int, rng: np.random.Generator) -> Box:
    """A square at any place of a frame, all equally likely."""
    x, y = rng.integers(0, size - side + 1, 2)
    return Box(int(x), int(y), side)


def touching(box: Box, side: int, rng: np.random.Generator) -> Box:
    """A square at one of the four sides of `box`, slid along it."""
    slide = int(rng.integers(1 - side // 2, box.side - side // 2))
    dx, dy = ((-side, 0), (box.side, 0), (0, -side), (0, box.side))[rng.integers(4)]
    return Box(box.x + (dx or slide), box.y + (dy or slide), side)


def places(task: Generator, kind: VideoKind, rng: np.random.Generator) -> tuple[Box, Box, Box]:
    """Squares for the card, its digit and the other digit, drawn again until they are as the kind wants them.

    Raises:
        BadInput: there seems to be no room for them.
    """
    for _ in range(TRIES):
        its, other, card = (random_box(task.size, side, rng) for side in (task.digit, task.digit, task.card))
        if kind == "near":
            card = touching(its, task.card, rng)
        if kind == "later":
            card = Box(its.x + (its.side - task.card) // 2, its.y + (its.side - task.card) // 2, task.card)
        apart = kind in ("near", "later") or min(card.distance(its), card.distance(other)) >= task.far
        if apart and card.inside(task.size) and other.clear_of(its) and other.clear_of(card):
            return card, its, other
    raise BadInput(
        f"no room for two digits of {task.digit} px and a card of {task.card} px, {kind}, in {task.size} px, far = {task.far};"
        " make `size` larger, or the others smaller, in [generator] of the profile"
    )


def times(task: Generator, kind: VideoKind, rng: np.random.Generator) -> tuple[slice, slice]:
    """The frames of the card and of the digits.

    A short clip shows frames `shown`. Card and digits of the kinds that need to compare across time are two frames or more
    apart, so that no pooling bridges them, in either order.
    """
    first, last = task.shown
    digits = slice(first + 1, last - 1)
    if kind in ("near", "far"):
        start = int(rng.integers(digits.start, digits.stop - task.card_frames + 1))
        return slice(start, start + task.card_frames), digits
    begins = bool(rng.integers(2))
    if kind == "outside":
        return slice(0, first - 1) if begins else slice(last + 1, task.frames), digits
    middle = (first + last) // 2
    return (slice(first, middle - 2), slice(middle, last)) if begins else (slice(middle + 2, last), slice(first, middle))


def paint(frames: Floats, coverage: Floats, ink: str, box: Box) -> None:
    """Blend an inked square into frames (T, H, W, 3) in place."""
    part = frames[:, box.y : box.y + box.side, box.x : box.x + box.side]  # (T, side, side, 3)
    part += coverage[..., None] * (np.asarray(INKS[ink], np.float32) - part)


def digit_image(task: Generator, digit: int, split: str, rng: np.random.Generator) -> Floats:
    images = digit_images(digit, split, task.digit)
    image: Floats = images[rng.integers(len(images))]
    return image


def card_image(task: Look) -> Floats:
    return np.ones((task.card, task.card), np.float32)


def background(task: Look, frames: int, rng: np.random.Generator) -> Floats:
    """Grey with a slight tint, (T, H, W, 3)."""
    colour = rng.uniform(60, 200) + rng.uniform(-task.tint, task.tint, 3)
    return np.broadcast_to(colour, (frames, task.size, task.size, 3)).astype(np.float32)


def finish(video: Floats, task: Look, rng: np.random.Generator) -> Frames:
    """Add pixel noise and round to bytes."""
    noisy = video + rng.standard_normal(video.shape, np.float32) * task.noise
    return noisy.clip(0, 255).astype(np.uint8)


def random_of(task: Look, split: str, index: int) -> np.random.Generator:
    """The random numbers of one video: the same in every process, on every machine."""
    return np.random.default_rng([task.seed, zlib.crc32(split.encode()), index])


def card_video(task: Generator, split: str, index: int) -> tuple[Frames, str, VideoKind]:
    """Video `index` of a split (T, H, W, 3), its class name and its kind."""
    rng = random_of(task, split, index)
    video = background(task, task.frames, rng)
    kind: VideoKind = list(task.kinds)[rng.choice(len(task.kinds), p=list(task.kinds.values()))]
    digits = [int(digit) for digit in rng.choice(task.digits, 2, replace=False)]
    inks = [str(ink) for ink in rng.permutation(list(INKS))]
    card, *boxes = places(task, kind, rng)
    when, visible = times(task, kind, rng)
    for digit, ink, box in zip(digits, inks, boxes, strict=True):
        paint(video[visible], digit_image(task, digit, split, rng), ink, box)
    paint(video[when], card_image(task), inks[0], card)
    return finish(video, task, rng), str(digits[0]), kind


def tags(task: Generator) -> list[str]:
    """What a pretraining image may show: each digit and the card in each ink."""
    return [f"{thing}-{ink}" for thing in (*map(str, task.digits), "card") for ink in INKS]


def pretraining_image(task: Generator, split: str, index: int) -> tuple[Frames, npt.NDArray[np.float32]]:
    """A pretraining image (H, W, 3), and which of the `tags` it shows: (tags,) of 0 and 1.

    `split` is a fold of digit images and whatever tells apart the images drawn from it, such as "val" or "train-3".

    It is drawn as the frames of the videos are: none, one or two digits of different inks, a card in half of the images, and
    nothing covers anything else.
    """
    rng = random_of(task, f"stills-{split}", index)
    fold = split.partition("-")[0]
    frame = background(task, 1, rng)
    shown = np.zeros(len(tags(task)), np.float32)
    digits = rng.choice(task.digits, 2, replace=False)[: rng.integers(3)]
    things: list[tuple[str, str]] = list(zip(map(str, digits), rng.permutation(list(INKS)), strict=False))
    if rng.integers(2):
        things.append(("card", str(rng.choice(list(INKS)))))
    boxes: list[Box] = []
    for thing, ink in things:
        side = task.card if thing == "card" else task.digit
        box = random_box(task.size, side, rng)
        while not all(box.clear_of(other, by=0) for other in boxes):
            box = random_box(task.size, side, rng)
        boxes.append(box)
        paint(frame, card_image(task) if thing == "card" else digit_image(task, int(thing), fold, rng), ink, box)
        shown[tags(task).index(f"{thing}-{ink}")] = 1
    return finish(frame, task, rng)[0], shown
