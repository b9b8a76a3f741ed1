"""The generated videos of Table 2, and the stills of pretraining: which digit has the card's ink?

Two handwritten digits and a small solid card appear in a video, one digit in red ink, one in green, the card
in one of the two. The label is the digit that has the card's ink. The kind of a video decides which frames
and places they take, and so what a net must compare to know the label:

    near          card and its digit touch, in the same frames: a local convolution is enough
    far           same frames, far apart: across space
    later         other frames, the same place: across time
    far-later     other frames, far apart: across space and time
    outside-far   as far-later, but a short clip does not show the card: longer clips
    outside-near  its digit is there again and touches it: longer clips, and a local convolution

The digits alone leave two answers, each right half of the time. In `near`, `later` and `outside-near` the
card's place also gives its digit away; in the other kinds both digits are far from the card.
"""

import re

import numpy as np

from nlrepro.config import Generator, VideoKind
from nlrepro.data import Frames
from nlrepro.data.synthetic import drawing
from nlrepro.data.synthetic.drawing import INKS, Floats, Square
from nlrepro.files import BadInput

NAME = re.compile(r"(\d{5})-([a-z-]+)\.mp4")  # of a video's file: index and kind
TOUCHING = ("near", "outside-near")  # kinds in which the card touches its digit
TRIES = 10_000  # draws of places; in mini a video takes about seven


def card_video(settings: Generator, split: str, index: int) -> tuple[Frames, str, VideoKind]:
    """Video `index` of a split (T, H, W, 3), its class name and its kind."""
    rng = drawing.random_generator(settings, split, index)
    video = drawing.background(settings, settings.frames, rng)
    kind, digits, inks = sample_question(settings, rng)
    card, *squares = sample_squares(settings, kind, rng)
    card_frames, digit_frames = sample_times(settings, kind, rng)
    images = [drawing.random_digit_image(digit, split, settings.digit, rng) for digit in digits]
    for image, ink, square in zip(images, inks, squares, strict=True):
        drawing.paint(video[digit_frames], image, ink, square)
    if kind == "outside-near":
        drawing.paint(video[card_frames], images[0], inks[0], squares[0])
    drawing.paint(video[card_frames], drawing.card_image(settings), inks[0], card)
    return drawing.with_noise(video, settings, rng), str(digits[0]), kind


def video_path(settings: Generator, split: str, index: int) -> str:
    """Where video `index` of a split lies: "val/3/00012-far-later.mp4". It draws no picture."""
    rng = drawing.random_generator(settings, split, index)
    drawing.background(settings, 0, rng)  # takes its random numbers
    kind, digits, _ = sample_question(settings, rng)
    return f"{split}/{digits[0]}/{index:05d}-{kind}.mp4"


def kind_of(video: str) -> str:
    """The kind in a file's name: "3/00012-far-later.mp4" -> "far-later"; "" for any other video."""
    name = NAME.fullmatch(video.rpartition("/")[2])
    return name[2] if name else ""


def sample_question(
    settings: Generator, rng: np.random.Generator
) -> tuple[VideoKind, tuple[int, ...], tuple[str, ...]]:
    """Kind, two digits and their inks; the card has the first ink, so the first digit is the label."""
    kind: VideoKind = list(settings.kinds)[rng.choice(len(settings.kinds), p=list(settings.kinds.values()))]
    digits = rng.choice(settings.digits, 2, replace=False).tolist()
    return kind, tuple(digits), tuple(rng.permutation(list(INKS)).tolist())


