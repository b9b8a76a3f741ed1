"""Figures: gains over the baseline, training curves, accuracy by kind of video, and the generated videos.

The look is figures.mplstyle. The same drawing gives the same bytes with the same version of matplotlib. What
has the colour of the text in the style sheet is written as `currentColor`: dark ink on a light page, light
ink on a dark one.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import resources
from io import BytesIO
from math import ceil, isnan
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps, rc_params_from_file, style
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from nlrepro.config import Generator
from nlrepro.record import Record
from nlrepro.report.tables import curves_frame, delta
from nlrepro.report.text import MISSING
from nlrepro.table import Table

with resources.as_file(resources.files("nlrepro.report") / "figures.mplstyle") as _sheet:
    _RC = rc_params_from_file(_sheet, use_default_template=False)
INK: str = _RC["text.color"]
INK_ON_DARK = "#e4e7eb"
SERIES: tuple[tuple[str, str], ...] = tuple(
    (look["color"], look["marker"]) for look in _RC["axes.prop_cycle"]
)
THEME = f"<style>svg{{color:{INK}}}@media(prefers-color-scheme:dark){{svg{{color:{INK_ON_DARK}}}}}</style>"
PAPER = (INK, "D")
WIDTH, INCHES_A_ROW = 5.2, 0.36  # narrow enough to be read on a phone

CHANCE = 50.0  # percent, between the two digits of a video
COLOURS = colormaps["viridis"]  # equal steps look equal, in grey print and to colour-blind readers too
SCALE = Normalize(CHANCE, 100.0)
INCHES_A_LINE = 0.3  # of the heat map
STEP = 2  # every second frame of a video is drawn


class VideoKind(NamedTuple):
    """Where the card is, relative to its digit, and what it takes to compare the two."""

    card: str  # in two lines
    takes: str


KINDS = {
    "near": VideoKind("same frames,\ntouching", "a local convolution"),
    "far": VideoKind("same frames,\nfar apart", "a look across space"),
    "later": VideoKind("other frames,\nsame place", "across time"),
    "far-later": VideoKind("other frames,\nfar apart", "across space-time"),
    "outside": VideoKind("beyond the\nshort clip", "longer clips"),
}


def styled() -> AbstractContextManager[None]:
    """The style sheet on top of matplotlib's defaults: a reader's own settings do not change the figure."""
    return style.context(["default", "nlrepro.report.figures"])


def to_svg(figure: Figure) -> bytes:
    buffer = BytesIO()
    with styled():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    head, opening, body = buffer.getvalue().decode().replace(INK, "currentColor").partition("<svg ")
    attributes, end, rest = body.partition(">")
    return f"{head}{opening}{attributes}{end}\n {THEME}{rest}".encode()


def draw_gains(table: Table, frames: Mapping[str, pd.DataFrame]) -> Figure:
    """The paper's differences on the left, those of the records on the right: dots with 95 % intervals.

    The paper's differences are about 1 point and those of the mini profile about 10, so the two have a panel
    and a scale each and share the row labels. The paper gives no intervals. `frames` are table frames by
    source.
    """
    rows = [i for i, row in enumerate(table.rows) if row is not table.baseline(row)]
    places = [(i, measure) for i in rows for measure in table.plotted]
    with styled():
        figure = Figure(figsize=(WIDTH, 1.3 + INCHES_A_ROW * len(places)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.6))
        _series(left, table, next(iter(frames.values())), places, "paper_", PAPER, "paper", 0.0)
        for number, (name, frame) in enumerate(frames.items()):
            shift = 0.0 if len(frames) == 1 else 0.3 * (number - 0.5)
            _series(right, table, frame, places, "", SERIES[number], name, shift)
        left.set_yticks(range(len(places)), [_label(table, i, measure) for i, measure in places])
        left.set_ylim(len(places) - 0.5, -0.5)
        _dress(left, "the paper")
        _dress(right, " and ".join(frames) + ", 95 % intervals")
        if len(frames) > 1:
            figure.legend(handles=right.containers, loc="outside lower right", ncols=2)
        figure.suptitle(". ".join(filter(None, (f"Table {table.name}", table.short_title))))
        left.set_xlabel("points")
        title = "AP" if len(table.plotted) > 1 else table.measures[table.plotted[0]]
        right.set_xlabel(f"{title} above the baseline, points")
    return figure


def _label(table: Table, i: int, measure: str) -> str:
    return ", ".join([table.label(table.rows[i])] + [table.measures[measure]] * (len(table.plotted) > 1))


def _series(
    axes: Axes,
    table: Table,
    frame: pd.DataFrame,
    places: Sequence[tuple[int, str]],
    prefix: str,
    look: tuple[str, str],
    name: str,
    shift: float,
) -> None:
    """Dots at the row's place plus `shift`; a row whose difference is missing is left empty."""
    colour, marker = look

    def column(end: str = "") -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return np.array([frame[f"{prefix}{delta(table, measure)}{end}"][i] for i, measure in places], float)

    ends = None if prefix else [column() - column("_low"), column("_high") - column()]
    places_of_dots = [i + shift for i in range(len(places))]
    axes.errorbar(column(), places_of_dots, xerr=ends, fmt=marker, color=colour, label=name)


