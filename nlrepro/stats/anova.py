"""A mean with its 95 % interval over both seeds and test videos: the crossed analysis of variance.

Every net is tested on the same videos, so a row's results are a crossed table D[s, v] = mu + a_s + b_v + e_sv
of seed s and video v: 100 where the net was right and 0 elsewhere, or a weighted sum of such tables. The
two-way random-effects analysis of variance (Dorfman, Berbaum & Metz, Invest. Radiol. 1992; degrees of
freedom: Satterthwaite, Biometrics 1946) gives

    Var(mean) = (MS_seed + MS_video - MS_error) / (S V)

An interval thus answers "with other seeds and other videos", not only one of the two. On simulated Gaussian
tables with known variances it covers the truth in 92 to 97 % of cases for 3 or 5 seeds, and in 86 to 97 % for
2, of which little can be known. MS_seed has few degrees of freedom; moderated.py lets the other rows of a
table help.

A measure that is no mean over items, such as average precision, is a table of one column: the interval is
then Student's t over seeds, for the test items at hand. Departure: the paper gives single runs and no
intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt

import numpy as np
from scipy.special import stdtr, stdtrit

from nlrepro.stats.moderated import Array, Prior

ALPHA = 0.025  # one-sided, as 95 % intervals have it


@dataclass(frozen=True)
class Interval:
    """A mean, its 95 % interval, its number of seeds, and the two-sided p-value of "the mean is 0"."""

    mean: float
    low: float
    high: float
    seeds: int
    p: float

    @property
    def p_above(self) -> float:
        """One-sided p-value of "the mean is not above 0"; below ALPHA where the interval is above 0."""
        return self.p / 2 if self.mean > 0 else 1 - self.p / 2


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The mean squares of a table [seeds, videos]; `seed_freedom` are the degrees of freedom of `ms_seed`."""

    mean: float
    seeds: int
    videos: int
    ms_seed: float
    ms_video: float
    ms_error: float
    seed_freedom: float
    least: float = 0.0  # the standard error is kept at or above this

    @property
    def variance(self) -> tuple[float, float]:
        """The variance of the mean, and its degrees of freedom.

        A factor whose estimated variance is negative, its mean square below MS_error, counts as 0 and the sum
        keeps the other factor alone. So it is never below max(MS_seed, MS_video) / (S V), the variance that
        looking at one factor only would give.
        """
        error = self.ms_error, (self.seeds - 1) * (self.videos - 1)
        factors = (self.ms_seed, self.seed_freedom), (self.ms_video, self.videos - 1)
        terms = [(ms, df) for ms, df in factors if ms > self.ms_error]
        if len(terms) != 1:  # both count the error: take it off once; neither: there is nothing but error
            terms.append((-error[0] if terms else error[0], error[1]))
        total = sum(ms for ms, _ in terms)
        satterthwaite = sum(ms**2 / df for ms, df in terms if ms)
        freedom = total**2 / satterthwaite if satterthwaite else self.videos - 1
        return total / (self.seeds * self.videos), freedom

    @property
    def interval(self) -> Interval:
        mean, (variance, freedom) = self.mean, self.variance
        if self.videos == self.seeds == 1:
            return Interval(mean, -inf, inf, 1, 1.0)
        error = max(sqrt(variance), self.least)
        if error == 0:
            return Interval(mean, mean, mean, self.seeds, 1.0 if mean == 0 else 0.0)
        half = float(stdtrit(freedom, 1 - ALPHA)) * error
        p = 2 * float(stdtr(freedom, -abs(mean) / error))
        return Interval(mean, mean - half, mean + half, self.seeds, p)

    def moderated(self, prior: Prior | None, size: float) -> "Analysis":
        """With the variance between seeds moderated by other rows; `size` is the sum of squared weights."""
        if prior is None or self.seeds == 1:
            return self
        variance, freedom = prior.moderate(self.ms_seed / (self.videos * size), self.seed_freedom)
        return replace(self, ms_seed=variance * self.videos * size, seed_freedom=freedom)

    def with_seeds(self, seeds: int) -> "Analysis":
        """What to expect of so many seeds, if mean and variance components are as measured."""
        of_videos = max(self.ms_video - self.ms_error, 0.0) / self.seeds
        return replace(
            self,
            seeds=seeds,
            ms_seed=max(self.ms_seed, self.ms_error),
            ms_video=seeds * of_videos + self.ms_error,
            seed_freedom=self.seed_freedom + seeds - self.seeds,
        )


def analyse(d: Array, grain: float = 0.0) -> Analysis:
    """The crossed analysis of d [seeds, videos].

    With one seed the variance between seeds is unknown: the interval is then over videos only, and too narrow
    as a statement about the method. `grain` is the change in one cell that the measurement can resolve; the
    standard error is kept at or above one video's worth, grain / V, because a few videos that all agree do
    not prove that all videos would.
    """
    seeds, videos = d.shape
    by_seed, by_video = d.mean(axis=1, keepdims=True), d.mean(axis=0, keepdims=True)
    error = float(((d - by_seed - by_video + d.mean()) ** 2).sum())
    return Analysis(
        mean=float(d.mean()),
        seeds=seeds,
        videos=videos,
        ms_seed=videos * float(by_seed.var(ddof=1)) if seeds > 1 else 0.0,
        ms_video=seeds * float(by_video.var(ddof=1)) if videos > 1 else 0.0,
        ms_error=error / ((seeds - 1) * (videos - 1)) if seeds > 1 and videos > 1 else 0.0,
        seed_freedom=seeds - 1,
        least=grain / videos,
    )


def one_more(values: Sequence[float]) -> tuple[float, float]:
    """The ends of the 95 % interval that the next value lies in, if it comes as these did (Student's t).

    It is sqrt(n + 1) times as wide as that of their mean, and infinite for a single value.
    """
    interval = analyse(np.array(values)[:, None]).interval
    half = (interval.high - interval.mean) * sqrt(len(values) + 1)
    return interval.mean - half, interval.mean + half
