"""Where the things of a generated scene lie, and which parts of its digits are hidden (scenes.py tells what they are)."""

from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from nlrepro.coco.strokes import Bools
from nlrepro.config import AtLeastOne, Seed
from nlrepro.data.synthetic import INKS, TRIES, Box, Floats, digit_images, random_box, random_of
from nlrepro.files import BadInput
from nlrepro.spec import STRICT

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
