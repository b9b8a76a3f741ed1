"""The variance between seeds that rows share: its formulas, and how often intervals hold the truth."""

from math import inf

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from nlrepro.stats.anova import ALPHA, analyse
from nlrepro.stats.moderated import Prior, bartlett, by_moments, fit_prior
from nlrepro.stats.verdicts import any_below

Array = NDArray[np.float64]
ROWS, VIDEOS = 5, 30
TRUTH = 70.0
SIZES = [(200, 2.0), pytest.param(1000, 0.0, marks=pytest.mark.rare)]
of_many_tables = pytest.mark.parametrize(("tables", "slack"), SIZES)  # slack: percent that chance may take


def simulate(tables: int, seeds: int, late: float = 0.0, shared: float = 0.0) -> Array:
    """[tables, rows, seeds, videos], mean TRUTH: seeds differ by 1 point, `shared` of it is common to rows.

    A part `late` of the seeds ends 20 points lower.
    """
    rng = np.random.default_rng(0)
    seed = rng.normal(0, 1, (tables, ROWS, seeds, 1)) * (1 - shared) ** 0.5
    seed += rng.normal(0, 1, (tables, 1, seeds, 1)) * shared**0.5
    seed -= 20 * ((rng.random(seed.shape) < late) - late)
    video = rng.normal(0, 1, (tables, 1, 1, VIDEOS))
    return np.asarray(TRUTH + seed + video + rng.normal(0, 1, (tables, ROWS, seeds, VIDEOS)))


def outcomes(measure: str, simulated: Array) -> tuple[Array, Array]:
    """Percent of the intervals that hold the truth, and their mean width: alone, and moderated by other rows.

    Of a row's accuracy, or of its difference to the first.
    """
    ends = []  # [tables, 2, 2]
    size, truth = (1.0, TRUTH) if measure == "accuracy" else (2.0, 0.0)
    for table in simulated:
        common = fit_prior([table.mean(axis=2).T], centred=measure == "difference")
        alone = analyse(table[1] if measure == "accuracy" else table[1] - table[0])
        both = alone.interval, alone.moderated(common, size).interval
        ends.append([(each.low, each.high) for each in both])
    low, high = np.moveaxis(ends, 2, 0)  # [tables, 2] both
    return 100 * ((low <= truth) & (truth <= high)).mean(axis=0), (high - low).mean(axis=0)


@of_many_tables
@pytest.mark.parametrize("shared", [0.0, 0.8])
@pytest.mark.parametrize("measure", ["accuracy", "difference"])
@pytest.mark.parametrize(("seeds", "narrower"), [(3, 0.85), (5, 0.91)])
def test_with_one_spread_of_seeds_moderated_intervals_are_narrower_and_cover_the_truth(
    tables: int, slack: float, measure: str, seeds: int, narrower: float, shared: float
) -> None:
    (_, covered), (alone, moderated) = outcomes(measure, simulate(tables, seeds, shared=shared))
    assert 92 - slack <= covered <= 98 + slack
    rows_are_free = measure == "difference" or not shared  # accuracies that move together tell little
    assert moderated < alone * (narrower if rows_are_free else 1)


@of_many_tables
@pytest.mark.parametrize(("seeds", "expected"), [(3, 57), (5, 48)])
def test_with_one_late_seed_in_ten_differences_are_covered_and_accuracies_are_not(
    tables: int, slack: float, seeds: int, expected: float
) -> None:
    """With and without the other rows."""
    simulated = simulate(tables, seeds, late=0.1)
    assert min(outcomes("difference", simulated)[0]) > 95 - slack
    alone, moderated = outcomes("accuracy", simulated)[0]
    assert moderated == pytest.approx(expected, abs=1 + 3 * slack)
    assert moderated > alone - 4


