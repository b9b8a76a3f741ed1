from dataclasses import replace
from math import inf, sqrt

import numpy as np
import pytest
from conftest import record
from scipy import stats

from nlrepro.files import BadInput
from nlrepro.record import Part, Record
from nlrepro.report.anova import Interval, analyse
from nlrepro.report.judge import all_above, any_below
from nlrepro.report.moderated import Prior
from nlrepro.report.statistics import accuracy, analysis, difference, outcomes, pool

GAIN = {"a": 1.0, "b": -1.0}


@pytest.mark.parametrize(("seed_sd", "video_sd"), [(0.0, 25.0), (2.0, 25.0), (8.0, 25.0), (4.0, 0.0)])
def test_intervals_cover_the_truth_in_about_95_percent_of_simulated_tables(seed_sd: float, video_sd: float) -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        table = rng.normal(0, seed_sd, (3, 1)) + rng.normal(0, video_sd, (1, 100)) + rng.normal(0, 35, (3, 100))
        interval = analyse(7 + table).interval
        hits += interval.low <= 7 <= interval.high
    assert 0.90 <= hits / 400 <= 0.99


def test_without_video_effect_it_is_the_paired_t_test_over_seeds() -> None:
    gains = np.array([3.0, 5.0, 4.5, 7.0])
    interval = analyse(np.repeat(gains[:, None], 50, axis=1)).interval
    reference = stats.ttest_1samp(gains, 0.0)
    low, high = reference.confidence_interval(0.95)
    assert (interval.low, interval.high, interval.p) == pytest.approx((low, high, reference.pvalue))


def test_without_seed_effect_it_is_the_t_test_over_videos() -> None:
    videos = np.random.default_rng(1).normal(2.0, 10.0, 80)
    low, high = stats.ttest_1samp(videos, 0.0).confidence_interval(0.95)
    for seeds in (1, 3):
        interval = analyse(np.repeat(videos[None], seeds, axis=0)).interval
        assert (interval.low, interval.high, interval.seeds) == pytest.approx((low, high, seeds))


def test_variance_is_the_formula_of_the_crossed_analysis() -> None:
    # by hand: D = [[0, 4, 2], [6, 10, 14]], MS_seed = 96, MS_video = 14, MS_error = 6, df = 104^2 / (96^2 + 98 + 18)
    interval = analyse(np.array([[0.0, 4, 2], [6, 10, 14]])).interval
    half = stats.t.ppf(0.975, 104**2 / (96**2 + 14**2 / 2 + 6**2 / 2)) * sqrt((96 + 14 - 6) / 6)
    assert (interval.mean, interval.high - interval.mean) == pytest.approx((6.0, half))


def test_negative_variance_components_are_zero() -> None:
    # the two seeds have the same mean, so MS_seed = 0 < MS_error: only the videos count, MS_video = 8, MS_error = 24
    interval = analyse(np.array([[0.0, 6, 4, 2], [6.0, 0, 2, 4]])).interval
    assert interval.high - interval.mean == pytest.approx(stats.t.ppf(0.975, 3) * sqrt((20 / 3 * 4 / 2) / 8), rel=1e-6)


def test_p_is_below_5_percent_exactly_where_the_interval_excludes_zero() -> None:
    rng = np.random.default_rng(2)
    intervals = [analyse(rng.normal(4, 20, (3, 40)) + rng.normal(0, 3, (3, 1))).interval for _ in range(60)]
    excluded = [i.low > 0 or i.high < 0 for i in intervals]
    assert 0 < sum(excluded) < 60
    assert excluded == [i.p < 0.05 for i in intervals]
    assert [i.low > 0 for i in intervals] == [i.p_above < 0.025 for i in intervals]


def test_few_videos_that_all_agree_do_not_give_certainty() -> None:
    found = accuracy([record("a", 0, "0000")], "a")
    assert found is not None
    assert (found.mean, found.high) == (100.0, 100.0)
    assert found.low < 25  # one video of four is 25 points


def test_ranks_below_1_and_5_are_top1_and_top5() -> None:
    records = [record("a", 0, "0123456789")]
    top1, top5 = accuracy(records, "a"), accuracy(records, "a", within=5)
    assert top1
    assert top5
    assert (top1.mean, top5.mean) == (10.0, 50.0)


def test_differences_use_only_the_seeds_that_both_runs_have() -> None:
    records = [record("a", 0, "0000"), record("a", 1, "0000"), record("b", 1, "1000"), record("b", 2, "1111")]
    found = difference(records, "a", "b")
    assert found
    assert (found.mean, found.seeds) == (25.0, 1)
    assert difference([record("a", 0, "0000"), record("b", 2, "1111")], "a", "b") is None