def _dress(axes: Axes, title: str) -> None:
    """Zero, the baseline, is always in view."""
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.margins(x=0.12)
    if np.isnan([x for line in axes.lines[:-1] for x in np.asarray(line.get_xdata(), float)]).all():
        axes.set_xticks([0])
        axes.text(0.5, 0.5, "no runs yet", transform=axes.transAxes, ha="center", va="center")
    axes.set_title(title)


def draw_curves(keys: Mapping[str, str], records: Sequence[Record]) -> Figure:
    """How nets learn (the paper's Figure 4): thick lines are means over common seeds, thin lines seeds.

    `keys` are the runs' keys by the name to print. Departure: the paper plots training error where this plots
    the loss.
    """
    frames = {name: curves_frame(key, records) for name, key in keys.items()}
    seeds = set.intersection(*(set(frame["seed"]) for frame in frames.values()))
    frames = {name: frame[frame["seed"].isin(seeds)] for name, frame in frames.items()}
    with styled():
        figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
        panels = figure.subplots(1, 2)
        for axes, value, title in zip(
            panels, ("loss", "error"), ("training loss", "validation error, %"), strict=True
        ):
            for (name, frame), (colour, marker) in zip(frames.items(), SERIES, strict=False):
                for _, seed in frame.groupby("seed"):
                    steps, values = seed["step"].to_numpy(), seed[value].to_numpy()
                    axes.plot(steps, values, color=colour, marker="", linewidth=0.5, alpha=0.5)
                _mean(axes, frame, value, name, colour, marker)
            _dress_curves(axes, title)
        figure.legend(*panels[1].get_legend_handles_labels(), loc="outside lower center", ncols=len(keys))
    return figure


def draw_rows(table: Table, records: Sequence[Record]) -> Figure:
    """The validation error of each row, a mean over the compared seeds; a panel a depth, baselines in ink."""
    records, depths = table.comparable(records), table.depths
    of_depth = {depth: [row for row in table.rows if row.depth == depth] for depth in depths}
    looks = {
        id(row): look for rows in of_depth.values() for row, look in zip(rows, (PAPER, *SERIES), strict=False)
    }
    with styled():
        figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
        panels = figure.subplots(1, len(depths), sharey=True, squeeze=False)[0]
        for axes, depth in zip(panels, depths, strict=True):
            for row in of_depth[depth]:
                _mean(axes, curves_frame(row.key, records), "error", row.label, *looks[id(row)])
            _dress_curves(axes, ", ".join([f"R{depth}"] * (len(depths) > 1) + ["validation error, %"]))
        named = {
            label: line
            for axes in panels
            for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=3)
    return figure


def _mean(axes: Axes, frame: pd.DataFrame, value: str, name: str, colour: str, marker: str) -> None:
    mean = frame.groupby("step")[value].mean()
    axes.plot(np.asarray(mean.index), mean.to_numpy(), color=colour, marker=marker, markersize=4, label=name)


