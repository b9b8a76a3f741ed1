"""The generated scenes behind `mini` of Tables 5 and 6: which ink has the card far away?

Several handwritten digits (scikit-learn's optdigits) in red or green ink, at least one of each, lie clear of each other on a grey
image. One small solid card lies far from all of them, in one of the two inks. The category of all digits is 1 if the
card is red and 2 if it is green. So who sees a digit alone finds it, but does not know its category. The card is no object.

With `hidden`, a part of the digits has an invisible patch of the background's colour over a third to a half of the digit's
square, from one of its four sides. With `twins`, every digit is there twice, in the same handwriting, side and ink, the two far
apart; patches of two twins come from opposite sides, so that each shows what the other hides.

Everything is a function of (settings, split, index). Handwritings of one split are never seen in another.
"""

from typing import NamedTuple

import numpy as np

from nlrepro.coco.layout import Digit, Layout, Scenes, layout
from nlrepro.coco.strokes import Bools, keypoints
from nlrepro.data import Frames
from nlrepro.data.synthetic import INKS, Floats, background, card_image, finish, paint, random_of

INK = 0.5  # of a pixel's area: above, the pixel is of the digit's mask


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
    if task.categories == "card ink":
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
