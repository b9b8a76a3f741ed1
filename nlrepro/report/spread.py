"""How much seeds differ, judged by all rows of a table together: a moderated variance.

The spread of S seed means has S - 1 degrees of freedom, and a 95 % interval from four of them is 2.78 standard errors wide
where 1.96 would do. Rows of one table are nets of one kind, trained by one recipe, so their spreads tell of each other. Smyth
(Stat. Appl. Genet. Mol. Biol. 2004) takes the rows' variances s_r^2 as drawn around a common s0^2, fits s0^2 and the weight d0
of the common value to the moments of log s_r^2, and replaces s^2 with d degrees of freedom by

    (d0 s0^2 + d s^2) / (d0 + d)    with d0 + d degrees of freedom

d0 is infinite where the rows differ no more than chance makes them. Two guards for tables of few rows:
- Bartlett's test (Proc. R. Soc. A 1937): where it finds at 5 % that the rows' spreads differ, nothing is shared.
- The rows' spreads are not independent: rows share the order of the training videos, and differences a baseline. No moderated
  variance has more degrees of freedom than all rows have together, which are those of Greenhouse & Geisser (Psychometrika 1959),
  d tr(C)^2 / tr(C^2) with the rows' covariance matrix C: d for rows that move as one, near d times the rows for free ones.

What is pooled. Accuracies: the spreads of the rows' seed means. Differences, and all weighted sums of rows whose weights sum to
0: those of the rows less the mean of the rows of their group (a depth of a table), seed by seed; what a seed does to all rows of
a group alike is not in a difference. The variance of such a sum is that of a row times the sum of the squared weights.

Simulated (tests/test_spread.py), five rows whose Gaussian seeds have one spread: 95 to 98 % of the intervals cover the truth
(93 % of three seeds' accuracies where rows move together), and those of differences are 0.80 times as wide as without the other
rows for three seeds, 0.86 for five. With one late seed in ten, which ends 20 points lower, Bartlett's test refuses most tables,
and it is then nearly as without the other rows: intervals of differences cover in 97 to 99 % of cases; intervals of accuracies
in only 57 % (three seeds; 59 % without the other rows) and 48 % (five; 48 %), as most samples show no late seed, and no interval
tells of what was not seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, isinf, log

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, digamma, polygamma

Array = NDArray[np.float64]
LEVEL = 0.05  # of Bartlett's test
TINY = 1e-5  # of the median: a variance of 0 has no logarithm


@dataclass(frozen=True)
class Spread:
    """The variance between seeds of one row, in squared points, as the rows have it in common."""

    variance: float  # s0^2
    freedom: float  # d0
    pooled: float  # degrees of freedom of all rows together

    def moderate(self, variance: float, freedom: float) -> tuple[float, float]:
        """A row's own variance and its degrees of freedom -> the moderated ones."""
        total = min(self.freedom + freedom, self.pooled)
        if total <= freedom:
            return variance, freedom
        if isinf(self.freedom):
            return self.variance, total
        return (self.freedom * self.variance + freedom * variance) / (self.freedom + freedom), total


def spread(groups: Sequence[Array], centred: bool) -> Spread | None:
    """What the rows of all groups say together; each group has seed means [seeds, rows], percent.

    `centred`: of the rows less their group's mean, for differences. None where there is nothing to share: fewer than two
    spreads, seeds that do not differ, or rows that Bartlett's test finds unlike.
    """
    variances: list[float] = []
    freedoms: list[int] = []
    total = square = 0.0
    for means in groups:
        seeds, rows = means.shape
        if seeds < 2 or rows <= centred:
            continue
        covariance = _covariance(means, centred)
        own = covariance.diagonal().tolist()
        own = own[:1] if centred and rows == 2 else own  # of two rows less their mean, one is minus the other
        variances += own
        freedoms += [seeds - 1] * len(own)
        total += float(covariance.trace())
        square += float((covariance**2).sum()) / (seeds - 1)
    if len(variances) < 2 or np.median(variances) == 0:
        return None
    return fit(np.array(variances), np.array(freedoms, dtype=float), total**2 / square)


def _covariance(means: Array, centred: bool) -> Array:
    """Between rows over seeds, [rows, rows]; centring takes 1 / rows of the variance, which is given back."""
    seeds, rows = means.shape
    c = means - means.mean(axis=0)
    if centred:
        c = (c - c.mean(axis=1, keepdims=True)) * (rows / (rows - 1)) ** 0.5
    return np.asarray((c[:, :, None] * c[:, None, :]).sum(axis=0) / (seeds - 1))  # no BLAS: the same digits everywhere


def fit(variances: Array, freedoms: Array, pooled: float) -> Spread | None:
    """s0^2 and d0 by the moments of the log variances (Smyth, section 6.2); None where the variances are unlike."""
    variances = np.maximum(variances, TINY * float(np.median(variances)))
    if bartlett(variances, freedoms) < LEVEL:
        return None
    half = freedoms / 2
    logs = np.log(variances) - digamma(half) + np.log(half)
    excess = float(logs.var(ddof=1) - polygamma(1, half).mean())
    if excess <= 0:
        return Spread(float((variances * freedoms).sum() / freedoms.sum()), inf, pooled)
    half_d0 = trigamma_inverse(excess)
    return Spread(exp(float(logs.mean()) + float(digamma(half_d0)) - log(half_d0)), 2 * half_d0, pooled)


def bartlett(variances: Array, freedoms: Array) -> float:
    """p-value of "these variances are estimates of one"."""
    total, others = float(freedoms.sum()), len(variances) - 1
    ratio = total * log(float((variances * freedoms).sum()) / total) - float((freedoms * np.log(variances)).sum())
    return float(chdtrc(others, ratio / (1 + (float((1 / freedoms).sum()) - 1 / total) / (3 * others))))


def trigamma_inverse(value: float) -> float:
    """x > 0 with trigamma(x) = value, by Newton's method on 1 / trigamma, which is convex (Smyth, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        now = float(polygamma(1, x))
        step = now * (1 - now / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x
