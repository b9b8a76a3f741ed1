"""Tables as frames and as text, and what each ablation says of itself."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import pytest
from conftest import PUBLISHED, command
from records import MADE, fresh_record, of_kinds, record, weights_record

from ablations.registry import TABLES
from nlrepro import paper
from nlrepro.record import Record, read_records, write_record
from nlrepro.report.gather import gather
from nlrepro.report.tables import delta, kinds_frame, released_frames, table_frame, with_released
from nlrepro.report.text import column, note, side_by_side, to_csv
from nlrepro.run import Folders
from nlrepro.table import Row, Table

FORMS = TABLES["2a"]
BASE, GAUSSIAN, *_ = (row.key for row in FORMS.rows)
NEAR, FAR = "0000000011", "00111"
ROWS = tuple(
    Row(label=label, spec=SimpleNamespace(key=f"{depth}-{label}"), depth=depth)
    for depth in (50, 101)
    for label in ("baseline", "5-block")
)
DEEP = Table(name="2c", title="Deeper: blocks & width", rows=ROWS)


def records() -> list[Record]:
    ranks = {BASE: "0011900119", GAUSSIAN: "0000900019"}
    return [record(key, seed, digits) for key, digits in ranks.items() for seed in (0, 1)]


# ---- frames ----


def test_a_table_has_a_line_a_row_with_intervals_and_the_papers_numbers() -> None:
    lines = to_csv(table_frame(FORMS, records())).splitlines()
    assert lines[0] == (
        "table,row,depth,key,seeds,top1,top1_low,top1_high,top5,top5_low,top5_high,"
        "delta,delta_low,delta_high,paper_top1,paper_top5,paper_delta"
    )
    assert lines[1].startswith("2a,C2D baseline,50,r50-c2d,2,40.00,")
    assert lines[1].endswith(",80.00,49.84,100.00,0.00,0.00,0.00,71.80,89.70,0.00")
    # the gain of 3 videos of 10, t-interval over the videos: 30 +- 2.262 * 48.3 / sqrt(10)
    assert lines[2].endswith(",30.00,-4.56,64.56,72.50,90.20,0.70")
    assert lines[3].startswith('2a,"Gaussian, embed",50,' + FORMS.rows[2].key + ",0" + ",--" * 9)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_each_row_is_in_its_place_beside_the_papers_number(table: Table) -> None:
    frame = table_frame(table, [])
    assert list(frame["row"]) == [row.label for row in table.rows]
    assert all(table.baseline(row).depth == row.depth for row in table.rows)
    if table.name != "3":  # which prints some of its numbers of the test split alone
        unprinted = frame["row"][frame[f"paper_{next(iter(table.measures))}"].isna()]
        own = [row.label for row in table.rows if table.name == "7" or row.label == "5 residual blocks"]
        assert unprinted.tolist() == own


GAINS = {"4": [0.0, 2.0, 0.0, 2.3], "5": [0.0, 1.0, 0.0, 1.3, 0.0, 0.9], "6": [0.0, 0.9, 1.4]}


@pytest.mark.parametrize("name", GAINS)
def test_the_papers_gains_are_those_of_its_text(name: str) -> None:
    """Sections 5.2 and 6: 2.3 % on Charades' test split, about 1 point of box AP, 1.4 of keypoints."""
    table = TABLES[name]
    assert table_frame(table, [])[f"paper_{delta(table, table.compared[0])}"].tolist() == GAINS[name]


def test_each_depth_or_block_of_rows_has_its_own_baseline() -> None:
    deep = [record("101-baseline", 0, "01" * 5), record("101-5-block", 0, "00" * 5)]
    frame = table_frame(DEEP, [*deep, record("50-baseline", 0, "11" * 5)])
    assert frame["delta"].tolist()[2:] == [0.0, 50.0]
    assert [[row.label for row in group] for group in TABLES["4"].groups] == [
        [f"I3D, {split}", f"NL I3D, {split}"] for split in ("train/val", "trainval/test")
    ]


