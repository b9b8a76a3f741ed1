"""Figures: gains over the baseline, training curves, accuracy by kind of video, and the generated videos.

The look is figures.mplstyle. The same drawing gives the same bytes with the same version of matplotlib. What
has the colour of the text in the style sheet is written as `currentColor`: dark ink on a light page, light
ink on a dark one.
"""

from collections.abc import Mapping, Sequence
from importlib import resources
from io import BytesIO
from math import ceil, isnan

import numpy as np
import pandas as pd
from matplotlib import colormaps, rc_params_from_file, style
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from nlrepro.config import Generator
from nlrepro.record import Record
from nlrepro.report.tables import curves_frame, delta
from nlrepro.report.text import MISSING
from nlrepro.table import Table

LOOK = ["default", "nlrepro.report.figures"]  # on top of the defaults: a reader's own settings change nothing
with resources.as_file(resources.files("nlrepro.report") / "figures.mplstyle") as _sheet:
    _RC = rc_params_from_file(_sheet, use_default_template=False)
INK: str = _RC["text.color"]
INK_ON_DARK = "#e4e7eb"
Series = tuple[str, str]  # colour and marker
SERIES: list[Series] = [(each["color"], each["marker"]) for each in _RC["axes.prop_cycle"]]
PAPER: Series = (INK, "D")
THEME = f"<style>svg{{color:{INK}}}@media(prefers-color-scheme:dark){{svg{{color:{INK_ON_DARK}}}}}</style>"
WIDTH, INCHES_A_ROW = 5.2, 0.36  # narrow enough to be read on a phone

CHANCE = 50.0  # percent, between the two digits of a video
COLOURS = colormaps["viridis"]  # equal steps look equal, in grey print and to colour-blind readers too
SCALE = Normalize(CHANCE, 100.0)
BRIGHT = 111 / 256  # of the colours: black ink has the higher contrast from there on, 4.5 : 1 (WCAG 2.1)
INCHES_A_LINE = 0.3  # of the heat map
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
STEP = 2  # every second frame of a video is drawn

KINDS = {  # of videos: where the card is, relative to its digit, and what it takes to compare the two
    "near": ("same frames,\ntouching", "a local convolution"),
    "far": ("same frames,\nfar apart", "a look across space"),
    "later": ("other frames,\nsame place", "across time"),
    "far-later": ("other frames,\nfar apart", "across space-time"),
    "outside-far": ("not in a\nshort clip,\nfar apart", "longer clips, space-time"),
    "outside-near": ("not in a\nshort clip,\ntouching", "longer clips"),
}


