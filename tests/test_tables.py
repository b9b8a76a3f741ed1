import subprocess
import sys
from math import inf
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import finding, record

from nlrepro.record import Cost, Record
from nlrepro.report import tables
from nlrepro.report.columns import side_by_side
from nlrepro.report.finding import note
from nlrepro.report.formats import MISSING, to_latex
from nlrepro.report.moderated import Prior
from nlrepro.report.tables import (
    COLUMNS,
    TableRow,
    TableSpec,
    comparable,
    table_frame,
)

SPEC = TableSpec(
    table="2a",
    title="Instantiations",
    rows=(
        TableRow(label="C2D baseline", depth=50, key="base"),
        TableRow(label="Gaussian", depth=50, key="gaussian"),
        TableRow(label="my own row", depth=50, key="own"),
    ),
)
DEEP = TableSpec(
    table="2c",
    title="Deeper & wider",
    rows=tuple(
        TableRow(label=label, depth=depth, key=f"{depth}-{label}") for depth in (50, 101) for label in ("baseline", "5-block")
    ),
)


def records() -> list[Record]:
    return [record("base", s, "0011900119") for s in (0, 1)] + [record("gaussian", s, "0000900019") for s in (0, 1)]


def test_csv_has_the_agreed_columns_and_numbers(tmp_path: Path) -> None:
    finding(SPEC, table_frame(SPEC, records())).write(tmp_path, [])
    lines = (tmp_path / "table2a.csv").read_text().splitlines()
    assert lines[0] == (
        "table,row,depth,key,seeds,top1,top1_low,top1_high,top5,top5_low,top5_high,"
        "delta,delta_low,delta_high,paper_top1,paper_top5,paper_delta"
    )
    assert lines[1].startswith("2a,C2D baseline,50,base,2,40.00,")
    assert lines[1].endswith(",80.00,49.84,100.00,0.00,0.00,0.00,71.80,89.70,0.00")
    # the gain of 3 videos of 10, t-interval over the videos: 30 +- 2.262 * 48.3 / sqrt(10)
    assert lines[2].endswith(",30.00,-4.56,64.56,72.50,90.20,0.70")


def test_missing_rows_are_dashes_in_every_format(tmp_path: Path) -> None:
    finding(SPEC, table_frame(SPEC, []), table_frame(SPEC, records())).write(tmp_path, [])
    csv, md, tex = ((tmp_path / f"table2a.{ending}").read_text() for ending in ("csv", "md", "tex"))
    assert csv.splitlines()[2] == "2a,Gaussian,50,gaussian,0" + ",--" * 9 + ",72.50,90.20,0.70"
    assert [cell.strip() for cell in md.splitlines()[5].split("|")[1:-1]][-2:] == ["--", "--"]
    assert r"Gaussian & 72.5 & +0.7 & 70.0 [" in tex
    assert r"-{}- & -{}- \\" in tex
    assert "nan" not in csv + md + tex


def test_a_row_that_the_paper_lacks_has_dashes_in_the_papers_columns() -> None:
    own = side_by_side(SPEC, table_frame(SPEC, records()), None).iloc[2]
    assert own.tolist() == ["my own row", "--", "--", "--", "--"]


def test_csv_comes_back_as_it_was_written(tmp_path: Path) -> None:
    frame = table_frame(SPEC, records())
    finding(SPEC, frame).write(tmp_path, [])
    back = pd.read_csv(tmp_path / "table2a.csv", na_values=MISSING)
    assert tuple(back.columns) == COLUMNS
    numeric = frame.select_dtypes("number").columns
    np.testing.assert_allclose(back[numeric].to_numpy(float), frame[numeric].to_numpy(float), atol=0.0051)


def test_reader_sees_the_paper_the_published_and_ones_own() -> None:
    full, empty = table_frame(SPEC, records()), table_frame(SPEC, [])
    both = side_by_side(SPEC, empty, full)
    assert list(both.columns) == [
        *("row", "paper top-1", "paper delta", "published top-1", "published delta", "yours top-1", "yours delta")
    ]
    assert both.iloc[1].tolist()[1:5] == ["72.5", "+0.7", "70.0 [35.4, 100.0]", "+30.0 [-4.6, 64.6]"]
    assert list(side_by_side(SPEC, full, None).columns)[3:] == ["here top-1", "here delta"]


