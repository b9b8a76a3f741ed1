"""The generated images of Tables 5 and 6: which ink has the card far away?

Several handwritten digits in red or green ink, at least one of each, lie clear of each other. One small solid
card lies far from all of them, in one of the two inks. The category of all digits is 1 if the card is red and
2 if it is green: a digit alone can be detected, but its category is in the distant card, which is no object.

With `categories` "own ink" each digit has the category of its own ink, and the card is an object too:
detectors learn to see from such images before they are trained on the others.

With `hidden`, a part of the digits has an invisible patch, in the background's colour, over a third to a half
of the digit's square, from one of its four sides. With `twins`, every digit is there twice, in the same
handwriting, side and ink, the two far apart; the patches of twins come from opposite sides, so that each
shows what the other hides.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlrepro.config import Scenes
from nlrepro.data import Frames
from nlrepro.data.synthetic import drawing
from nlrepro.data.synthetic.drawing import DRAWS, INKS, Floats, Square
from nlrepro.files import BadInput

Bools = npt.NDArray[np.bool_]
INK = 0.5  # coverage above which a pixel belongs to a digit's mask
BANDS = 8  # rows, and columns, of a digit's keypoints


class Glyph(NamedTuple):
    """A digit, or the card, as it is drawn."""

    number: int  # -1: the card
    ink: str
    square: Square
    strokes: Floats  # (side, side): ink coverage
    patch: Bools  # (side, side): what is hidden


class Layout(NamedTuple):
    """What a scene shows; twins stand next to each other."""

    card: Square
    ink: str  # of the card
    digits: tuple[Glyph, ...]


class SceneObject(NamedTuple):
    """An annotated object, as if no patch were there: only the visibility of keypoints depends on patches."""

    glyph: Glyph
    category: int  # from 1; see `annotated_objects`
    mask: Bools  # (H, W)
    box: tuple[int, int, int, int]  # x, y, width, height: of the mask
    keypoints: Floats  # (17, 3): x, y, visibility


def render_scene(settings: Scenes, split: str, index: int) -> tuple[Frames, tuple[SceneObject, ...]]:
    """Image `index` of a split (H, W, 3), and its objects."""
    layout = sample_layout(settings, split, index)
    image = render_layout(settings, layout, drawing.random_generator(settings, f"{split}-picture", index))
    objects = annotated_objects(settings, layout)
    return image, tuple(annotate(glyph, category, settings.size) for glyph, category in objects)


def sample_layout(settings: Scenes, split: str, index: int) -> Layout:
    rng, copies = drawing.random_generator(settings, split, index), settings.copies
    count = int(rng.choice(handwriting_counts(settings)))
    inks = [*rng.permutation(list(INKS)), *rng.choice(list(INKS), count - len(INKS))]
    sides = np.repeat(rng.integers(settings.digit[0], settings.digit[1] + 1, count), copies).tolist()
    card, *squares = sample_squares(settings, sides, rng)
    digits: list[Glyph] = []
    for i, ink in enumerate(inks):
        same = squares[i * copies : (i + 1) * copies]  # of one handwriting: one place, or those of twins
        number = int(rng.choice(settings.digits))
        strokes = drawing.random_digit_image(number, split, same[0].side, rng)
        edge = int(rng.integers(4))
        for twin, square in enumerate(same):
            patch = sample_patch(settings, square.side, edge + 2 * twin, rng)
            digits.append(Glyph(number, str(ink), square, strokes, patch))
    return Layout(card, str(rng.choice(list(INKS))), tuple(digits))


def handwriting_counts(settings: Scenes) -> range:
    """The numbers of different handwritings that a scene may have: two or more, for there are two inks."""
    first, last = settings.objects
    counts = range(max(len(INKS), -(-first // settings.copies)), last // settings.copies + 1)
    if not counts:
        least = f"{'even ' * settings.twins}number of at least {len(INKS) * settings.copies}"
        raise BadInput(f"objects = {list(settings.objects)} has no {least}; make it wider")
    return counts


def sample_squares(settings: Scenes, sides: list[int], rng: np.random.Generator) -> list[Square]:
    """The card's square, then one for each of these sides."""

    def fits(new: Square, placed: list[Square]) -> bool:
        twin = placed[-1:] if (len(placed) - 1) % settings.copies else []
        return all(new.distance(other) >= settings.far for other in (*placed[:1], *twin))

    draws = 1 + DRAWS  # 1: the card
    squares = drawing.place_squares(settings.size, [settings.card, *sides], rng, fits, draws)
    if squares is None:
        raise BadInput(
            f"no room for {len(sides)} digits of up to {settings.digit[1]} px and a card of {settings.card}"
            f" px in {settings.size} px, far = {settings.far}; make `size` larger, or the others smaller"
        )
    return squares


