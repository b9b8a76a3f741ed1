"""Intervals over seeds and test items, and what of a list of records they are made of."""

from collections.abc import Sequence
from math import inf, sqrt
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from records import of_kinds, record
from scipy import stats

from nlrepro.files import BadInput
from nlrepro.record import Record
from nlrepro.stats.anova import analyse, one_more
from nlrepro.stats.evidence import Evidence
from nlrepro.stats.moderated import Prior
from nlrepro.table import Cell, Row, Table

ROWS = tuple(Row(label=key, spec=SimpleNamespace(key=key), depth=50) for key in "abc")
A, B = (Cell("2x", 50, key) for key in "ab")
GAIN = {A: 1.0, B: -1.0}


def evidence(records: Sequence[Record], measures: Sequence[str] = ("top1", "top5")) -> Evidence:
    """Of a table with the rows a, b and c."""
    titles = dict.fromkeys(measures, "")
    return Evidence([Table(name="2x", title="", rows=ROWS, measures=titles)], records)


def luck(rng: np.random.Generator, share: float) -> str:
    """Ranks of 400 videos."""
    return "".join("0" if right else "1" for right in rng.random(400) < share)


def accuracy(records: Sequence[Record], cell: Cell = A, kind: str | None = None) -> Any:
    return evidence(records).interval({cell: 1.0}, kind)


@pytest.mark.parametrize(("seed_sd", "video_sd"), [(0.0, 25.0), (2.0, 25.0), (8.0, 25.0), (4.0, 0.0)])
def test_intervals_cover_the_truth_in_about_95_percent_of_cases(seed_sd: float, video_sd: float) -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        seeds, videos = rng.normal(0, seed_sd, (3, 1)), rng.normal(0, video_sd, (1, 100))
        interval = analyse(7 + seeds + videos + rng.normal(0, 35, (3, 100))).interval
        hits += interval.low <= 7 <= interval.high
    assert 0.90 <= hits / 400 <= 0.99


def test_variance_is_the_formula_of_the_crossed_analysis() -> None:
    # by hand: D = [[0, 4, 2], [6, 10, 14]], MS_seed = 96, MS_video = 14, MS_error = 6
    interval = analyse(np.array([[0.0, 4, 2], [6, 10, 14]])).interval
    half = stats.t.ppf(0.975, 104**2 / (96**2 + 14**2 / 2 + 6**2 / 2)) * sqrt((96 + 14 - 6) / 6)
    assert (interval.mean, interval.high - interval.mean) == pytest.approx((6.0, half))


def test_negative_variance_components_are_zero() -> None:
    # all seeds and all videos have the mean 3: MS_seed = MS_video = 0, and MS_error = 2 * 20 / 3 is left
    interval = analyse(np.array([[0.0, 6, 4, 2], [6.0, 0, 2, 4]])).interval
    assert interval.high == pytest.approx(3 + stats.t.ppf(0.975, 3) * sqrt(2 * 20 / 3 / 8))
    # the seeds have one mean, the videos have not: MS_seed = 0, MS_error = 2 and MS_video = 26, which counts
    interval = analyse(np.array([[0.0, 3, 9], [2.0, 3, 7]])).interval
    assert interval.high == pytest.approx(4 + stats.t.ppf(0.975, 2) * sqrt(26 / 6))


@pytest.mark.parametrize("others", [1, 50])
@pytest.mark.parametrize("axis", [0, 1], ids=["seeds", "videos"])
def test_where_one_factor_alone_has_an_effect_it_is_the_t_test_over_it(axis: int, others: int) -> None:
    """So it is for a measure that is no mean over items, a table of one column."""
    values = np.array([3.0, 5.0, 4.5, 7.0])
    interval = analyse(np.repeat(np.expand_dims(values, 1 - axis), others, axis=1 - axis)).interval
    reference = stats.ttest_1samp(values, 0.0)
    low, high = reference.confidence_interval(0.95)
    assert (interval.low, interval.high, interval.p) == pytest.approx((low, high, reference.pvalue))


def test_one_seed_of_a_mean_measure_has_no_interval() -> None:
    interval = evidence([record("a", 0, metrics={"map": 30.0})], ["map"]).interval({A: 1.0})
    assert (interval.mean, interval.p_above) == (30.0, 0.5)
    assert (interval.low, interval.high) == (-inf, inf)  # not cut to percents


def test_few_videos_that_all_agree_do_not_give_certainty() -> None:
    interval = accuracy([record("a", 0, "0000")])
    assert (interval.mean, interval.high, interval.low < 25) == (100.0, 100.0, True)  # a video is 25 points