def _dress_curves(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("step")
    axes.grid(visible=True, axis="both")


def draw_kinds(table: Table, frame: pd.DataFrame) -> Figure:
    """The heat map of a `kinds_frame`: which pairs of card and digit can a row compare?

    Colours go from chance to 100 %; in each cell stand the percentage and, small, the half-width of its
    interval, rounded up.
    """
    names, rows = list(frame["kind"].unique()), len(table.rows)
    with styled():
        figure = Figure(figsize=(WIDTH, 1.35 + INCHES_A_LINE * rows), layout="constrained")
        axes = figure.subplots()
        for place, (top1, low, high) in enumerate(frame[["top1", "low", "high"]].to_numpy(float)):
            _cell(axes, place % len(names), place // len(names), top1, max(top1 - low, high - top1))
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_yticks(range(rows), [table.label(row) for row in table.rows])
        _head(axes, names)
        figure.suptitle(f"Table {table.name}. {table.short_title}, by kind of video")
        half = "\N{PLUS-MINUS SIGN} half of its 95 % interval, rounded up"
        figure.supxlabel(f"top-1, % (chance: {CHANCE:.0f}) {half}")
    return figure


def _cell(axes: Axes, x: int, y: int, top1: float, half: float) -> None:
    """One without a number is an empty frame."""
    colour = "none" if isnan(top1) else to_hex(COLOURS(SCALE(top1)))
    edge, ink = (INK, INK) if isnan(top1) else ("none", ink_on(colour))
    place = (x - 0.48, y - 0.46)
    axes.add_patch(Rectangle(place, 0.96, 0.92, facecolor=colour, edgecolor=edge, linewidth=0.5))
    if isnan(top1):
        axes.text(x, y, MISSING, ha="center", va="center", color=ink)
        return
    axes.text(x + 0.04, y + 0.14, f"{top1:.0f}", ha="right", va="baseline", color=ink, fontsize=10)
    error = f"\N{PLUS-MINUS SIGN}{ceil(round(half, 2))}"
    axes.text(x + 0.09, y + 0.14, error, va="baseline", color=ink, fontsize=7.5)


def ink_on(colour: str) -> str:
    """Black or white: the one with the higher contrast on a colour "#rrggbb", at least 4.5 : 1 (WCAG 2.1)."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#ffffff"


def _head(axes: Axes, names: Sequence[str]) -> None:
    """Above each column its kind and where the card is."""
    cards = [KINDS[name].card if name in KINDS else "" for name in names]
    axes.set_xticks(range(len(names)), cards, fontsize=7)
    axes.xaxis.tick_top()
    for x, name in enumerate(names):
        axes.annotate(
            name, (x, 1), (0, 26), ("data", "axes fraction"), "offset points", ha="center", weight="bold"
        )
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def kinds_caption(frame: pd.DataFrame) -> str:
    """How to read the heat map: what each kind takes."""
    takes = ", ".join(f"{KINDS[kind].takes} for {kind}" for kind in frame["kind"].unique() if kind in KINDS)
    asked = "Which pairs of card and digit can a row compare?"
    chance = "Chance between the two digits of a video is"
    return f"{asked}{f' It takes {takes}.' * bool(takes)} {chance} {CHANCE:.0f} %."


def draw_task(task: Generator) -> Figure:
    """The generated videos: a row a kind, a column a frame, the answer; short clips' frames have an edge."""
    from nlrepro.data.synthetic.card_videos import first_of_each_kind  # imports scikit-learn

    examples = first_of_each_kind(task)
    frames = range(0, task.frames, STEP)
    with styled():
        figure = Figure(figsize=(WIDTH, 0.3 + len(examples) * WIDTH / (len(frames) + 2.6)))
        grid = figure.subplots(len(examples), len(frames), squeeze=False)
        figure.subplots_adjust(left=0.15, right=0.88, top=0.92, bottom=0.01, wspace=0.06, hspace=0.06)
        for row, (kind, (video, answer)) in zip(grid, examples.items(), strict=True):
            for axes, frame in zip(row, frames, strict=True):
                axes.imshow(video[frame], interpolation="none")
                axes.set(xticks=[], yticks=[])
                axes.grid(visible=False)
                axes.spines[:].set_visible(task.shown[0] <= frame < task.shown[1])
            row[0].set_ylabel(kind, rotation=0, ha="right", va="center", weight="bold")
            row[-1].annotate(answer, (1.3, 0.5), xycoords="axes fraction", va="center", fontsize=11)
        for axes, frame in zip(grid[0], frames, strict=True):
            axes.set_title(f"frame {frame}" if frame == 0 else f"{frame}", fontsize=7)
        grid[0][-1].annotate("answer", (1.1, 1.06), xycoords="axes fraction", fontsize=7)
    return figure