def test_rows_are_compared_on_the_seeds_that_all_of_a_baseline_have() -> None:
    some = [record("50-baseline", s, "0011") for s in (0, 1)] + [record("50-5-block", 1, "0001")]
    some += [record("101-baseline", s, "0011") for s in (0, 2)] + [record("elsewhere", 0, "0011")]
    kept = {(r.key, r.seed) for r in DEEP.comparable(some)}
    assert kept == {("50-baseline", 1), ("50-5-block", 1), ("101-baseline", 0), ("101-baseline", 2)}
    apart = [record("50-baseline", 0, "01"), record("50-5-block", 1, "01")]
    assert DEEP.comparable(apart) == apart
    assert table_frame(DEEP, some)["seeds"].tolist() == [1, 1, 2, 0]


def test_table_2e_shows_what_a_row_costs_relative_to_its_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    table = TABLES["2e"]
    costs = dict(zip((row.key for row in table.rows), ((100, 1000), (156, 1738), (120, 1464)), strict=False))
    monkeypatch.setattr(paper, "costs", lambda: costs)
    text = side_by_side(table, {"here": table_frame(table, [])})
    assert text["paper FLOPs"].tolist() == ["1.0x", "1.8x", "1.5x", "1.2x"]
    assert text["here FLOPs"].tolist() == ["1.00x", "1.74x", "1.46x", "--"]
    assert text["here params"].tolist() == ["1.00x", "1.56x", "1.20x", "--"]


def test_a_table_that_the_paper_does_not_have_shows_nothing_of_it() -> None:
    text = side_by_side(TABLES["7"], {"here": table_frame(TABLES["7"], records())})
    assert list(text) == ["row", "here top-1", "here delta", "here params", "here FLOPs"]


def test_a_note_tells_what_the_brackets_are_over_and_which_seeds_are_not_in_all_rows() -> None:
    assert "seeds 0, 1 (1 in some rows); " in note(FORMS, records()[:-1])
    assert "intervals over seeds and test videos" in note(FORMS, records())
    assert "intervals over test videos only" in note(FORMS, records()[:1])


# ---- Table 3, released weights, kinds of videos ----


def test_records_and_released_weights_fill_table_3s_own_rows_for_real_videos(elsewhere: Path) -> None:
    spec = next(row.spec for row in TABLES["3"].rows if row.label == "NL I3D, ResNet-50")
    for profile, rows in (("paper", 1), ("mini", 0)):  # generated videos are compared with no other system
        run = TABLES.run(spec.key, 0, profile, Folders(results=elsewhere))
        write_record(fresh_record(run, "0001"), elsewhere)
        write_record(weights_record(run, "128x1", "0011"), elsewhere)
        video, *_ = gather(TABLES, profile, run.folders)
        lines = [" ".join(row) for row in video.tables["3"].text.to_numpy().tolist()]
        measured = [line for line in lines if "[" in line]
        assert len(measured) == rows
        assert all("NL I3D, ResNet-50" in line and "75.0 [" in line and "50.0 [" in line for line in measured)


def test_released_weights_have_columns_of_their_own_and_the_latest_test_counts() -> None:
    run = TABLES.run(BASE, 0, "paper", Folders())
    dates = {"0001": "2024-02-01", "1111": "2024-01-01"}
    tests = [weights_record(run, "8x8", ranks, made=replace(MADE, date=day)) for ranks, day in dates.items()]
    released = released_frames(FORMS, tests)
    frame = with_released(FORMS, table_frame(FORMS, []), released)
    assert frame["released caffe2 8x8 top1"].tolist()[0] == 75.0
    assert frame["released caffe2 8x8 top5"].isna().tolist() == [False, True, True, True, True]
    assert "released weights, caffe2 8x8" in side_by_side(FORMS, {"here": frame}, released)