@style.context(LOOK)
def to_svg(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    head, opening, body = buffer.getvalue().decode().replace(INK, "currentColor").partition("<svg ")
    attributes, end, rest = body.partition(">")
    return f"{head}{opening}{attributes}{end}\n {THEME}{rest}".encode()


@style.context(LOOK)
def draw_gains(table: Table, frames: Mapping[str, pd.DataFrame]) -> Figure:
    """The paper's differences on the left, those of the records on the right: dots with 95 % intervals.

    The paper's differences are about 1 point and those of the mini profile about 10, so the two have a panel
    and a scale each and share the row labels. The paper gives no intervals. `frames` are table frames by
    source.
    """
    rows = [i for i, row in enumerate(table.rows) if row is not table.baseline(row)]
    measures = [f", {table.measures[m]}" for m in table.plotted] if len(table.plotted) > 1 else [""]
    labels = [table.label(table.rows[i]) + measure for i in rows for measure in measures]
    paper = gains(table, next(iter(frames.values())), rows, "paper_", [""])
    sides = 1 if np.isnan(paper).all() else 2  # without the paper's where it has no such table
    figure = Figure(figsize=(WIDTH, 1.3 + INCHES_A_ROW * len(labels)), layout="constrained")
    panels = figure.subplots(1, sides, sharey=True, squeeze=False, width_ratios=(1, 1.6)[-sides:])[0]
    left, right = panels[0], panels[-1]
    for number, (name, frame) in enumerate(frames.items()):
        shift = 0.0 if len(frames) == 1 else 0.3 * (number - 0.5)
        _dots(right, gains(table, frame, rows, "", ["", "_low", "_high"]), name, SERIES[number], shift)
    left.set_yticks(range(len(labels)), labels)
    left.set_ylim(len(labels) - 0.5, -0.5)
    if sides == 2:
        _dots(left, paper, "paper", PAPER, 0.0)
        left.set_xlabel("points")
        _dress(left, "the paper")
    _dress(right, " and ".join(frames) + ", 95 % intervals")
    if len(frames) > 1:
        figure.legend(handles=right.containers, loc="outside lower right", ncols=2)
    figure.suptitle(". ".join(filter(None, (f"Table {table.name}", table.short_title))))
    title = "AP" if len(table.plotted) > 1 else table.measures[table.plotted[0]]
    right.set_xlabel(f"{title} above the baseline, points")
    return figure


def gains(
    table: Table, frame: pd.DataFrame, rows: Sequence[int], prefix: str, ends: Sequence[str]
) -> NDArray[np.float64]:
    """Differences of these rows in the plotted measures: (ends, rows * measures)."""
    columns = [[f"{prefix}{delta(table, m)}{end}" for m in table.plotted] for end in ends]
    return np.stack([frame[names].to_numpy(float)[rows].flatten() for names in columns])


@style.context(LOOK)
def draw_flops(table: Table, frame: pd.DataFrame) -> Figure:
    """The first measure of a table frame against counted multiply-adds, a dot a row with its interval.

    Names stand above, in the order of the costs.
    """
    measure = table.plotted[0]
    lines = frame[frame[measure].notna()].sort_values(["macs_ratio", measure], ignore_index=True)
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    for place, (_, line) in enumerate(lines.iterrows()):
        low, value, high = (float(line[f"{measure}{end}"]) for end in ("_low", "", "_high"))
        colour = INK if line["delta"] == 0 else SERIES[0][0]
        errors = [[value - low], [high - value]]
        axes.errorbar(line["macs_ratio"], value, yerr=errors, fmt="o", color=colour, markersize=4)
        axes.annotate(
            str(line["row"]),
            (line["macs_ratio"], value),
            ((place + 0.5) / len(lines), 1.06),
            textcoords="axes fraction",
            rotation=40,
            arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.4, "shrinkB": 3, "relpos": (0, 0)},
        )
    axes.set(xlabel="FLOPs, multiples of the baseline's", ylabel=f"{table.measures[measure]}, %")
    axes.grid(visible=True, axis="both")
    figure.suptitle(f"Table {table.name}. Accuracy and cost")
    return figure


def _dots(axes: Axes, gains: NDArray[np.float64], name: str, series: Series, shift: float) -> None:
    """Dots at the row's place plus `shift`; a row whose difference is missing is left empty."""
    mean, *ends = gains
    errors = [mean - ends[0], ends[1] - mean] if ends else None
    colour, marker = series
    axes.errorbar(mean, np.arange(len(mean)) + shift, xerr=errors, fmt=marker, color=colour, label=name)


def _dress(axes: Axes, title: str, empty: str = "no runs yet") -> None:
    """Zero, the baseline, is always in view."""
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.margins(x=0.12)
    if np.isnan([x for line in axes.lines[:-1] for x in np.asarray(line.get_xdata(), float)]).all():
        axes.set_xticks([0])
        axes.text(0.5, 0.5, empty, transform=axes.transAxes, ha="center", va="center")
    axes.set_title(title)


@style.context(LOOK)
def draw_curves(keys: Mapping[str, str], records: Sequence[Record]) -> Figure:
    """How nets learn (the paper's Figure 4): thick lines are means over common seeds, thin lines seeds.

    `keys` are the runs' keys by the name to print. Departure: the paper plots training error where this plots
    the loss.
    """
    frames = {name: curves_frame(key, records) for name, key in keys.items()}
    seeds = set.intersection(*(set(frame["seed"]) for frame in frames.values()))
    frames = {name: frame[frame["seed"].isin(seeds)] for name, frame in frames.items()}
    figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
    loss, error = figure.subplots(1, 2)
    _curves(loss, frames, SERIES, "loss", "training loss", thin=True)
    _curves(error, frames, SERIES, "error", "validation error, %", thin=True)
    figure.legend(*error.get_legend_handles_labels(), loc="outside lower center", ncols=len(keys))
    return figure


