"""The generated videos of Table 4: which digits have the early card's ink, and which the late card's?

Three or four different handwritten digits appear in a video, each for a part of it, at different times and
places, in red or green ink, at least one of each. An early card is visible in some frames of the first half,
a late one in the second half, each in one of the two inks. Digit number i of the settings' list has

    class 2 i      if its ink is that of the early card
    class 2 i + 1  if its ink is that of the late card

so it has none of the two classes, one or both; they last as long as the digit is visible. The digit alone
narrows the answer to two classes, each right half of the time; only the distant cards decide.
"""

from typing import NamedTuple

import numpy as np

from nlrepro.config import ActionVideos
from nlrepro.data import Frames
from nlrepro.data.charades import GENERATED_FPS, Action
from nlrepro.data.synthetic import drawing
from nlrepro.data.synthetic.drawing import INKS, Square
from nlrepro.files import BadInput
from nlrepro.spec import Part


class Item(NamedTuple):
    """A digit or a card: its ink, its square, and the frames that it is visible in."""

    ink: str
    square: Square
    frames: slice


class Layout(NamedTuple):
    """What a video shows."""

    cards: tuple[Item, Item]  # early and late
    digits: dict[int, Item]


def render_video(settings: ActionVideos, part: Part, index: int) -> tuple[Frames, tuple[Action, ...]]:
    """Video `index` of a part, (T, H, W, 3), and its actions."""
    layout = sample_layout(settings, part, index)
    rng = drawing.random_generator(settings, f"{part}-pixels", index)
    return render_layout(settings, part, layout, rng), layout_actions(settings, layout)


def sample_layout(settings: ActionVideos, part: Part, index: int) -> Layout:
    rng = drawing.random_generator(settings, part, index)
    number = int(rng.integers(settings.shown[0], settings.shown[1] + 1))
    digits = rng.choice(settings.digits, number, replace=False).tolist()
    inks = rng.permutation([*INKS, *rng.choice(list(INKS), number - len(INKS))]).tolist()
    sides = [settings.card] * 2 + [settings.digit] * number
    squares = drawing.place_squares(settings.size, sides, rng)
    if squares is None:
        raise BadInput(
            f"no room for {number} digits of {settings.digit} px and two cards of {settings.card} px in"
            f" {settings.size} px; make `size` larger, or the others smaller, in [actions.generator]"
        )
    half = settings.frames // 2
    halves = [sample_span(half, settings.card_frames, rng, after) for after in (0, half)]
    cards = [Item(str(rng.choice(list(INKS))), *place) for place in zip(squares[:2], halves, strict=True)]
    spans = [sample_span(settings.frames, settings.digit_frames, rng) for _ in digits]
    items = [Item(*fields) for fields in zip(inks, squares[2:], spans, strict=True)]
    return Layout((cards[0], cards[1]), dict(zip(digits, items, strict=True)))


def sample_span(frames: int, length: int, rng: np.random.Generator, after: int = 0) -> slice:
    """`length` consecutive frames out of `frames`, any start equally likely."""
    start = after + int(rng.integers(frames - length + 1))
    return slice(start, start + length)


def render_layout(settings: ActionVideos, part: Part, layout: Layout, rng: np.random.Generator) -> Frames:
    """The frames (T, H, W, 3); a card's ink changes nothing but the card's square."""
    video = drawing.background(settings, settings.frames, rng)
    for card in layout.cards:
        drawing.paint(video[card.frames], drawing.card_image(settings), card.ink, card.square)
    for digit, item in layout.digits.items():
        image = drawing.random_digit_image(digit, part, settings.digit, rng)
        drawing.paint(video[item.frames], image, item.ink, item.square)
    return drawing.with_noise(video, settings, rng)


def layout_actions(settings: ActionVideos, layout: Layout) -> tuple[Action, ...]:
    """The classes of a video, and when they last, in seconds."""
    actions = []
    for digit, (ink, _, frames) in layout.digits.items():
        seconds = frames.start / GENERATED_FPS, frames.stop / GENERATED_FPS
        first = 2 * settings.digits.index(digit)
        actions += [Action(first + late, *seconds) for late in (0, 1) if layout.cards[late].ink == ink]
    return tuple(actions)