def test_released_weights_of_other_tasks_have_the_measures_of_their_table() -> None:
    run, table = TABLES.run("r50-boxes", 0, "paper", Folders()), TABLES["5"]
    test = weights_record(run, "v2", "", metrics={"box_ap": 46.7, "mask_ap": 41.8})
    text = side_by_side(table, {"here": table_frame(table, [])}, released_frames(table, [test]))
    assert text["row"].tolist()[:7] == ["R50 baseline", *[""] * 5, "R50 +1 NL"]
    assert text["released weights, caffe2 v2"].tolist()[:7] == ["46.7", "--", "--", "41.8", "--", "--", "--"]


def test_a_report_names_the_records_that_it_leaves_out(elsewhere: Path) -> None:
    good, stale, damaged, _ = TABLES.runs(["5"], [0], "smoke", Folders(results=elsewhere))
    for run, ap in ((good, 10.0), (stale, 20.0), (damaged, 30.0)):
        own = fresh_record(run, "", metrics={"box_ap": ap, "mask_ap": ap}, tested=9)
        write_record(own if run is not stale else replace(own, fingerprint="others"), elsewhere)
    damaged.record_path.write_text("{")
    done = command("report", "5", "--profile", "smoke", "--results", elsewhere)
    assert re.match(rf"1 record is stale \(.*\) and left out: {stale.record_path}\n", done.out)
    assert f"the record {damaged.record_path} is damaged" in done.out
    assert [f"{ap}.0 " in done.out for ap in (10, 20, 30)] == [True, False, False]
    assert "X152" not in done.out  # which no generated scenes have


def test_a_row_has_its_mean_over_the_compared_seeds_on_the_videos_of_each_kind() -> None:
    some = [of_kinds("50-baseline", s, near=NEAR, far="1" * s + FAR[s:]) for s in range(4)]
    some += [of_kinds("50-5-block", s, near="0" * 10, far="0" * s + FAR[s:]) for s in range(3)]
    frame = kinds_frame(DEEP, some)
    assert frame["kind"].tolist() == ["near", "far"] * 4
    assert frame["videos"].tolist() == [10, 5, 10, 5, 0, 0, 0, 0]
    assert frame["seeds"].tolist() == [3, 3, 3, 3, 0, 0, 0, 0]  # not the baseline's fourth
    assert frame["top1"].tolist()[:4] == pytest.approx([80, 20, 100, 40])  # far: 2, 1 and 0 of 5 videos
    assert kinds_frame(DEEP, [record("50-baseline", 0, NEAR)]).empty


# ---- what the ablations say of themselves ----


@pytest.mark.parametrize("name", [name for name, table in TABLES.items() if table.trains])
def test_the_head_of_an_ablation_tells_what_the_published_records_give(name: str) -> None:
    """The command, its minutes, the baselines' measures, and all gains with their intervals."""
    modules = [module for path, module in sys.modules.items() if path.startswith("ablations.")]
    (module,) = (module for module in modules if getattr(module, "TABLE", None) is TABLES[name])
    profile = TABLES[name].task.profile("mini")
    table = TABLES[name].within(profile)
    keys = {row.key for row in table.rows}
    runs = [r for r in read_records(PUBLISHED, profile.name) if r.key in keys]
    seeds = {run.seed for run in table.comparable(runs)}
    minutes = median(sum(r.made.seconds for r in runs if r.seed == seed) / 120 for seed in seeds)
    expected = [f"make table{name}", f"Cost: {len(keys)} runs a seed, {minutes:.1f} minutes on two cores"]
    frame = table_frame(table, runs)
    gains = zip(*(column(frame, delta(table, m), sign=True) for m in table.plotted), strict=True)
    for row, (_, line), own in zip(table.rows, frame.iterrows(), gains, strict=True):
        first = row is table.baseline(row)
        expected += [f" {line[m]:.1f}" for m in table.plotted] if first else [f"{row.label} {', '.join(own)}"]
    text = " ".join(str(module.__doc__).split())
    assert [each for each in expected if each not in text] == []