@of_many_tables
@pytest.mark.parametrize("moderated", [False, True])
def test_four_rows_that_equal_their_baseline_fail_in_at_most_2_5_percent(
    tables: int, slack: float, moderated: bool
) -> None:
    """By Holm's correction; without it they fail in more than twice as many."""
    calls = []
    for table in simulate(tables, seeds=5):
        common = fit_prior([table.mean(axis=2).T], centred=True) if moderated else None
        tests = [analyse(row - table[0]).moderated(common, size=2).interval for row in table[1:]]
        calls.append((min(1 - test.p_above for test in tests) < ALPHA, any_below(tests) < ALPHA))
    uncorrected, corrected = 100 * np.mean(calls, axis=0)
    assert uncorrected > 5
    assert corrected <= 2.5 + 1 + slack  # 1: two standard errors of 1,000 tables


def test_it_is_bartletts_test() -> None:
    samples = [np.random.default_rng(i).normal(0, 1 + i, 4 + i) for i in range(4)]
    variances, freedoms = zip(*((s.var(ddof=1), s.size - 1.0) for s in samples), strict=True)
    p = bartlett(np.array(variances), np.array(freedoms))
    assert p == pytest.approx(stats.bartlett(*samples).pvalue)


def test_the_fit_finds_the_prior_that_variances_were_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smyth's model with s0^2 = 3."""
    monkeypatch.setattr("nlrepro.stats.moderated.LEVEL", 0.0)  # Bartlett's test refuses any prior of so many
    rng = np.random.default_rng(0)
    prior, d = 8.0, 6.0
    drawn = 3 * prior / rng.chisquare(prior, 4000) * rng.chisquare(d, 4000) / d
    equal = 3 * rng.chisquare(d, 20000) / d
    fit, same = (by_moments(each, np.full(each.size, d), pooled=inf) for each in (drawn, equal))
    assert (fit.variance, fit.freedom) == pytest.approx((3, prior), rel=0.1)
    assert same.variance == pytest.approx(3, rel=0.02)
    assert same.freedom > 100


def test_variances_are_moderated_by_the_formula() -> None:
    assert Prior(2.0, 6.0, pooled=100).moderate(7.0, 4.0) == pytest.approx(((6 * 2 + 4 * 7) / 10, 10))
    assert Prior(2.0, inf, pooled=14).moderate(7.0, 4.0) == (2.0, 14)
    assert Prior(2.0, 6.0, pooled=8).moderate(7.0, 4.0)[1] == 8  # never more than all rows have
    assert Prior(2.0, 6.0, pooled=4).moderate(7.0, 4.0) == (7.0, 4.0)  # rows that move as one add nothing


def test_rows_that_move_as_one_have_the_freedom_of_one() -> None:
    rng = np.random.default_rng(0)
    one, free = rng.normal(size=(6, 1)), rng.normal(size=(6, 4))
    together, apart = fit_prior([one + 1e-6 * free], centred=False), fit_prior([free], centred=False)
    assert together.pooled == pytest.approx(5, rel=1e-3)
    assert 10 < apart.pooled < 20


def test_the_variance_of_centred_rows_is_that_of_a_row() -> None:
    """Of two rows less their mean, either is half of their difference."""
    prior = fit_prior(list(np.random.default_rng(0).normal(0, 3, (2000, 5, 2))), centred=True)
    assert prior.variance == pytest.approx(9, rel=0.05)


LUCK = np.random.default_rng(1).normal(0, 1, (5, 6))
UNFIT = {
    "no row": [],
    "one row": [LUCK[:, :1]],
    "two rows": [LUCK[:, :2]],  # less their mean, one is minus the other
    "one seed": [LUCK[:1]],
    "seeds that do not differ": [0 * LUCK],
    "rows that differ in spread": [LUCK * [30, 1, 1, 1, 1, 1]],
}


@pytest.mark.parametrize("why", UNFIT)
def test_nothing_is_shared_without_several_rows_whose_seeds_differ_alike(why: str) -> None:
    assert fit_prior([LUCK], centred=True)
    assert fit_prior(UNFIT[why], centred=True) is None
