"""How figures look and how they are saved; and a table as a picture, each row's difference from its baseline.

The look is figures.mplstyle. The same drawing gives the same bytes with the same version of matplotlib. What has the colour of
the text in the style sheet is written as `currentColor`: dark ink on a light page, light ink on a dark one.
"""

from contextlib import AbstractContextManager
from importlib import resources
from io import BytesIO

import numpy as np
import pandas as pd
from matplotlib import rc_params_from_file, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nlrepro.report.tables import TableSpec, by_source

with resources.as_file(resources.files("nlrepro.report") / "figures.mplstyle") as _sheet:
    _RC = rc_params_from_file(_sheet, use_default_template=False)
INK: str = _RC["text.color"]
INK_ON_DARK = "#e4e7eb"
SERIES: tuple[tuple[str, str], ...] = tuple((look["color"], look["marker"]) for look in _RC["axes.prop_cycle"])
THEME = f"<style>svg{{color:{INK}}}@media(prefers-color-scheme:dark){{svg{{color:{INK_ON_DARK}}}}}</style>"
PAPER = (INK, "D")
WIDTH, INCHES_A_ROW = 5.2, 0.36  # narrow enough to be read on a phone


def styled() -> AbstractContextManager[None]:
    """The style sheet on top of matplotlib's defaults, so that the reader's own settings do not change the figure."""
    return style.context(["default", "nlrepro.report.figures"])


def to_svg(figure: Figure) -> bytes:
    buffer = BytesIO()
    with styled():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    head, opening, body = buffer.getvalue().decode().replace(INK, "currentColor").partition("<svg ")
    attributes, end, rest = body.partition(">")
    return f"{head}{opening}{attributes}{end}\n {THEME}{rest}".encode()


def draw_gains(spec: TableSpec, mine: pd.DataFrame, published: pd.DataFrame | None) -> Figure:
    """The paper's differences on the left, those of the records (table frames of `spec`) on the right: dots with 95 % intervals.

    The paper's differences are about 1 point and those of the mini profile about 10, so the two have a panel and a scale each
    and share the row labels. The paper gives no intervals.
    """
    shown = by_source(mine, published)
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
    ends = [mean - frame["delta_low"].to_numpy(float), frame["delta_high"].to_numpy(float) - mean] if intervals else None
    axes.errorbar(mean, place, xerr=ends, fmt=marker, color=colour, label=name)


def _dress(axes: Axes, title: str) -> None:
    """Zero, the baseline, is always in view."""
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.margins(x=0.12)
    if np.isnan([x for line in axes.lines[:-1] for x in np.asarray(line.get_xdata(), float)]).all():
        axes.set_xticks([0])
        axes.text(0.5, 0.5, "no runs yet", transform=axes.transAxes, ha="center", va="center")
    axes.set_title(title)
