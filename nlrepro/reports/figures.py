"""A table as a picture: each row's difference from its baseline, a dot with its 95 % interval.

The paper's differences are about 1 point and those of the mini profile about 10, so the two have a panel and a scale each and
share the row labels. Colours are Okabe and Ito's (2008), told apart by colour-blind readers; markers differ for grey print. The
paper gives no intervals. The same numbers give the same bytes with the same version of matplotlib.
"""

from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nlrepro.files import write_whole
from nlrepro.reports.tables import TableSpec

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "grid.color": "#dddddd",
    "ytick.left": False,
    "svg.fonttype": "path",  # looks the same, and has the same bytes, whatever fonts the reader has
    "svg.hashsalt": "nlrepro",
}
PAPER = ("#000000", "D")
SERIES = (("#0072B2", "o"), ("#D55E00", "s"))  # Okabe-Ito blue and vermillion
INCHES_A_ROW = 0.42


def styled() -> AbstractContextManager[None]:
    """STYLE on top of matplotlib's defaults, so that the reader's own settings do not change the figure."""
    return style.context(["default", STYLE])


def draw(spec: TableSpec, mine: pd.DataFrame, published: pd.DataFrame | None) -> Figure:
    """The paper's differences on the left, those of the records (table frames of `spec`) on the right, in points of top-1."""
    shown = {"here": mine} if published is None else {"published": published, "yours": mine}
    rows = [i for i, row in enumerate(spec.rows) if row is not spec.baseline(row.depth)]
    with styled():
        figure = Figure(figsize=(7.2, 1.5 + INCHES_A_ROW * len(rows)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.6))
        _series(left, mine.iloc[rows], "paper", PAPER, 0.0, intervals=False)
        for place, (name, frame) in enumerate(shown.items()):
            shift = 0.0 if len(shown) == 1 else 0.3 * (place - 0.5)
            _series(right, frame.iloc[rows], name, SERIES[place], shift, intervals=True)
        left.set_yticks(range(len(rows)), [spec.label(spec.rows[i]) for i in rows])
        left.set_ylim(len(rows) - 0.5, -0.5)
        _dress(left, "the paper")
        _dress(right, " and ".join(shown) + ", 95 % intervals")
        if len(shown) > 1:
            figure.legend(handles=right.containers, loc="outside lower right", ncols=2, frameon=False)
        figure.suptitle(f"Table {spec.table}. {spec.title}", fontsize=9.5)
        figure.supxlabel("top-1 above the baseline, points", fontsize=9)
    return figure


def _series(axes: Axes, frame: pd.DataFrame, name: str, look: tuple[str, str], shift: float, intervals: bool) -> None:
    """Dots at the row's place plus `shift`; a row whose difference is missing is left empty."""
    colour, marker = look
    mean = frame["paper_delta" if name == "paper" else "delta"].to_numpy(float)
    place = [i + shift for i in range(len(frame))]
    spread = [mean - frame["delta_low"].to_numpy(float), frame["delta_high"].to_numpy(float) - mean] if intervals else None
    axes.errorbar(mean, place, xerr=spread, fmt=marker, color=colour, label=name, markersize=5, capsize=2.5, linewidth=1.3)


def _dress(axes: Axes, title: str) -> None:
    """Zero, the baseline, is always in view."""
    axes.axvline(0, color="#555555", linewidth=1)
    axes.margins(x=0.12)
    if np.isnan([x for line in axes.lines[:-1] for x in np.asarray(line.get_xdata(), float)]).all():
        axes.set_xticks([0])
        axes.text(0.5, 0.5, "no runs yet", transform=axes.transAxes, ha="center", backgroundcolor="white")
    axes.set_title(title)


def to_svg(figure: Figure) -> bytes:
    buffer = BytesIO()
    with styled():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def to_png(figure: Figure, path: Path) -> None:
    """For a look at it, and for pages that cannot show SVG."""
    with styled():
        figure.savefig(path, format="png", dpi=150)


def write_figure(spec: TableSpec, mine: pd.DataFrame, published: pd.DataFrame | None, folder: Path) -> Path:
    """Write `table<2a>.svg` into `folder`."""
    path = folder / f"table{spec.table}.svg"
    write_whole(path, to_svg(draw(spec, mine, published)))
    return path
