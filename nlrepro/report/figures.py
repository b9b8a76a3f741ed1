"""A table as a picture: each row's difference from its baseline, a dot with its 95 % interval.

The paper's differences are about 1 point and those of the mini profile about 10, so the two have a panel and a scale each and
share the row labels. The paper gives no intervals.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nlrepro.report.style import INK, SERIES, styled
from nlrepro.report.tables import TableSpec

PAPER = (INK, "D")
WIDTH, INCHES_A_ROW = 5.2, 0.36  # narrow enough to be read on a phone


def draw(spec: TableSpec, mine: pd.DataFrame, published: pd.DataFrame | None) -> Figure:
    """The paper's differences on the left, those of the records (table frames of `spec`) on the right, in points of top-1."""
    shown = {"here": mine} if published is None else {"published": published, "yours": mine}
    rows = [i for i, row in enumerate(spec.rows) if row is not spec.baseline(row.depth)]
    with styled():
        figure = Figure(figsize=(WIDTH, 1.3 + INCHES_A_ROW * len(rows)), layout="constrained")
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
            figure.legend(handles=right.containers, loc="outside lower right", ncols=2)
        figure.suptitle(f"Table {spec.table}. {spec.name}")
        left.set_xlabel("points")
        right.set_xlabel("top-1 above the baseline, points")
    return figure


def _series(axes: Axes, frame: pd.DataFrame, name: str, look: tuple[str, str], shift: float, intervals: bool) -> None:
    """Dots at the row's place plus `shift`; a row whose difference is missing is left empty."""
    colour, marker = look
    mean = frame["paper_delta" if name == "paper" else "delta"].to_numpy(float)
    place = [i + shift for i in range(len(frame))]
    spread = [mean - frame["delta_low"].to_numpy(float), frame["delta_high"].to_numpy(float) - mean] if intervals else None
    axes.errorbar(mean, place, xerr=spread, fmt=marker, color=colour, label=name)


def _dress(axes: Axes, title: str) -> None:
    """Zero, the baseline, is always in view."""
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.margins(x=0.12)
    if np.isnan([x for line in axes.lines[:-1] for x in np.asarray(line.get_xdata(), float)]).all():
        axes.set_xticks([0])
        axes.text(0.5, 0.5, "no runs yet", transform=axes.transAxes, ha="center", va="center")
    axes.set_title(title)