def test_each_depth_has_its_own_baseline() -> None:
    deep = [record("101-baseline", 0, "01" * 5), record("101-5-block", 0, "00" * 5), record("50-baseline", 0, "11" * 5)]
    frame = table_frame(DEEP, deep)
    assert frame["paper_delta"].tolist() == [0.0, 2.0, 0.0, 2.0]
    assert frame["delta"].tolist()[2:] == [0.0, 50.0]
    assert side_by_side(DEEP, frame, None)["row"].tolist()[3] == "R101 5-block"


def test_the_variance_between_seeds_is_shared_by_all_rows_of_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def wide(records: list[Record], groups: list[set[str]], within: int = 1, centred: bool = False) -> Prior:
        asked.append((groups, within, centred))
        return Prior(variance=200.0 + within, freedom=inf, pooled=50)

    deep = [record(f"{depth}-{row}", s, "01" * 200) for depth in (50, 101) for row in ("baseline", "5-block") for s in (0, 1)]
    before = table_frame(DEEP, deep)
    monkeypatch.setattr(tables, "pool", wide)
    after = table_frame(DEEP, deep)
    groups = [{"50-baseline", "50-5-block"}, {"101-baseline", "101-5-block"}]
    assert asked == [(groups, 1, False), (groups, 5, False), (groups, 1, True)]
    for name, least in (("top1", 20), ("top5", 20), ("delta", 25)):
        assert float((before[f"{name}_high"] - before[f"{name}_low"])[1]) < least
        assert float((after[f"{name}_high"] - after[f"{name}_low"])[1]) > least


def test_rows_are_compared_on_the_seeds_that_all_of_a_depth_have() -> None:
    found = [record("50-baseline", s, "0011") for s in (0, 1)] + [record("50-5-block", 1, "0001")]
    found += [record("101-baseline", s, "0011") for s in (0, 2)] + [record("elsewhere", 0, "0011")]
    kept = {(r.key, r.seed) for r in comparable(DEEP, found)}
    assert kept == {("50-baseline", 1), ("50-5-block", 1), ("101-baseline", 0), ("101-baseline", 2)}
    apart = [record("50-baseline", 0, "01"), record("50-5-block", 1, "01")]
    assert comparable(DEEP, apart) == apart
    assert table_frame(DEEP, found)["seeds"].tolist() == [1, 1, 2, 0]


def test_latex_escapes_what_latex_would_read_as_its_own() -> None:
    assert r"\caption{Deeper \& wider}" in to_latex(DEEP.title, DEEP.table, side_by_side(DEEP, table_frame(DEEP, []), None))


def test_note_says_where_the_numbers_come_from() -> None:
    line = note(records())
    assert line.startswith("profile mini; seeds 0, 1; 10 test videos; clip-level accuracy (views a video: 1); 2024-01-01; a lap")
    assert "over seeds and test videos" in line
    assert "test videos only" in note(records()[:1])
    assert "seeds 0, 1 (1 in some rows); " in note(records()[:-1])
    assert note([]) == "No records yet."


def test_summary_ends_with_the_notes() -> None:
    text = finding(SPEC, table_frame(SPEC, records())).summary([note(records())])
    assert text.startswith("Table 2a. Instantiations\n")
    assert text.endswith(note(records()) + "\n")


def test_reports_do_without_torch() -> None:
    modules = "nlrepro.report." + ", nlrepro.report.".join(
        ("claims", "curves", "figures", "finding", "judge", "kinds", "statistics", "tables")
    )
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_table_2e_shows_what_a_row_costs_relative_to_its_baseline() -> None:
    costs = {"C2D baseline": Cost(params=100, macs=1000), "I3D 3x3x3": Cost(params=156, macs=1738), "I3D 3x1x1": None}
    rows = tuple(TableRow(label=label, depth=101, key=label, cost=cost) for label, cost in costs.items())
    spec = TableSpec(table="2e", title="", rows=rows)
    frame = table_frame(spec, [])
    assert list(frame.columns) == spec.columns
    assert frame["params_ratio"].tolist()[:2] == [1.0, 1.56]
    assert frame["paper_flops_ratio"].tolist() == [1.0, 1.8, 1.5]
    shown = side_by_side(spec, frame, None)
    assert shown["paper FLOPs"].tolist() == ["1.0x", "1.8x", "1.5x"]
    assert shown["here FLOPs"].tolist() == ["1.0x", "1.7x", "--"]
    assert shown["here params"].tolist() == ["1.0x", "1.6x", "--"]
