"""An `Attention` as a picture: arrows from x_i to its strongest x_j over the frames of the clip, as in the paper's Figure 3.

Heavier and more opaque arrows have larger weights; negligible ones are hardly seen. As an animation the clip plays, each frame
with the arrows that end in it.
"""

import io
from collections.abc import Iterator
from math import hypot
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import patheffects, style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from PIL import Image

from nlrepro.attention.looks import Attention, Spot
from nlrepro.data import Frames
from nlrepro.data.generate import h264
from nlrepro.files import BadInput, write_atomic

PICTURES, ANIMATIONS = (".png", ".svg", ".pdf"), (".gif", ".mp4")
STYLE = {"font.family": "DejaVu Sans", "font.size": 8, "svg.hashsalt": "nlrepro"}
A_ROW = 8  # frames
GAP = 0.05  # between frames, in parts of their width
INK, CASING = "#F0E442", "#202020"  # Okabe and Ito's yellow, cased in dark: seen on any frame
SIDE = 4.5  # inches, of an animation
SECONDS = 0.35  # that a picture of an animation is shown
BELOW: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 7.5, "color": "#444444"}
Point = tuple[float, float]


def draw(attention: Attention) -> Figure:
    """The frames at the centres of the map's, side by side, with all arrows."""
    frames, columns = attention.frames, attention.columns
    _, height, width, _ = frames.shape
    a_row = min(len(columns), A_ROW)
    rows = -(-len(columns) // a_row)
    step = (width * (1 + GAP), height * (1 + 4 * GAP))
    corners = {i: (i % a_row * step[0], i // a_row * step[1]) for i in range(len(columns))}

    def moved(spot: Spot, column: int) -> Point:
        return spot.x + corners[column][0], spot.y + corners[column][1]

    corner, head = (a_row * step[0] - GAP * width, rows * step[1] - 4 * GAP * height), 0.12 * height
    inches = min(2.2 * a_row, 10.0)
    caption, below = captioned(attention, inches)
    across = inches * (corner[1] + head) / corner[0]  # inches
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(inches, across + below))
        axes = figure.add_axes((0, below / (across + below), 1, across / (across + below)))
        for column, frame in enumerate(columns):
            x, y = corners[column]
            axes.imshow(frames[frame], extent=(x - 0.5, x + width - 0.5, y + height - 0.5, y - 0.5), interpolation="nearest")
            axes.text(x + width / 2, y - 0.03 * height, f"frame {frame}", ha="center", va="bottom", color="#444444")
        start = moved(attention.start, nearest(attention, attention.start.frame))
        ends = [moved(spot, nearest(attention, spot.frame)) for spot in attention.ends]
        arrows(axes, start, ends, attention.look.weights, width)
        mark(axes, start)
        finish(axes, corner, head)
        figure.text(0.5, 0.04 / (across + below), caption, **BELOW)
    return figure


def nearest(attention: Attention, frame: int) -> int:
    """The column whose frame is nearest to a frame of the clip."""
    return min(range(len(attention.columns)), key=lambda column: abs(attention.columns[column] - frame))


def arrows(
    axes: Axes, start: Point, ends: list[Point], weights: tuple[float, ...], width: int, most: float | None = None
) -> None:
    """From `start` to each of `ends`, the strongest on top; `width` is a frame's, `most` the weight of the heaviest arrow.

    Width and opacity go with the root of the weight, so that a tenth of the largest can still be seen.
    """
    most = max(most or max(weights, default=0.0), 1e-12)
    for end, weight in reversed(list(zip(ends, weights, strict=True))):
        strength = max(weight / most, 0.0) ** 0.5
        bend = -0.18 * min(1.0, 1.5 * width / max(hypot(end[0] - start[0], end[1] - start[1]), 1.0))
        arrow = FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=5 + 6 * strength,
            connectionstyle=f"arc3,rad={bend}",
            shrinkA=3,
            shrinkB=0,
            linewidth=0.6 + 1.6 * strength,
            color=INK,
            alpha=0.2 + 0.8 * strength,
            zorder=3 + strength,
        )
        arrow.set_path_effects(
            [patheffects.withStroke(linewidth=1.4 + 1.8 * strength, foreground=CASING, alpha=0.1 + 0.35 * strength)]
        )
        axes.add_patch(arrow)


def mark(axes: Axes, start: Point, here: bool = True) -> None:
    """x_i: a filled ring in its own frame, an open one in others."""
    axes.plot(*start, "o", markersize=7, color="white" if here else "none", markeredgecolor=CASING, markeredgewidth=1.4, zorder=6)


def finish(axes: Axes, corner: Point, head: float) -> None:
    axes.set_xlim(-0.5, corner[0] - 0.5)
    axes.set_ylim(corner[1] - 0.5, -head - 0.5)
    axes.set_aspect("equal")
    axes.set_axis_off()


def captioned(attention: Attention, inches: float) -> tuple[str, float]:
    """The caption in lines that fit a width, and the height that they take, both in inches."""
    words = f"{attention.key}, block {attention.block}. {attention.caption}"
    text = fill(words, int(14 * inches) + 1, break_long_words=False, break_on_hyphens=False)
    return text, 0.16 * (text.count("\n") + 1) + 0.08


def animate(attention: Attention) -> Iterator[Frames]:
    """Pictures (H, W, 3), one a frame of the clip, all of one size with even sides."""
    frames, most = attention.frames, max(attention.look.weights)
    _, height, width, _ = frames.shape
    corner = (attention.start.x, attention.start.y)
    (caption, below), across = captioned(attention, SIDE), SIDE * 1.08 * height / width  # inches
    for t, frame in enumerate(frames):
        column = nearest(attention, t)
        here = [i for i, spot in enumerate(attention.ends) if nearest(attention, spot.frame) == column]
        with style.context(["default", STYLE]):
            figure = Figure(figsize=(SIDE, across + below), dpi=100)
            axes = figure.add_axes((0, below / (across + below), 1, across / (across + below)))
            axes.imshow(frame, interpolation="nearest")
            axes.text(width / 2, -0.02 * height, f"frame {t} of 0-{len(frames) - 1}", ha="center", va="bottom", color="#444444")
            ends = [(attention.ends[i].x, attention.ends[i].y) for i in here]
            arrows(axes, corner, ends, tuple(attention.look.weights[i] for i in here), width, most)
            mark(axes, corner, here=nearest(attention, attention.start.frame) == column)
            finish(axes, (width, height), 0.08 * height)
            figure.text(0.5, 0.04 / (across + below), caption, **BELOW)
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            picture = np.asarray(canvas.buffer_rgba())[..., :3]  # (H, W, 3)
        yield picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]


