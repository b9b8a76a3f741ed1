from dataclasses import replace

from conftest import record

from nlrepro.record import Point
from nlrepro.report.curves import curves_frame, draw_curves
from nlrepro.report.figures import to_svg

POINTS = {0: [(100, 2.0, 40.0), (200, 1.0, 60.0)], 1: [(100, 1.0, 50.0), (200, 0.5, 80.0)]}
RECORDS = [
    replace(record("base", seed, "01"), curve=tuple(Point(step=s, train_loss=loss, val_top1=a) for s, loss, a in points))
    for seed, points in POINTS.items()
]


def test_curves_are_those_of_the_records() -> None:
    frame = curves_frame("base", RECORDS)
    assert frame["error"].tolist() == [60.0, 40.0, 50.0, 20.0]
    assert curves_frame("other", RECORDS).empty


def test_thick_lines_are_means_over_the_seeds_that_both_have() -> None:
    third = replace(record("base", 2, "01"), curve=(Point(step=100, train_loss=9.0, val_top1=1.0),))
    other = [replace(r, key="nl") for r in RECORDS]
    loss, error = draw_curves({"C2D": "base", "NL": "nl"}, [*RECORDS, third, *other]).axes
    assert [line.get_ydata().tolist() for line in loss.lines[:3]] == [[2.0, 1.0], [1.0, 0.5], [1.5, 0.75]]  # type: ignore[union-attr]
    assert error.lines[2].get_ydata().tolist() == [55.0, 30.0]  # type: ignore[union-attr]


def test_nothing_is_drawn_where_one_net_has_no_records() -> None:
    loss, _ = draw_curves({"C2D": "base", "NL": "missing"}, RECORDS).axes
    assert all(not line.get_ydata().tolist() for line in loss.lines)  # type: ignore[union-attr]


def test_same_records_give_the_same_bytes() -> None:
    first, second = (to_svg(draw_curves({"C2D": "base"}, RECORDS)) for _ in range(2))
    assert first == second