def sample_squares(
    settings: Generator, kind: VideoKind, rng: np.random.Generator
) -> tuple[Square, Square, Square]:
    """Squares for the card, its digit and the other digit, drawn until they are as the kind requires."""
    size, side, sides = settings.size, settings.card, (settings.digit, settings.digit, settings.card)
    for _ in range(TRIES):
        own, other, card = (drawing.random_square(size, each, rng) for each in sides)
        if kind in TOUCHING:
            card = touching(own, side, rng)
        if kind == "later":
            card = Square(own.x + (own.side - side) // 2, own.y + (own.side - side) // 2, side)
        distance = min(card.distance(own), card.distance(other))
        apart = kind in (*TOUCHING, "later") or distance >= settings.far
        if apart and card.inside(size) and other.clear_of(own) and other.clear_of(card):
            return card, own, other
    raise BadInput(
        f"no room for two digits of {settings.digit} px and a card of {side} px, {kind}, in {size} px,"
        f" far = {settings.far}; make `size` larger, or the others smaller, in [generator] of the profile"
    )


def touching(square: Square, side: int, rng: np.random.Generator) -> Square:
    """A square at one of the four sides of another one, slid along it."""
    slide = int(rng.integers(1 - side // 2, square.side - side // 2))
    dx, dy = ((-side, 0), (square.side, 0), (0, -side), (0, square.side))[rng.integers(4)]
    return Square(square.x + (dx or slide), square.y + (dy or slide), side)


def sample_times(settings: Generator, kind: VideoKind, rng: np.random.Generator) -> tuple[slice, slice]:
    """The frames of the card, and those of the digits.

    A short clip shows frames `shown`. Where a net must compare across time, two frames or more lie between
    card and digits, so that no pooling bridges them; either may come first.
    """
    first, last = settings.shown
    digits = slice(first + 1, last - 1)
    if kind in ("near", "far"):
        start = int(rng.integers(digits.start, digits.stop - settings.card_frames + 1))
        return slice(start, start + settings.card_frames), digits
    card_first = bool(rng.integers(2))
    if kind.startswith("outside"):
        return slice(0, first - 1) if card_first else slice(last + 1, settings.frames), digits
    middle = (first + last) // 2
    if card_first:
        return slice(first, middle - 2), slice(middle, last)
    return slice(middle + 2, last), slice(first, middle)


def tags(settings: Generator) -> list[str]:
    """What a still may show: each digit and the card in each ink."""
    return [f"{item}-{ink}" for item in (*map(str, settings.digits), "card") for ink in INKS]


def pretraining_image(settings: Generator, split: str, index: int) -> tuple[Frames, Floats]:
    """A still (H, W, 3), and which of the `tags` it shows: (tags,) of 0 and 1.

    It is drawn as the videos' frames are: none, one or two digits of different inks, a card in half of the
    stills, and nothing covers anything else. `split` is a fold of digit images and any name of the stills
    drawn from it, such as "val" or "train-3".
    """
    rng = drawing.random_generator(settings, f"stills-{split}", index)
    fold = split.partition("-")[0]
    frame = drawing.background(settings, 1, rng)  # (1, H, W, 3)
    digits = rng.choice(settings.digits, 2, replace=False)[: rng.integers(3)]
    items: list[tuple[str, str]] = list(zip(map(str, digits), rng.permutation(list(INKS)), strict=False))
    if rng.integers(2):
        items.append(("card", str(rng.choice(list(INKS)))))
    present = np.zeros(len(tags(settings)), np.float32)  # (tags,)
    placed: list[Square] = []
    for item, ink in items:
        side = settings.card if item == "card" else settings.digit
        square = drawing.random_square(settings.size, side, rng)
        while not all(square.clear_of(other, by=0) for other in placed):
            square = drawing.random_square(settings.size, side, rng)
        placed.append(square)
        image = drawing.card_image(settings)
        if item != "card":
            image = drawing.random_digit_image(int(item), fold, side, rng)
        drawing.paint(frame, image, ink, square)
        present[tags(settings).index(f"{item}-{ink}")] = 1
    return drawing.with_noise(frame, settings, rng)[0], present


def first_of_each_kind(settings: Generator) -> dict[VideoKind, tuple[Frames, str]]:
    """The first training video of each kind (T, H, W, 3), and its class."""
    examples: dict[VideoKind, tuple[Frames, str]] = {}
    for index in range(settings.videos["train"]):
        video, answer, kind = card_video(settings, "train", index)
        examples.setdefault(kind, (video, answer))
        if len(examples) == len(settings.kinds):
            break
    return {kind: examples[kind] for kind in settings.kinds if kind in examples}