def test_one_more_value_lies_in_the_interval_of_the_others_in_95_percent_of_cases() -> None:
    draws = np.random.default_rng(0).normal(60, 2, (2000, 6))
    inside = [low < last < high for *values, last in draws for low, high in [one_more(values)]]
    assert 0.94 < np.mean(inside) < 0.96
    assert one_more([60.0, 61.0, 62.0]) == pytest.approx((56.03, 65.97), abs=0.01)
    assert one_more([60.0]) == (-inf, inf)


def test_more_seeds_narrow_what_seeds_do_and_leave_what_videos_do() -> None:
    rng = np.random.default_rng(4)
    now = analyse(rng.normal(0, 5, (4, 1)) + rng.normal(0, 40, (1, 300)) + rng.normal(0, 30, (4, 300)))
    assert now.with_seeds(4).interval == now.interval
    assert (now.with_seeds(9).seeds, now.with_seeds(9).seed_freedom) == (9, 8)
    halves = [now.with_seeds(seeds).interval.high - now.mean for seeds in (4, 8, 100, 10**9)]
    assert halves == sorted(halves, reverse=True)
    of_videos = (now.ms_video - now.ms_error) / 4 / 300
    assert halves[-1] == pytest.approx(stats.t.ppf(0.975, 299) * sqrt(of_videos), rel=1e-3)


def test_measures_are_read_from_the_ranks_of_videos_or_else_from_the_metrics_and_cut_at_100() -> None:
    tops = [accuracy([record("a", 0, "0123456789")], A._replace(measure=top)) for top in ("top1", "top5")]
    assert [top.mean for top in tops] == [10.0, 50.0]
    records = [record("a", seed, metrics={"map": value}) for seed, value in enumerate((90.0, 99.0, 98.0))]
    interval = evidence(records, ["map"]).interval({A: 1.0})
    assert interval.mean == pytest.approx(287 / 3)
    assert (interval.low < 95, interval.high) == (True, 100.0)
    assert evidence(records, ["box_ap"]).interval({A: 1.0}) is None


def test_differences_use_only_the_seeds_and_videos_that_both_runs_have() -> None:
    records = [record("a", 0, "0000"), record("a", 1, "0000"), record("b", 1, "1000"), record("b", 2, "1111")]
    gain = evidence(records).interval(GAIN)
    assert (gain.mean, gain.seeds) == (25.0, 1)
    assert evidence([records[0], records[3]]).interval(GAIN) is None
    with pytest.raises(BadInput, match="b seed 0': 3"):
        evidence([records[0], record("b", 0, "000")]).interval(GAIN)


def test_a_kind_of_videos_is_counted_on_its_own() -> None:
    records = [of_kinds("a", s, near="0000", far="0011") for s in (0, 1)]
    records += [of_kinds("b", s, near="1000", far="1111") for s in (0, 1)]
    for kind, gain in ((None, 37.5), ("near", 25.0), ("far", 50.0)):
        interval = evidence(records).interval(GAIN, kind)
        assert (interval.mean, interval.seeds) == (gain, 2)
    without = [records[0], record("a", 1, "00000000"), record("b", 0, "00000000")]
    assert accuracy(without, A, kind="near").seeds == 1
    assert evidence(without).interval(GAIN, kind="near") is None


def test_rows_pool_the_seeds_that_their_group_shares() -> None:
    rng = np.random.default_rng(0)
    rows = [record(key, seed, luck(rng, 0.7)) for key in "abc" for seed in range(4)]
    shared = evidence(rows).prior({A: 1.0})
    assert shared == evidence([*rows, record("a", 9, "0" * 400)]).prior({A: 1.0})
    assert 3 < shared.pooled <= 9
    assert shared != evidence(rows).prior(GAIN)  # of differences
    assert evidence([row for row in rows if row.key == "a"]).prior({A: 1.0}) is None
    means = [record(key, s, metrics={"map": 50.0 + s + ord(key) % 7 * s}) for key in "abc" for s in range(4)]
    assert evidence(means, ["map"]).prior({A: 1.0}) is None  # no means over videos


def test_what_rows_share_is_in_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    rows = [record(key, seed, luck(rng, 0.7 + 0.1 * rng.random())) for key in "ab" for seed in range(3)]
    prior = Prior(25.0, inf, pooled=50)
    monkeypatch.setattr("nlrepro.stats.evidence.fit_prior", lambda groups, centred: prior)
    interval = evidence(rows).interval(GAIN)
    # MS_seed counts alone, as it is far above the others: half = t * sqrt(variance * 2 / seeds), about
    assert interval.high - interval.mean == pytest.approx(stats.t.ppf(0.975, 50) * sqrt(25 * 2 / 3), rel=0.05)
