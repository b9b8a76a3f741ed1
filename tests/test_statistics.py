from math import sqrt

import numpy as np
import pytest
from conftest import record
from scipy import stats

from nlrepro.errors import BadInput
from nlrepro.reports.anova import Interval
from nlrepro.reports.statistics import accuracy, all_above, contrast, crossed, difference


@pytest.mark.parametrize(("seed_sd", "video_sd"), [(0.0, 25.0), (2.0, 25.0), (8.0, 25.0), (4.0, 0.0)])
def test_intervals_cover_the_truth_in_about_95_percent_of_simulated_tables(seed_sd: float, video_sd: float) -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        table = rng.normal(0, seed_sd, (3, 1)) + rng.normal(0, video_sd, (1, 100)) + rng.normal(0, 35, (3, 100))
        interval = crossed(7 + table)
        hits += interval.low <= 7 <= interval.high
    assert 0.90 <= hits / 400 <= 0.99


def test_without_video_effect_it_is_the_paired_t_test_over_seeds() -> None:
    gains = np.array([3.0, 5.0, 4.5, 7.0])
    interval = crossed(np.repeat(gains[:, None], 50, axis=1))
    reference = stats.ttest_1samp(gains, 0.0)
    low, high = reference.confidence_interval(0.95)
    assert (interval.low, interval.high, interval.p) == pytest.approx((low, high, reference.pvalue))


def test_without_seed_effect_it_is_the_t_test_over_videos() -> None:
    videos = np.random.default_rng(1).normal(2.0, 10.0, 80)
    low, high = stats.ttest_1samp(videos, 0.0).confidence_interval(0.95)
    for seeds in (1, 3):
        interval = crossed(np.repeat(videos[None], seeds, axis=0))
        assert (interval.low, interval.high, interval.seeds) == pytest.approx((low, high, seeds))


def test_variance_is_the_formula_of_the_crossed_analysis() -> None:
    # by hand: D = [[0, 4, 2], [6, 10, 14]], MS_seed = 96, MS_video = 14, MS_error = 6, df = 104^2 / (96^2 + 98 + 18)
    interval = crossed(np.array([[0.0, 4, 2], [6, 10, 14]]))
    half = stats.t.ppf(0.975, 104**2 / (96**2 + 14**2 / 2 + 6**2 / 2)) * sqrt((96 + 14 - 6) / 6)
    assert (interval.mean, interval.high - interval.mean) == pytest.approx((6.0, half))


def test_negative_variance_components_are_zero() -> None:
    # the two seeds have the same mean, so MS_seed = 0 < MS_error: only the videos count, MS_video = 8, MS_error = 24
    interval = crossed(np.array([[0.0, 6, 4, 2], [6.0, 0, 2, 4]]))
    assert interval.high - interval.mean == pytest.approx(stats.t.ppf(0.975, 3) * sqrt((20 / 3 * 4 / 2) / 8), rel=1e-6)


def test_p_is_below_5_percent_exactly_where_the_interval_excludes_zero() -> None:
    rng = np.random.default_rng(2)
    intervals = [crossed(rng.normal(4, 20, (3, 40)) + rng.normal(0, 3, (3, 1))) for _ in range(60)]
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
        contrast([record("a", 0, "0000"), record("b", 0, "000")], {"a": 1.0, "b": -1.0})


def test_all_above_is_as_sure_as_the_least_sure() -> None:
    sure, unsure, below = (Interval(m, 0.0, 0.0, 3, p) for m, p in ((5.0, 0.001), (1.0, 0.2), (-1.0, 0.2)))
    assert all_above([sure, unsure]) == pytest.approx(0.1)
    assert all_above([sure, below]) == pytest.approx(0.9)