@style.context(LOOK)
def draw_rows(table: Table, records: Sequence[Record]) -> Figure:
    """The validation error of each row, a mean over the compared seeds; a panel a depth, baselines in ink."""
    records, depths = table.comparable(records), table.depths
    figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
    panels = figure.subplots(1, len(depths), sharey=True, squeeze=False)[0]
    for axes, depth in zip(panels, depths, strict=True):
        frames = {row.label: curves_frame(row.key, records) for row in table.rows if row.depth == depth}
        title = ", ".join([f"R{depth}"] * (len(depths) > 1) + ["validation error, %"])
        _curves(axes, frames, [PAPER, *SERIES], "error", title)
    lines = {line.get_label(): line for axes in panels for line in axes.lines}
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=3)
    return figure


def _curves(
    axes: Axes,
    frames: Mapping[str, pd.DataFrame],
    series: Sequence[Series],
    value: str,
    title: str,
    thin: bool = False,
) -> None:
    """The mean of each net, and with `thin` its seeds; dashed where the series begin again."""
    for place, (name, frame) in enumerate(frames.items()):
        colour, marker = series[place % len(series)]
        for _, seed in frame.groupby("seed") if thin else ():
            steps, values = seed["step"].to_numpy(), seed[value].to_numpy()
            axes.plot(steps, values, color=colour, marker="", linewidth=0.5, alpha=0.5)
        mean = frame.groupby("step")[value].mean()
        steps = np.asarray(mean.index)
        dashes = "-" if place < len(series) else "--"
        axes.plot(steps, mean.to_numpy(), dashes, color=colour, marker=marker, markersize=4, label=name)
    axes.set(title=title, xlabel="step")
    axes.grid(visible=True, axis="both")


@style.context(LOOK)
def draw_kinds(table: Table, frame: pd.DataFrame) -> Figure:
    """The heat map of a `kinds_frame`: which pairs of card and digit can a row compare?

    Colours go from chance to 100 %; in each cell stand the percentage and, small, the half-width of its
    interval, rounded up. Above each column stand its kind and where the card is.
    """
    names, rows = list(frame["kind"].unique()), len(table.rows)
    figure = Figure(figsize=(WIDTH, 1.5 + INCHES_A_LINE * rows), layout="constrained")
    axes = figure.subplots()
    for place, (top1, low, high) in enumerate(frame[["top1", "low", "high"]].to_numpy(float)):
        _cell(axes, place % len(names), place // len(names), top1, max(top1 - low, high - top1))
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(rows - 0.5, -0.5))
    axes.set_yticks(range(rows), [table.label(row) for row in table.rows])
    axes.set_xticks(range(len(names)), [KINDS[name][0] for name in names], fontsize=6.5)
    axes.xaxis.tick_top()
    for x, name in enumerate(names):
        head, units = name.replace("-", "-\n"), ("data", "axes fraction")
        axes.annotate(head, (x, 1), (0, 34), units, "offset points", ha="center", weight="bold", fontsize=8.5)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    figure.suptitle(f"Table {table.name}. {table.short_title}, by kind of video")
    half = f"{PLUS_MINUS} half of its 95 % interval, rounded up"
    figure.supxlabel(f"top-1, % (chance: {CHANCE:.0f}) {half}")
    return figure


def _cell(axes: Axes, x: int, y: int, top1: float, half: float) -> None:
    """One without a number is an empty frame."""
    empty, shade = isnan(top1), SCALE(top1)
    face, edge = ("none", INK) if empty else (COLOURS(shade), "none")
    box = Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=face, edgecolor=edge, linewidth=0.5)
    axes.add_patch(box)
    if empty:
        axes.text(x, y, MISSING, ha="center", va="center", color=INK)
        return
    ink = "#000000" if shade >= BRIGHT else "#ffffff"
    axes.text(x + 0.04, y + 0.14, f"{top1:.0f}", ha="right", va="baseline", color=ink, fontsize=10)
    error = f"{PLUS_MINUS}{ceil(round(half, 2))}"
    axes.text(x + 0.09, y + 0.14, error, va="baseline", color=ink, fontsize=7.5)


@style.context(LOOK)
def draw_task(task: Generator) -> Figure:
    """The generated videos: a row a kind, a column a frame, the answer; short clips' frames have an edge."""
    from nlrepro.data.synthetic.card_videos import first_of_each_kind  # imports scikit-learn

    examples = first_of_each_kind(task)
    frames = range(0, task.frames, STEP)
    figure = Figure(figsize=(WIDTH, 0.3 + len(examples) * WIDTH / (len(frames) + 3.2)))
    grid = figure.subplots(len(examples), len(frames), squeeze=False)
    figure.subplots_adjust(left=0.2, right=0.9, top=0.92, bottom=0.01, wspace=0.06, hspace=0.06)
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
