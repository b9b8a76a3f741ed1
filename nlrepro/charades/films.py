"""The generated videos behind `mini` of Table 4: which digits have the early card's ink, and which the late card's?

Three or four different handwritten digits (scikit-learn's optdigits) are seen in a video, each for a part of it, at different
times and places, in red or green ink, at least one of each. An early card is seen in some frames of the first half, a late one
in the second half, each in one of the two inks. Digit number i of the profile's list is

    class 2 i      if it has the ink of the early card
    class 2 i + 1  if it has the ink of the late card

so that it has none of the two classes, one or both; they hold while the digit is seen. Who sees a digit alone knows that two
classes may hold and is right half of the time; to be sure is to compare it with things far away in space and in time.

Everything is a function of (settings, split, index). Handwritings of one split are never seen in another.
"""

from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from nlrepro.charades.annotations import Action
from nlrepro.config import AtLeastOne, Seed
from nlrepro.data import Frames
from nlrepro.data.synthetic import INKS, TRIES, Box, background, card_image, digit_images, finish, paint, random_box, random_of
from nlrepro.files import BadInput
from nlrepro.spec import STRICT, Part

RATE = 30  # frames a second
AGAIN = 100  # draws of places after which all begin again, for those that lie may leave no room


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Films:
    """Settings: sizes in pixels, times in frames, ranges with both ends."""

    seed: Seed  # raise it whenever the drawing changes
    videos: dict[Part, AtLeastOne]  # part -> number of videos
    size: AtLeastOne
    frames: AtLeastOne
    digits: tuple[Annotated[int, Field(ge=0, le=9)], ...]
    shown: tuple[AtLeastOne, AtLeastOne]  # range of the number of digits in a video
    digit: AtLeastOne  # side
    card: AtLeastOne  # side
    digit_frames: AtLeastOne  # that a digit is seen for
    card_frames: AtLeastOne  # that a card is seen for
    tint: float  # of the grey background, of 255
    noise: float  # standard deviation, of 255
    crf: int  # H.264 constant rate factor

    @property
    def classes(self) -> int:
        return 2 * len(self.digits)


class Thing(NamedTuple):
    """A digit or a card: its ink, its square, and the frames that it is seen in."""

    ink: str
    square: Box
    when: slice


class Plot(NamedTuple):
    """What a video shows."""

    cards: tuple[Thing, Thing]  # early and late
    digits: dict[int, Thing]


def film(task: Films, part: Part, index: int) -> tuple[Frames, tuple[Action, ...]]:
    """Video `index` of a part, (T, H, W, 3), and its actions.

    Raises:
        BadInput: the settings leave no room.
    """
    found = plot(task, part, index)
    return draw(task, part, found, random_of(task, f"{part}-pixels", index)), actions(task, found)


def plot(task: Films, part: Part, index: int) -> Plot:
    rng = random_of(task, part, index)
    number = int(rng.integers(task.shown[0], task.shown[1] + 1))
    digits = rng.choice(task.digits, number, replace=False).tolist()
    inks = rng.permutation([*INKS, *rng.choice(list(INKS), number - len(INKS))]).tolist()
    squares = places(task, number, rng)
    half = task.frames // 2
    when = seen(half, task.card_frames, rng), seen(half, task.card_frames, rng, after=half)
    cards = [Thing(str(rng.choice(list(INKS))), square, frames) for square, frames in zip(squares[:2], when, strict=True)]
    times = [seen(task.frames, task.digit_frames, rng) for _ in digits]
    things = [Thing(*parts) for parts in zip(inks, squares[2:], times, strict=True)]
    return Plot((cards[0], cards[1]), dict(zip(digits, things, strict=True)))


def seen(frames: int, length: int, rng: np.random.Generator, after: int = 0) -> slice:
    """So many of these frames, any begin equally likely."""
    begin = after + int(rng.integers(frames - length + 1))
    return slice(begin, begin + length)


def places(task: Films, number: int, rng: np.random.Generator) -> list[Box]:
    """Squares for the two cards, then for so many digits, all clear of each other.

    Raises:
        BadInput: there seems to be no room for them.
    """
    sides = [task.card] * 2 + [task.digit] * number
    boxes: list[Box] = []
    for i in range(TRIES):
        boxes = [] if i % AGAIN == 0 else boxes
        box = random_box(task.size, sides[len(boxes)], rng)
        if all(box.clear_of(other) for other in boxes):
            boxes.append(box)
        if len(boxes) == len(sides):
            return boxes
    raise BadInput(
        f"no room for {number} digits of {task.digit} px and two cards of {task.card} px in {task.size} px; make `size` larger, "
        "or the others smaller, in [films] of the profile"
    )


def draw(task: Films, part: Part, found: Plot, rng: np.random.Generator) -> Frames:
    """The frames (T, H, W, 3); a card's ink changes nothing but the card's square."""
    video = background(task, task.frames, rng)
    for card in found.cards:
        paint(video[card.when], card_image(task), card.ink, card.square)
    for digit, thing in found.digits.items():
        images = digit_images(digit, part, task.digit)
        paint(video[thing.when], images[rng.integers(len(images))], thing.ink, thing.square)
    return finish(video, task, rng)


def actions(task: Films, found: Plot) -> tuple[Action, ...]:
    """The classes that hold, and when, in seconds."""
    return tuple(
        Action(2 * task.digits.index(digit) + late, thing.when.start / RATE, thing.when.stop / RATE)
        for digit, thing in found.digits.items()
        for late, card in enumerate(found.cards)
        if card.ink == thing.ink
    )