def sample_patch(settings: Scenes, side: int, edge: int, rng: np.random.Generator) -> Bools:
    """The hidden pixels (side, side) of a digit's square: none, or all up to some depth from an edge, 0 to 3.

    Edges 0 and 2 are opposite, and so are 1 and 3; no patch is deeper than half of the square.
    """
    patch = np.zeros((side, side), bool)
    if rng.random() < settings.hidden:
        patch[: rng.integers(round(side / 3), side // 2 + 1)] = True
    return np.rot90(patch, edge)


def render_layout(settings: Scenes, layout: Layout, rng: np.random.Generator) -> Frames:
    """The image (H, W, 3); the card's ink changes nothing but the card's square."""
    frame = drawing.background(settings, 1, rng)  # (1, H, W, 3)
    drawing.paint(frame, drawing.card_image(settings), layout.ink, layout.card)
    for digit in layout.digits:
        drawing.paint(frame, digit.strokes * ~digit.patch, digit.ink, digit.square)
    return drawing.with_noise(frame, settings, rng)[0]


def annotated_objects(settings: Scenes, layout: Layout) -> list[tuple[Glyph, int]]:
    """The objects and their categories: the number of the card's ink, or with "own ink" that of their own."""
    number = {ink: i for i, ink in enumerate(INKS, 1)}
    if settings.categories == "card ink":
        return [(digit, number[layout.ink]) for digit in layout.digits]
    image = drawing.card_image(settings)
    card = Glyph(-1, layout.ink, layout.card, image, np.zeros(image.shape, bool))
    digits = [(digit, number[digit.ink]) for digit in layout.digits]
    return [*digits, (card, len(INKS) + number[layout.ink])]


def annotate(glyph: Glyph, category: int, size: int) -> SceneObject:
    """A digit, or the card, as an object of an image of this size."""
    x, y, side = glyph.square
    mask = np.zeros((size, size), bool)  # (H, W)
    mask[y : y + side, x : x + side] = glyph.strokes > INK
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
    points = digit_keypoints(glyph.strokes > INK, glyph.patch)  # (17, 3)
    points[points[:, 2] > 0, :2] += (x, y)
    return SceneObject(glyph, category, mask, box, points)


def digit_keypoints(mask: Bools, patch: Bools) -> Floats:
    """A digit's 17 keypoints, as many as COCO's person has, (17, 3): x, y in its square, and visibility.

    The square is cut into 8 rows: pixel i belongs to row floor(8 (i + 1/2) / side). Keypoint k < 8 is the
    mean of the centres of the mask's pixels in row k; 8 + k is the same of column k; 16 is the mean of all.
    As for torchvision the centre of pixel 0 is at 0.5. Visibility is 2; 1 if the point lies in the patch; 0,
    and x and y too, if the mask has no pixel there.
    """
    pixels = np.argwhere(mask)[:, ::-1] + 0.5  # (N, 2): x, y
    column, row = (pixels * BANDS / len(mask)).astype(int).T  # (N,) each
    bands = np.arange(BANDS)[:, None]  # (8, 1)
    groups = np.concatenate([row == bands, column == bands, np.ones((1, len(pixels)), bool)])  # (17, N)
    count = groups.sum(1)  # (17,)
    x, y = (groups @ pixels / np.maximum(count, 1)[:, None]).T  # (17,) each
    uncovered = ~patch[y.astype(int), x.astype(int)]  # (17,)
    return np.stack([x, y, np.where(count, 1 + uncovered, 0)], axis=1).astype(np.float32)
