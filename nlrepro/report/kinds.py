"""Which pairs can a row compare? Accuracy by kind of video: a frame, and a heat map of a table's rows x kinds.

The kinds are those of the generated videos, where the ink of a card says which of two digits is the answer: they differ in how
far apart, in space and time, card and digit are. Real videos have no kinds. Departure: the paper reports nothing of the sort.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isnan, nan
from pathlib import Path

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from nlrepro.files import write_atomic
from nlrepro.record import Record
from nlrepro.report.anova import Interval
from nlrepro.report.figures import INK, WIDTH, styled
from nlrepro.report.formats import MISSING, to_csv, with_interval
from nlrepro.report.statistics import accuracy
from nlrepro.report.tables import TableSpec, comparable

COLUMNS = ("table", "row", "depth", "key", "kind", "videos", "seeds", "top1", "low", "high")
CHANCE = 50.0  # percent, between the two digits of a video
COLOURS = colormaps["viridis"]  # equal steps look equal, in grey print and to colour-blind readers too
SCALE = Normalize(CHANCE, 100.0)
BLACK, WHITE = "#000000", "#ffffff"  # on a cell one of them has a contrast of at least 4.5 : 1
INCHES_A_ROW = 0.3


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Where the card is, seen from its digit, and what it takes to compare the two."""

    card: str  # in two lines
    takes: str


KINDS = {
    "near": Kind(card="same frames,\ntouching", takes="a local convolution"),
    "far": Kind(card="same frames,\nfar apart", takes="a look across space"),
    "later": Kind(card="other frames,\nsame place", takes="across time"),
    "far-later": Kind(card="other frames,\nfar apart", takes="across space-time"),
    "outside": Kind(card="beyond the\nshort clip", takes="longer clips"),
}


def kinds_frame(spec: TableSpec, records: Sequence[Record]) -> pd.DataFrame:
    """One line per row and kind, columns COLUMNS: mean over the seeds that are compared, with its 95 % interval, percent.

    Rows in the table's order, kinds in the records'; NaN where a row has no records or a kind fewer than two videos. Without
    kinds there are no lines.
    """
    records = comparable(spec, records)
    lines: list[dict[str, object]] = []
    for row in spec.rows:
        for kind in dict.fromkeys(kind for record in records for kind in record.metrics.kinds):
            videos = next((len(r.metrics.kinds[kind].ranks) for r in records if r.key == row.key and kind in r.metrics.kinds), 0)
            found = accuracy(records, row.key, kind=kind) if videos > 1 else None
            place = {"table": spec.table, "row": row.label, "depth": row.depth, "key": row.key, "kind": kind, "videos": videos}
            lines.append(place | _cells(found))
    return pd.DataFrame(lines, columns=[*COLUMNS])


def _cells(found: Interval | None) -> dict[str, float]:
    return dict(zip(COLUMNS[-4:], (found.seeds, found.mean, found.low, found.high) if found else (0, nan, nan, nan), strict=True))


def caption(frame: pd.DataFrame) -> str:
    """How to read the heat map: what each kind takes."""
    takes = ", ".join(f"{KINDS[kind].takes} for {kind}" for kind in frame["kind"].unique() if kind in KINDS)
    asked, chance = "Which pairs of card and digit can a row compare?", "Chance between the two digits of a video is"
    return f"{asked}{f' It takes {takes}.' * bool(takes)} {chance} {CHANCE:.0f} %."


def by_kind(spec: TableSpec, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows x kinds as text, to read."""
    names = list(frame["kind"].unique())
    texts = [with_interval(*ends) for ends in frame[["top1", "low", "high"]].to_numpy(float)]
    cells = [texts[i : i + len(names)] for i in range(0, len(texts), len(names))]
    return pd.DataFrame(cells, columns=names).assign(row=[spec.label(row) for row in spec.rows])[["row", *names]]


def draw_kinds(spec: TableSpec, frame: pd.DataFrame) -> Figure:
    """The heat map of a `kinds_frame` that has lines: colours from chance to 100 %, in each cell the percentage and, small,
    the half-width of its interval, rounded up.
    """
    names, rows = list(frame["kind"].unique()), len(spec.rows)
    with styled():
        figure = Figure(figsize=(WIDTH, 1.35 + INCHES_A_ROW * rows), layout="constrained")
        axes = figure.subplots()
        for place, (top1, low, high) in enumerate(frame[["top1", "low", "high"]].to_numpy(float)):
            _cell(axes, place % len(names), place // len(names), top1, max(top1 - low, high - top1))
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_yticks(range(rows), [spec.label(row) for row in spec.rows])
        _head(axes, names)
        figure.suptitle(f"Table {spec.table}. {spec.name}, by kind of video")
        figure.supxlabel(f"top-1, % (chance: {CHANCE:.0f}) \N{PLUS-MINUS SIGN} half of its 95 % interval, rounded up")
    return figure


def _cell(axes: Axes, x: int, y: int, top1: float, half: float) -> None:
    """One without a number is an empty frame."""
    colour = "none" if isnan(top1) else to_hex(COLOURS(SCALE(top1)))
    edge, ink = (INK, INK) if isnan(top1) else ("none", ink_on(colour))
    axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour, edgecolor=edge, linewidth=0.5))
    if isnan(top1):
        axes.text(x, y, MISSING, ha="center", va="center", color=ink)
        return
    axes.text(x + 0.04, y + 0.14, f"{top1:.0f}", ha="right", va="baseline", color=ink, fontsize=10)
    axes.text(x + 0.09, y + 0.14, f"\N{PLUS-MINUS SIGN}{ceil(round(half, 2))}", va="baseline", color=ink, fontsize=7.5)


def ink_on(colour: str) -> str:
    """Black or white, whichever has the higher contrast (WCAG 2.1) on a colour "#rrggbb"."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return BLACK if (luminance + 0.05) ** 2 > 1.05 * 0.05 else WHITE


def _head(axes: Axes, names: Sequence[str]) -> None:
    """Above each column its kind and where the card is."""
    axes.set_xticks(range(len(names)), [KINDS[name].card if name in KINDS else "" for name in names], fontsize=7)
    axes.xaxis.tick_top()
    for x, name in enumerate(names):
        axes.annotate(name, (x, 1), (0, 26), ("data", "axes fraction"), "offset points", ha="center", weight="bold")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def write_kinds(spec: TableSpec, frame: pd.DataFrame, folder: Path) -> list[Path]:
    """Write `table<2a>-kinds.csv` into `folder`; nothing if the frame has no lines."""
    if frame.empty:
        return []
    path = folder / f"table{spec.table}-kinds.csv"
    write_atomic(path, to_csv(frame))
    return [path]
