"""The variance between seeds, moderated: all rows of a table share what each shows of it.

Rows of one table are nets of one kind, trained by one recipe, so the variance of one row is evidence on that
of another. Smyth (Stat. Appl. Genet. Mol. Biol. 2004) takes the rows' variances s_r^2 as drawn around a
common s0^2, fits this prior, s0^2 and its weight d0, to the moments of log s_r^2, and replaces s^2 with d
degrees of freedom by

    (d0 s0^2 + d s^2) / (d0 + d)    with d0 + d degrees of freedom

d0 is infinite where the rows differ no more than chance makes them. Two guards for tables of few rows:
- Bartlett's test (Proc. R. Soc. A 1937): where it finds at 5 % that the rows' variances differ, nothing is
  shared.
- The rows' variances are not independent: rows share the order of the training videos, and differences a
  baseline. No moderated variance has more degrees of freedom than all rows together: d tr(C)^2 / tr(C^2)
  with the rows' covariance matrix C (Greenhouse & Geisser, Psychometrika 1959), d for rows that move as one.

What is pooled. For accuracies: the variances of the rows' seed means. For differences, and all weighted sums
of rows whose weights sum to 0: the variances of the rows less the mean of their group (a depth of a table),
seed by seed. The variance of such a sum is that of a row times the sum of the squared weights.

Simulated (tests/test_moderated.py), five rows whose Gaussian seeds have one variance: 95 to 98 % of the
intervals cover the truth (93 % of three seeds' accuracies where rows move together), and those of differences
are 0.80 times as wide as without the other rows for three seeds, 0.86 for five. With one late seed in ten,
which ends 20 points lower, nearly nothing is shared: intervals of differences cover in 97 to 99 % of cases,
those of accuracies in only 57 % (three seeds) and 48 % (five), as most samples show no late seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, isinf, log

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtrc, digamma, polygamma

Array = NDArray[np.float64]
LEVEL = 0.05  # of Bartlett's test
TINY = 1e-5  # of the median: a variance of 0 has no logarithm


@dataclass(frozen=True)
class Prior:
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


def fit_prior(groups: Sequence[Array], centred: bool) -> Prior | None:
    """The prior that the rows of all groups give together; each group has seed means [seeds, rows], percent.

    `centred`, for differences, takes the rows less their group's mean. None where there is nothing to share:
    fewer than two variances, seeds that do not differ, or rows that Bartlett's test finds unlike.
    """
    variances: list[float] = []
    freedoms: list[int] = []
    total = square = 0.0
    for means in groups:
        seeds, rows = means.shape
        if seeds < 2 or rows <= centred:
            continue
        c = means - means.mean(axis=0)
        if centred:  # which takes 1 / rows of the variance, given back here
            c = (c - c.mean(axis=1, keepdims=True)) * (rows / (rows - 1)) ** 0.5
        # between rows over seeds, [rows, rows]; no BLAS: the same digits everywhere
        covariance = (c[:, :, None] * c[:, None, :]).sum(axis=0) / (seeds - 1)
        own = covariance.diagonal().tolist()
        own = own[:1] if centred and rows == 2 else own  # of two rows less their mean, one is minus the other
        variances += own
        freedoms += [seeds - 1] * len(own)
        total += float(covariance.trace())
        square += float((covariance**2).sum()) / (seeds - 1)
    if len(variances) < 2 or np.median(variances) == 0:
        return None
    return by_moments(np.array(variances), np.array(freedoms, dtype=float), total**2 / square)


def by_moments(variances: Array, freedoms: Array, pooled: float) -> Prior | None:
    """s0^2 and d0 by the moments of the log variances (Smyth, section 6.2); None for unlike variances."""
    variances = np.maximum(variances, TINY * float(np.median(variances)))
    if bartlett(variances, freedoms) < LEVEL:
        return None
    half = freedoms / 2
    logs = np.log(variances) - digamma(half) + np.log(half)
    excess = float(logs.var(ddof=1) - polygamma(1, half).mean())
    if excess <= 0:
        return Prior(float((variances * freedoms).sum() / freedoms.sum()), inf, pooled)
    half_d0 = trigamma_inverse(excess)
    return Prior(exp(float(logs.mean()) + float(digamma(half_d0)) - log(half_d0)), 2 * half_d0, pooled)


def bartlett(variances: Array, freedoms: Array) -> float:
    """p-value of "these variances are estimates of one"."""
    total, others = float(freedoms.sum()), len(variances) - 1
    mean = float((variances * freedoms).sum()) / total
    ratio = total * log(mean) - float((freedoms * np.log(variances)).sum())
    return float(chdtrc(others, ratio / (1 + (float((1 / freedoms).sum()) - 1 / total) / (3 * others))))


def trigamma_inverse(value: float) -> float:
    """x > 0 with trigamma(x) = value; 1 / x < trigamma(x) < 1 / x + 1 / x^2 bounds it."""
    return float(brentq(lambda x: polygamma(1, x) - value, 1 / value, 1 / value + 1, xtol=1e-12, rtol=1e-12))