def test_pairing_by_video_narrows_the_interval() -> None:
    rng = np.random.default_rng(3)
    hard = rng.random(200) < 0.5
    base = ["".join("1" if h else "0" for h in hard) for _ in range(3)]
    better = ["1" * 5 + b[5:] for b in base]
    records = [record("a", s, base[s]) for s in range(3)] + [record("b", s, better[s]) for s in range(3)]
    paired, alone = difference(records, "a", "b"), accuracy(records, "a")
    assert paired
    assert alone
    assert paired.high - paired.low < (alone.high - alone.low) / 3


def test_runs_on_different_videos_are_not_compared() -> None:
    with pytest.raises(BadInput, match="b seed 0': 3"):
        analysis([record("a", 0, "0000"), record("b", 0, "000")], GAIN)


def test_all_above_is_as_sure_as_the_least_sure() -> None:
    sure, unsure, below = (Interval(m, 0.0, 0.0, 3, p) for m, p in ((5.0, 0.001), (1.0, 0.2), (-1.0, 0.2)))
    assert all_above([sure, unsure]) == pytest.approx(0.1)
    assert all_above([sure, below]) == pytest.approx(0.9)


def test_any_below_is_corrected_for_the_number_of_means() -> None:
    intervals = [Interval(m, 0.0, 0.0, 3, p) for m, p in ((-1.0, 0.02), (5.0, 0.001), (1.0, 0.2))]
    assert any_below(intervals) == pytest.approx(3 * 0.01)
    assert any_below(intervals[1:]) == 1.0


def of_kinds(seed: int, key: str = "a", **ranks: str) -> Record:
    """A record whose test videos are of these kinds, one kind after the other."""
    plain = record(key, seed, "".join(ranks.values()))
    parts = {kind: Part(top1=0.0, ranks=of_kind) for kind, of_kind in ranks.items()}
    return replace(plain, metrics=replace(plain.metrics, kinds=parts))


def test_a_kind_of_videos_is_counted_on_its_own() -> None:
    records = [of_kinds(s, near="0000", far="0011") for s in (0, 1)] + [of_kinds(s, "b", near="1000", far="1111") for s in (0, 1)]
    for kind, mean, gain in ((None, 75.0, 37.5), ("near", 100.0, 25.0), ("far", 50.0, 50.0)):
        own, above = accuracy(records, "a", kind=kind), analysis(records, GAIN, kind=kind)
        assert own
        assert above
        assert (own.mean, above.mean, above.seeds) == (mean, gain, 2)


def test_records_that_do_not_know_a_kind_give_none() -> None:
    records = [of_kinds(0, near="0000"), record("a", 1, "0000"), record("b", 0, "0000")]
    assert list(outcomes(records, "a", kind="near")) == [0]
    assert accuracy(records, "a", kind="far") is None
    assert analysis(records, GAIN, kind="near") is None


def luck(rng: np.random.Generator, accuracy: float, videos: int = 400) -> str:
    return "".join("0" if right else "1" for right in rng.random(videos) < accuracy)


def test_rows_pool_the_seeds_that_their_group_shares() -> None:
    rng = np.random.default_rng(0)
    rows = [record(key, seed, luck(rng, 0.7)) for key in "abc" for seed in range(4)]
    shared = pool(rows, [{"a", "b", "c", "unknown"}])
    assert shared == pool([*rows, record("a", 9, "0" * 400)], [["a", "b", "c"]])
    assert shared
    assert 3 < shared.pooled <= 9
    assert pool(rows, [["a"]]) is None
    assert pool([], [["a", "b"]]) is None


def test_what_rows_share_is_in_the_interval() -> None:
    rng = np.random.default_rng(1)
    rows = [record(key, seed, luck(rng, 0.7 + 0.1 * rng.random())) for key in "ab" for seed in range(3)]
    wide, narrow = (difference(rows, "a", "b", prior=Prior(variance, inf, pooled=50)) for variance in (25.0, 4.0))
    assert wide
    assert narrow
    # MS_seed counts alone, as it is far above the others: half = t * sqrt(variance * 2 / seeds), about
    assert wide.high - wide.mean == pytest.approx(stats.t.ppf(0.975, 50) * sqrt(25 * 2 / 3), rel=0.05)
    assert narrow.high - narrow.low < (wide.high - wide.low) / 2


def test_more_seeds_narrow_what_seeds_do_and_leave_what_videos_do() -> None:
    rng = np.random.default_rng(4)
    table = rng.normal(0, 5, (4, 1)) + rng.normal(0, 40, (1, 300)) + rng.normal(0, 30, (4, 300))
    now = analyse(table)
    assert now.with_seeds(4).interval == now.interval
    assert (now.with_seeds(9).seeds, now.with_seeds(9).seed_freedom) == (9, 8)
    halves = [now.with_seeds(seeds).interval.high - now.mean for seeds in (4, 8, 100, 10**9)]
    assert halves == sorted(halves, reverse=True)
    of_videos = (now.ms_video - now.ms_error) / 4 / 300
    assert halves[-1] == pytest.approx(stats.t.ppf(0.975, 299) * sqrt(of_videos), rel=1e-3)
