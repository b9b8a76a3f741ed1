"""The generated scenes behind `mini` of Tables 5 and 6: which ink has the card far away?

Several handwritten digits (scikit-learn's optdigits) in red or green ink, at least one of each, lie clear of each other on a grey
image. One small solid card lies far from all of them, in one of the two inks. The category of all digits is 1 if the
card is red and 2 if it is green. So who sees a digit alone finds it, but does not know its category. The card is no object.

With `hidden`, a part of the digits has an invisible patch of the background's colour over a third to a half of the digit's
square, from one of its four sides. With `twins`, every digit is there twice, in the same handwriting, side and ink, the two far
apart; patches of two twins come from opposite sides, so that each shows what the other hides.

Everything is a function of (settings, split, index). Handwritings of one split are never seen in another.
"""

from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from nlrepro.coco.strokes import Bools, keypoints
from nlrepro.data import Frames
from nlrepro.data.synthetic import (
    INKS,
    TRIES,
    Box,
    Floats,
    background,
    card_image,
    digit_images,
    finish,
    paint,
    random_box,
    random_of,
)
from nlrepro.errors import BadInput
from nlrepro.profile import STRICT, AtLeastOne, Seed

INK = 0.5  # of a pixel's area: above, the pixel is of the digit's mask
AGAIN = 100  # draws of places after which all begin again, for those that lie may leave no room


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Scenes:
    """Settings: lengths in pixels, ranges with both ends."""

    seed: Seed  # raise it whenever the drawing changes
    images: dict[str, AtLeastOne]  # split (train, val, test) -> number of images
    size: AtLeastOne  # of an image's sides
    digits: tuple[Annotated[int, Field(ge=0, le=9)], ...]
    digit: tuple[AtLeastOne, AtLeastOne]  # range of a digit's side
    card: AtLeastOne  # side
    objects: tuple[AtLeastOne, AtLeastOne]  # range of the number of digits in a scene
    far: float  # least distance between the centres of the card and of each digit, and of two twins
    tint: float  # of the grey background, of 255
    noise: float  # standard deviation, of 255
    hidden: Annotated[float, Field(ge=0, le=1)]  # the share of digits that are partly hidden
    twins: bool
    told: Literal["card", "things"] = "card"  # "things": categories are the inks of digits, and of the card, which is an object

    @property
    def copies(self) -> int:
        """How often each handwriting is in a scene."""
        return 2 if self.twins else 1

    @property
    def handwritings(self) -> range:
        """The numbers of different handwritings that a scene may have: two or more, for there are two inks.

        Raises:
            BadInput: there is no such number.
        """
        first, last = self.objects
        found = range(max(len(INKS), -(-first // self.copies)), last // self.copies + 1)
        if not found:
            least = f"{'even ' * self.twins}number of at least {len(INKS) * self.copies}"
            raise BadInput(f"objects = {list(self.objects)} has no {least}; make it wider")
        return found


class Digit(NamedTuple):
    """A digit as it is drawn: what it is, its ink, where its square lies, and of each pixel of the square (side, side) how far
    ink covers it and whether the patch does.
    """

    number: int
    ink: str
    square: Box
    strokes: Floats
    patch: Bools


class Layout(NamedTuple):
    """What a scene shows; of twins each stands beside the other."""

    card: Box
    ink: str  # of the card
    digits: tuple[Digit, ...]


class Thing(NamedTuple):
    """An object as it is annotated, as if no patch were there: only the visibility of keypoints knows of it."""

    digit: Digit
    category: int  # the number of the card's ink, from 1; see `told`
    mask: Bools  # (H, W)
    box: tuple[int, int, int, int]  # x, y, width, height: of the mask
    keypoints: Floats  # (17, 3): x, y, visibility


class Scene(NamedTuple):
    picture: Frames  # (H, W, 3)
    things: tuple[Thing, ...]


def scene(task: Scenes, split: str, index: int) -> Scene:
    """Scene `index` of a split.

    Raises:
        BadInput: the settings leave no room.
    """
    found = layout(task, split, index)
    picture = draw(task, found, random_of(task, f"{split}-picture", index))
    return Scene(picture, tuple(thing(digit, category, task.size) for digit, category in told(task, found)))


def told(task: Scenes, found: Layout) -> list[tuple[Digit, int]]:
    """The objects with their categories."""
    if task.told == "card":
        return [(digit, number_of(found.ink)) for digit in found.digits]
    own = [(digit, number_of(digit.ink)) for digit in found.digits]
    return [*own, (as_digit(found), len(INKS) + number_of(found.ink))]


def number_of(ink: str) -> int:
    """From 1."""
    return 1 + list(INKS).index(ink)


def as_digit(found: Layout) -> Digit:
    """The card as an object among the digits."""
    whole = (found.card.side, found.card.side)
    return Digit(-1, found.ink, found.card, np.ones(whole, np.float32), np.zeros(whole, bool))


def layout(task: Scenes, split: str, index: int) -> Layout:
    rng = random_of(task, split, index)
    number = int(rng.choice(task.handwritings))
    inks = [*rng.permutation(list(INKS)), *rng.choice(list(INKS), number - len(INKS))]
    sides = rng.integers(task.digit[0], task.digit[1] + 1, number)
    card, *squares = places(task, [int(side) for side in np.repeat(sides, task.copies)], rng)
    digits: list[Digit] = []
    for i, ink in enumerate(inks):
        digits += handwriting(task, split, str(ink), squares[i * task.copies : (i + 1) * task.copies], rng)
    return Layout(card, str(rng.choice(list(INKS))), tuple(digits))


def places(task: Scenes, sides: list[int], rng: np.random.Generator) -> list[Box]:
    """The card's square, then one for each of these sides.

    Raises:
        BadInput: there seems to be no room for them.
    """
    for i in range(TRIES):
        if i % AGAIN == 0:
            card, boxes = random_box(task.size, task.card, rng), list[Box]()
        box = random_box(task.size, sides[len(boxes)], rng)
        twin = boxes[-1:] if len(boxes) % task.copies else []
        clear = all(box.clear_of(other) for other in (card, *boxes))
        if clear and all(box.distance(other) >= task.far for other in (card, *twin)):
            boxes.append(box)
        if len(boxes) == len(sides):
            return [card, *boxes]
    raise BadInput(
        f"no room for {len(sides)} digits of up to {task.digit[1]} px and a card of {task.card} px in {task.size} px, "
        f"far = {task.far}; make `size` larger, or the others smaller"
    )


def handwriting(task: Scenes, split: str, ink: str, squares: list[Box], rng: np.random.Generator) -> list[Digit]:
    """One digit in one handwriting, at one or, as twins, two places."""
    number, side = int(rng.choice(task.digits)), squares[0].side
    images = digit_images(number, split, side)
    strokes: Floats = images[rng.integers(len(images))]
    edge = int(rng.integers(4))
    return [Digit(number, ink, square, strokes, patch(task, side, edge + 2 * i, rng)) for i, square in enumerate(squares)]


def patch(task: Scenes, side: int, edge: int, rng: np.random.Generator) -> Bools:
    """Which pixels (side, side) of a digit's square are hidden: none, or all up to some depth from an edge, number 0 to 3.

    Edges 0 and 2 are opposite, and so are 1 and 3; no patch is deeper than half of the square.
    """
    found = np.zeros((side, side), bool)
    if rng.random() < task.hidden:
        found[: rng.integers(round(side / 3), side // 2 + 1)] = True
    return np.rot90(found, edge)


def draw(task: Scenes, found: Layout, rng: np.random.Generator) -> Frames:
    """The picture (H, W, 3); the card's ink changes nothing but the card's square."""
    frame = background(task, 1, rng)  # (1, H, W, 3)
    paint(frame, card_image(task), found.ink, found.card)
    for digit in found.digits:
        paint(frame, digit.strokes * ~digit.patch, digit.ink, digit.square)
    return finish(frame, task, rng)[0]


def thing(digit: Digit, category: int, size: int) -> Thing:
    """A digit as an object of an image of this size."""
    x, y, side = digit.square
    mask = np.zeros((size, size), bool)
    mask[y : y + side, x : x + side] = digit.strokes > INK
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
    points = keypoints(digit.strokes > INK, digit.patch)
    points[points[:, 2] > 0, :2] += (x, y)
    return Thing(digit, category, mask, box, points)