def gif(pictures: list[Frames]) -> bytes:
    """Each picture (H, W, 3) in 256 colours of its own, again and again."""
    images = [Image.fromarray(picture).quantize(256) for picture in pictures]
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=int(1000 * SECONDS), loop=0)
    return buffer.getvalue()


def mp4(pictures: list[Frames]) -> bytes:
    """H.264 of pictures (H, W, 3); H and W must be even."""
    shown = (picture for picture in pictures for _ in range(round(30 * SECONDS)))
    height, width, _ = pictures[0].shape
    return h264(shown, (height, width), "yuv420p", crf="18")


def check_suffix(path: Path) -> None:
    """Refuse a file name by its suffix before anything is computed.

    Raises:
        BadInput: no picture or animation ends so.
    """
    if path.suffix not in PICTURES + ANIMATIONS:
        raise BadInput(
            f"--out ends in {', '.join(PICTURES)} for a picture or {', '.join(ANIMATIONS)} for an animation; got {path}"
        )


def write(attention: Attention, path: Path) -> None:
    """A picture or an animation, by the suffix of `path`.

    Raises:
        BadInput: another suffix, or the folder cannot be written.
    """
    check_suffix(path)
    if path.suffix in ANIMATIONS:
        write_atomic(path, (gif if path.suffix == ".gif" else mp4)(list(animate(attention))))
        return
    buffer = io.BytesIO()
    date = {"Date": None} if path.suffix == ".svg" else {"CreationDate": None} if path.suffix == ".pdf" else None
    with style.context(["default", STYLE]):
        draw(attention).savefig(buffer, format=path.suffix[1:], dpi=130, metadata=date)
    write_atomic(path, buffer.getvalue())
