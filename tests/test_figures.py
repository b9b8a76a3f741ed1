"""Figures by what is drawn in them: which numbers stand where, and what stays empty."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from records import record

from ablations.registry import TABLES
from nlrepro.record import Point, Record
from nlrepro.report.figures import draw_curves, draw_flops, draw_gains, draw_rows
from nlrepro.report.tables import curves_frame, table_frame

FORMS = TABLES["2a"]


def frame(*gains: float) -> pd.DataFrame:
    delta = pd.Series([0.0, *gains])
    return table_frame(FORMS, []).assign(delta=delta, delta_low=delta - 2, delta_high=delta + 3)


def dots(axes: Axes) -> list[list[float]]:
    """The x values of each series; the other lines are the zero line and the caps of the intervals."""
    return [np.asarray(line.get_xdata()).tolist() for line in axes.lines if line.get_marker() in "osD"]


def texts(labels: object) -> list[str]:
    return [label.get_text() for label in labels]  # type: ignore[attr-defined]


def test_gains_of_the_paper_stand_left_and_those_of_the_records_right() -> None:
    left, right = draw_gains(FORMS, {"published": frame(7, 7, 7, 7), "yours": frame(8, 9, 10, 9)}).axes
    assert dots(left) == [[0.7, 0.9, 1.1, 1.0]]
    assert dots(right) == [[7, 7, 7, 7], [8, 9, 10, 9]]
    assert [len(axes.collections) for axes in (left, right)] == [0, 2]  # intervals; the paper gives none
    assert texts(left.get_yticklabels()) == [row.label for row in FORMS.rows[1:]]


def test_rows_without_records_leave_their_place_empty() -> None:
    left, right = draw_gains(TABLES["5"], {"here": table_frame(TABLES["5"], [])}).axes
    assert dots(left) == [[1.0, 0.9, 1.3, 1.1, 0.9, 0.6]]  # box and mask AP of each row
    assert (len(right.get_yticks()), texts(right.texts)) == (6, ["no runs yet"])


def test_a_table_that_the_paper_does_not_have_has_one_panel_and_its_rows_with_records_a_dot_each() -> None:
    table = TABLES["7"]
    (gains,) = draw_gains(table, {"here": table_frame(table, [])}).axes
    assert texts(gains.texts) == ["no runs yet"]
    some = [
        record(row.key, seed, digits)
        for seed in (0, 1)
        for row, digits in zip(table.rows[:2], ("01", "00"), strict=True)
    ]
    (axes,) = draw_flops(table, table_frame(table, some)).axes
    assert texts(axes.texts) == ["C2D baseline", "squeeze-excitation"]  # by cost
    assert [x for line in dots(axes) for x in line] == pytest.approx([1.0, 1.0000065], abs=1e-6)


POINTS = {0: [(100, 2.0, 40.0), (200, 1.0, 60.0)], 1: [(100, 1.0, 50.0), (200, 0.5, 80.0)]}


def learned(key: str, seed: int) -> Record:
    points = (Point(step=step, train_loss=loss, value=value) for step, loss, value in POINTS.get(seed, []))
    return record(key, seed, "01", curve=tuple(points))


def test_curves_have_thick_means_over_the_seeds_that_both_nets_have() -> None:
    records = [*(learned("base", seed) for seed in (0, 1, 2)), *(learned("nl", seed) for seed in (0, 1))]
    records[2] = replace(records[2], curve=(Point(step=100, train_loss=9.0, value=1.0),))
    assert curves_frame("base", records[:2])["error"].tolist() == [60.0, 40.0, 50.0, 20.0]
    loss, error = draw_curves({"C2D": "base", "NL": "nl"}, records).axes
    losses = [np.asarray(line.get_ydata()).tolist() for line in loss.lines[:3]]
    assert losses == [[2, 1], [1, 0.5], [1.5, 0.75]]
    assert np.asarray(error.lines[2].get_ydata()).tolist() == [55.0, 30.0]
    empty, _ = draw_curves({"C2D": "base", "NL": "missing"}, records).axes
    assert not any(np.asarray(line.get_ydata()).size for line in empty.lines)


def test_each_row_of_a_long_table_has_a_curve_of_its_own_look() -> None:
    table = TABLES["7"]
    (axes,) = draw_rows(table, [learned(row.key, seed) for row in table.rows for seed in (0, 1)]).axes
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axes.lines}
    assert len(axes.lines) == len(looks) == len(table.rows) == 11
