import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from nlrepro.report.figures import PAPER, SERIES, draw_gains, to_svg
from nlrepro.report.tables import TableRow, TableSpec, table_frame

LABELS = ("C2D baseline", "Gaussian", "Gaussian, embed", "dot-product", "concatenation")
SPEC = TableSpec(
    table="2a",
    title="Instantiations: 1 non-local block of different types added to the C2D baseline",
    rows=tuple(TableRow(label=label, depth=50, key=label) for label in LABELS),
)


def frame(*gains: float) -> pd.DataFrame:
    delta = pd.Series([0.0, *gains])
    return table_frame(SPEC, []).assign(delta=delta, delta_low=delta - 2, delta_high=delta + 3)


def dots(axes: Axes) -> list[list[float]]:
    """The x values of each series; the other lines are the zero line and the caps of the intervals."""
    return [np.asarray(line.get_xdata()).tolist() for line in axes.lines if line.get_marker() in ("o", "s", "D")]


def test_same_numbers_give_the_same_bytes() -> None:
    first = to_svg(draw_gains(SPEC, frame(8, 9, 10, 9), frame(9, 9, 9, 9)))
    second = to_svg(draw_gains(SPEC, frame(8, 9, 10, 9), frame(9, 9, 9, 9)))
    assert first == second
    assert b"<dc:date>" not in first
    assert first != to_svg(draw_gains(SPEC, frame(8, 9, 10, 8), frame(9, 9, 9, 9)))


def test_bytes_do_not_depend_on_the_readers_matplotlib_settings() -> None:
    plain = to_svg(draw_gains(SPEC, frame(8, 9, 10, 9), None))
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 5, "axes.facecolor": "pink"}):
        assert to_svg(draw_gains(SPEC, frame(8, 9, 10, 9), None)) == plain


def test_panels_show_the_paper_left_and_the_records_right() -> None:
    left, right = draw_gains(SPEC, frame(8, 9, 10, 9), frame(7, 7, 7, 7)).axes
    assert dots(left) == [[0.7, 0.9, 1.1, 1.0]]
    assert dots(right) == [[7, 7, 7, 7], [8, 9, 10, 9]]
    assert [len(axes.collections) for axes in (left, right)] == [0, 2]  # one set of intervals a series, none for the paper
    assert [t.get_text() for t in left.get_yticklabels()] == list(LABELS[1:])


def test_series_differ_in_colour_and_in_marker() -> None:
    looks = [PAPER, *SERIES]
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == 1 + len(SERIES)


def test_missing_rows_leave_their_place_empty() -> None:
    empty = table_frame(SPEC, [])
    _, right = draw_gains(SPEC, empty, empty).axes
    assert len(right.get_yticks()) == 4
    assert [text.get_text() for text in right.texts] == ["no runs yet"]
    assert to_svg(draw_gains(SPEC, empty, None)).endswith(b"</svg>\n")
