"""An `Attention` as a picture: arrows from x_i to its strongest x_j over frames (the paper's Figure 3).

Arrows of larger weights are heavier and more opaque; negligible ones can hardly be seen. An animation plays
the clip, each frame with the arrows that end in it.
"""

from io import BytesIO
from math import dist
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.patheffects import withStroke
from PIL import Image

from nlrepro.attention.compute import Attention, Position
from nlrepro.files import BadInput, write_atomic

PICTURES, ANIMATION = (".png", ".svg", ".pdf"), ".gif"
UNDATED = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}  # the same picture gives the same bytes
LOOK: Any = ["default", {"font.family": "DejaVu Sans", "font.size": 8, "svg.hashsalt": "nlrepro"}]
A_ROW = 8  # frames
GAP = 0.05  # between frames, in parts of their width
INK, CASING = "#F0E442", "#202020"  # Okabe and Ito's yellow, cased in dark: visible on any frame
GREY = "#444444"
SIDE = 4.5  # inches, of an animation
FRAME_TIME = 350  # milliseconds that a frame of an animation stays
Point = tuple[float, float]


@style.context(LOOK)
def draw(attention: Attention, t: int | None = None) -> Figure:
    """The frames at the centres of the map's with all arrows, or frame `t` with the arrows that end in it."""
    top, columns, (_, height, width, _) = attention.top, attention.columns, attention.frames.shape
    drawn = dict(enumerate(columns))  # frame of the map -> of the clip
    if t is not None:
        drawn = {int(np.abs(np.subtract(columns, t)).argmin()): t}
    a_row = min(len(drawn), A_ROW)
    step_x, step_y, head = width * (1 + GAP), height * (1 + 4 * GAP), 0.12 * height
    corners = {column: (i % a_row * step_x, i // a_row * step_y) for i, column in enumerate(drawn)}
    right, bottom = a_row * step_x - GAP * width, (len(drawn) - 1) // a_row * step_y + height
    axes = new_axes(attention, min(2.2 * a_row, 10.0) if t is None else SIDE, (bottom + head) / right)
    for (x, y), frame in zip(corners.values(), drawn.values(), strict=True):
        extent = (x - 0.5, x + width - 0.5, y + height - 0.5, y - 0.5)
        axes.imshow(attention.frames[frame], extent=extent, interpolation="nearest")
        axes.text(x + width / 2, y - 0.03 * height, f"frame {frame}", ha="center", va="bottom", color=GREY)

    def point(position: Position, place: Point) -> Point:
        left, upper = corners.get(int(position[0]), (0.0, 0.0))
        return place[0] + left, place[1] + upper

    start, *ends = map(point, (top.query, *top.keys), attention.points)
    for key, end, weight in reversed([*zip(top.keys, ends, top.weights, strict=True)]):
        if int(key[0]) in corners:
            strength = max(weight / max(*top.weights, 1e-12), 0.0) ** 0.5  # a tenth of the largest is visible
            axes.add_patch(arrow(start, end, strength, width))
    face = "white" if int(top.query[0]) in corners else "none"
    axes.plot(*start, "o", color=face, ms=7, markeredgecolor=CASING, markeredgewidth=1.4, zorder=6)
    axes.set(xlim=(-0.5, right - 0.5), ylim=(bottom - 0.5, -head - 0.5), aspect="equal")
    return axes.figure  # type: ignore[return-value]  # no subfigure


def new_axes(attention: Attention, inches: float, ratio: float) -> Axes:
    """Axes so many inches wide and `ratio` times as high, above the caption, in a figure that they fill."""
    words = f"{attention.key}, block {attention.block}. {attention.caption}"
    caption = fill(words, int(14 * inches) + 1, break_long_words=False, break_on_hyphens=False)
    below = 0.16 * (caption.count("\n") + 1) + 0.08  # inches
    total = inches * ratio + below
    figure = Figure(figsize=(inches, total))
    figure.text(0.5, 0.04 / total, caption, ha="center", va="bottom", fontsize=7.5, color=GREY)
    axes = figure.add_axes((0, below / total, 1, inches * ratio / total))
    axes.set_axis_off()
    return axes


def arrow(start: Point, end: Point, strength: float, width: int) -> FancyArrowPatch:
    """An arrow whose weight and opacity grow with `strength`, 0 to 1; `width` is a frame's."""
    bend = -0.18 * min(1.0, 1.5 * width / max(dist(start, end), 1.0))
    casing = withStroke(linewidth=1.4 + 1.8 * strength, foreground=CASING, alpha=0.1 + 0.35 * strength)
    return FancyArrowPatch(
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
        path_effects=[casing],
    )


def check_suffix(path: Path) -> None:
    """Refuse a file name by its suffix, before anything is computed.

    Raises:
        BadInput: no picture or animation ends so.
    """
    if path.suffix not in (*PICTURES, ANIMATION):
        allowed = f"{', '.join(PICTURES)} for a picture or {ANIMATION} for an animation"
        raise BadInput(f"--out ends in {allowed}; got {path}")


@style.context(LOOK)
def write(attention: Attention, path: Path) -> None:
    """A picture or an animation without end, by the suffix of `path`.

    Raises:
        BadInput: the folder cannot be written.
    """
    buffer, images = BytesIO(), []
    if path.suffix != ANIMATION:
        draw(attention).savefig(buffer, format=path.suffix[1:], dpi=130, metadata=UNDATED.get(path.suffix))
    else:
        for t in range(len(attention.frames)):
            still = BytesIO()
            draw(attention, t).savefig(still, format="png")
            images.append(Image.open(still).convert("RGB").quantize(256))  # each has 256 colours of its own
        images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=FRAME_TIME, loop=0)
    write_atomic(path, buffer.getvalue())
