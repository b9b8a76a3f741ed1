"""Accuracy by kind of video: its numbers, the heat map, and where reports show it."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from conftest import record
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ablations.registry import TABLES
from nlrepro import record as records
from nlrepro.config import load_profile
from nlrepro.experiments import findings, reporting
from nlrepro.record import Part, Record
from nlrepro.report.figures import to_svg
from nlrepro.report.formats import MISSING
from nlrepro.report.kinds import (
    BLACK,
    COLOURS,
    COLUMNS,
    KINDS,
    WHITE,
    by_kind,
    caption,
    draw_kinds,
    ink_on,
    kinds_frame,
    write_kinds,
)
from nlrepro.report.page import render
from nlrepro.report.statistics import accuracy
from nlrepro.report.tables import TableRow, TableSpec
from nlrepro.trial import Folders

SPEC = TableSpec(
    table="2c",
    title="Deeper: blocks",
    rows=(
        TableRow(label="baseline", depth=50, key="base"),
        TableRow(label="5-block", depth=50, key="nl"),
        TableRow(label="baseline", depth=101, key="deep"),
    ),
)
NEAR, FAR = "0000000011", "00111"


def of_kinds(key: str, seed: int, **ranks: str) -> Record:
    """A record of nothing but the ranks of its videos of each kind."""
    parts = {kind: Part(top1=100 * text.count("0") / len(text), ranks=text) for kind, text in ranks.items()}
    found = record(key, seed, "".join(ranks.values()))
    return replace(found, metrics=replace(found.metrics, kinds=parts))


def made() -> list[Record]:
    """Three seeds of two rows, none of the third."""
    base = [of_kinds("base", seed, near=NEAR, far="1" * seed + FAR[seed:]) for seed in range(3)]
    return base + [of_kinds("nl", seed, near="0" * 10, far="0" * seed + FAR[seed:]) for seed in range(3)]


def texts(figure: Figure) -> list[str]:
    """What stands in the cells, row by row."""
    return [text.get_text() for text in figure.axes[0].texts if text.get_fontweight() != "bold"]


def colours(figure: Figure) -> list[str]:
    return [to_hex(cell.get_facecolor()) for cell in figure.axes[0].patches if isinstance(cell, Rectangle)]


def run_records(results: Path, tables: Sequence[str], **ranks: str) -> None:
    """Fresh records of two seeds of all runs of the tables."""
    mini = load_profile("mini")
    for seed in (0, 1):
        for job in TABLES.jobs([TABLES[name] for name in tables], [seed], mini, Folders(results=results)):
            run = job.run
            found = of_kinds(run.key, seed, **ranks) if ranks else record(run.key, seed, NEAR + FAR)
            records.write(replace(found, spec=run.spec, fingerprint=run.fingerprint), results)


def test_a_record_keeps_its_kinds_and_older_ones_have_none(tmp_path: Path) -> None:
    found = of_kinds("base", 0, near=NEAR, far=FAR)
    assert records.read(records.write(found, tmp_path)) == found
    path = records.write(record("base", 1, NEAR), tmp_path)
    path.write_text(path.read_text().replace(',\n  "kinds": {}', ""))
    assert "kinds" not in path.read_text()
    assert records.read(path).metrics.kinds == {}


def test_a_row_has_its_mean_over_seeds_on_the_videos_of_each_kind() -> None:
    frame = kinds_frame(SPEC, made())
    assert tuple(frame.columns) == COLUMNS
    assert list(zip(frame["row"], frame["depth"], frame["kind"], strict=True))[2:5] == [
        ("5-block", 50, "near"),
        ("5-block", 50, "far"),
        ("baseline", 101, "near"),
    ]
    assert frame["videos"].tolist() == [10, 5, 10, 5, 0, 0]
    assert frame["seeds"].tolist() == [3, 3, 3, 3, 0, 0]
    assert frame["top1"].tolist()[:4] == pytest.approx([80, 20, 100, 40])  # far: 2, 1 and 0 of 5 videos


def test_an_interval_is_that_of_a_test_of_nothing_but_the_kinds_videos() -> None:
    found = [of_kinds("nl", s, near="0" * 50, far="0" * (60 + s) + "1" * (40 - s)) for s in range(3)]
    low, high = kinds_frame(SPEC, found).set_index(["key", "kind"]).loc[("nl", "far"), ["low", "high"]]
    alone = accuracy([record("nl", r.seed, r.metrics.kinds["far"].ranks) for r in found], "nl")
    assert alone
    assert 0 < low < high < 100
    assert (low, high) == pytest.approx((alone.low, alone.high))


def test_rows_are_compared_on_the_seeds_that_all_of_a_depth_have() -> None:
    frame = kinds_frame(SPEC, [*made(), of_kinds("base", 3, near="1" * 10, far="1" * 5), of_kinds("deep", 9, near=NEAR, far=FAR)])
    assert frame["seeds"].tolist() == [3, 3, 3, 3, 1, 1]
    assert frame["top1"].tolist()[0] == pytest.approx(80)


def test_columns_are_the_kinds_in_the_order_of_the_records() -> None:
    frame = kinds_frame(SPEC, [of_kinds("base", 0, later=NEAR, near=NEAR)])
    assert list(by_kind(SPEC, frame).columns) == ["row", "later", "near"]


def test_a_kind_of_a_single_video_has_no_interval_and_no_number() -> None:
    frame = kinds_frame(SPEC, [of_kinds("base", 0, near=NEAR, far="0")])
    assert frame["top1"].isna().tolist() == [False, True, True, True, True, True]


def test_cells_show_what_the_frame_says() -> None:
    frame = kinds_frame(SPEC, made())
    halves = np.maximum(frame["top1"] - frame["low"], frame["high"] - frame["top1"])
    said = [(f"{top1:.0f}", f"\N{PLUS-MINUS SIGN}{ceil(half)}") for top1, half in zip(frame["top1"][:4], halves[:4], strict=True)]
    figure = draw_kinds(SPEC, frame)
    assert texts(figure) == [*(text for cell in said for text in cell), "--", "--"]
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["R50 baseline", "R50 5-block", "R101 baseline"]
    assert [text.get_text() for text in axes.texts if text.get_fontweight() == "bold"] == ["near", "far"]
    assert [label.get_text() for label in axes.get_xticklabels()] == [KINDS[kind].card for kind in ("near", "far")]


def test_colours_go_from_chance_to_100_percent_and_not_below() -> None:
    frame = kinds_frame(SPEC, [of_kinds("base", 0, a="01" * 5, b="1" * 10, c="0" * 10, d="0111" * 5)])
    assert colours(draw_kinds(SPEC, frame))[:4] == [to_hex(COLOURS(x)) for x in (0.0, 0.0, 1.0, 0.0)]


def test_numbers_can_be_read_on_every_colour() -> None:
    for level in np.linspace(0, 1, 101):
        colour = to_hex(COLOURS(level))
        light = [np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4) for part in COLOURS(level)[:3]]
        luminance = np.dot(light, (0.2126, 0.7152, 0.0722))
        contrast = {BLACK: (luminance + 0.05) / 0.05, WHITE: 1.05 / (luminance + 0.05)}
        assert contrast[ink_on(colour)] >= 4.5, colour


def test_same_records_give_the_same_bytes_whatever_the_readers_settings() -> None:
    first = to_svg(draw_kinds(SPEC, kinds_frame(SPEC, made())))
    with matplotlib.rc_context({"font.size": 20, "image.cmap": "jet", "axes.grid": True}):
        assert to_svg(draw_kinds(SPEC, kinds_frame(SPEC, made()))) == first
    assert to_svg(draw_kinds(SPEC, kinds_frame(SPEC, made()[1:]))) != first


def test_the_caption_says_what_each_kind_takes() -> None:
    told = caption(kinds_frame(SPEC, [of_kinds("base", 0, near=NEAR, outside=FAR, other=FAR)]))
    assert "can a row compare? It takes a local convolution for near, longer clips for outside. Chance" in told
    assert "It takes" not in caption(kinds_frame(SPEC, [of_kinds("base", 0, other=FAR)]))


def test_csv_comes_back_as_it_was_written(tmp_path: Path) -> None:
    frame = kinds_frame(SPEC, made())
    (path,) = write_kinds(SPEC, frame, tmp_path)
    assert path.name == "table2c-kinds.csv"
    assert path.read_text().splitlines()[0] == "table,row,depth,key,kind,videos,seeds,top1,low,high"
    assert path.read_text().splitlines()[-1] == "2c,baseline,101,deep,far,0,0,--,--,--"
    np.testing.assert_allclose(pd.read_csv(path, na_values=MISSING)["top1"], frame["top1"], atol=0.0051)


def test_videos_of_no_kinds_have_neither_numbers_nor_a_heat_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "PUBLISHED", tmp_path)
    run_records(tmp_path, ["2a"])
    reporting.report(TABLES, ["2a"], load_profile("mini"), Folders(results=tmp_path))
    assert (tmp_path / "figures" / "mini" / "table2a.svg").is_file()
    assert not [*tmp_path.rglob("*kinds*")]
    assert "by kind of video" not in (tmp_path / "report.html").read_text()


def test_a_report_writes_and_names_the_heat_map_and_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(findings, "PUBLISHED", tmp_path)
    run_records(tmp_path, ["2a"], near=NEAR, far=FAR)
    reporting.report(TABLES, ["2a"], load_profile("mini"), Folders(results=tmp_path))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "table2a.md" in line]
    for kind, name in (("tables", "table2a-kinds.csv"), ("figures", "table2a-kinds.svg")):
        assert (tmp_path / kind / "mini" / name).is_file()
        assert name in line
    assert len(pd.read_csv(tmp_path / "tables" / "mini" / "table2a-kinds.csv")) == 5 * 2


def test_the_page_shows_the_heat_map_between_gains_and_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "PUBLISHED", tmp_path)
    run_records(tmp_path, ["2a"], near=NEAR, far=FAR)
    html = render(
        [reporting.page_profile(findings.gather(TABLES, load_profile("mini"), Folders(results=tmp_path)), TABLES)], "mini"
    )
    panel = html.partition('id="mini-2a"')[2].partition("</section>")[0]
    names = ("Gains over the baseline", "Heat map of accuracy by kind of video", "Training curves")
    places = [panel.index(f'aria-label="{name}, table 2a') for name in names]
    assert places == sorted(places)
    assert "It takes a local convolution for near, a look across space for far." in html[: html.index('id="mini-2a"')]
    assert '<th scope="col">near</th>' in panel
