"""Means with 95 % intervals over both seeds and test videos.

Every net is tested on the same videos, so a row's results are a crossed table D[s, v] = mu + a_s + b_v + e_sv of seed s and
video v: 100 where the net was right and 0 elsewhere, or a difference of such tables. The two-way random-effects analysis of
variance (Dorfman, Berbaum & Metz, Invest. Radiol. 1992; degrees of freedom: Satterthwaite, Biometrics 1946) gives

    Var(mean) = (MS_seed + MS_video - MS_error) / (S V)

An interval thus answers "with other seeds and other videos", not only one of the two. On simulated Gaussian tables with known
variances it covers the truth in 92 to 97 % of cases for 3 or 5 seeds, and in 86 to 97 % for 2, of which little can be known.
Departure: the paper gives single runs and no intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nlrepro.errors import BadInput
from nlrepro.record import Record

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean, its 95 % interval, the number of seeds behind it, and the two-sided p-value of "the mean is 0"."""

    mean: float
    low: float
    high: float
    seeds: int
    p: float

    @property
    def p_above(self) -> float:
        """One-sided p-value of "the mean is not above 0"; below 0.025 exactly where the interval lies above 0."""
        return self.p / 2 if self.mean > 0 else 1 - self.p / 2


def crossed(d: Array, grain: float = 0.0) -> Interval:
    """Mean of d [seeds, videos] with its interval by the crossed analysis of variance.

    With one seed the spread between seeds is unknown: the interval is then over videos only, and too narrow as a statement
    about the method. `grain` is the change in one cell that the measurement can resolve; the standard error is kept at or
    above one video's worth, grain / V, because a few videos that all agree do not prove that all videos would.
    """
    seeds, videos = d.shape
    if videos < 2:
        raise BadInput(f"an interval needs at least 2 test videos, got {videos}")
    variance, freedom = _variance(d)
    mean, error = float(d.mean()), max(sqrt(variance), grain / videos)
    if error == 0:
        return Interval(mean, mean, mean, seeds, 1.0 if mean == 0 else 0.0)
    half = float(stats.t.ppf(0.975, freedom)) * error
    return Interval(mean, mean - half, mean + half, seeds, 2 * float(stats.t.sf(abs(mean) / error, freedom)))


def _variance(d: Array) -> tuple[float, float]:
    """Variance of the mean of d [seeds, videos], and its degrees of freedom.

    MS_seed + MS_video - MS_error falls below either mean square when the other factor's estimated variance is negative. That
    estimate is then 0, as a variance cannot be negative, so the sum keeps the terms of the other factor alone; it is never
    below max(MS_seed, MS_video), the variance that looking at one factor only would give.
    """
    seeds, videos = d.shape
    by_seed, by_video = d.mean(axis=1, keepdims=True), d.mean(axis=0, keepdims=True)
    if seeds == 1:
        return float(d.var(ddof=1)) / videos, videos - 1
    ms_seed = videos * float(by_seed.var(ddof=1))
    ms_video = seeds * float(by_video.var(ddof=1))
    error_df = (seeds - 1) * (videos - 1)
    ms_error = float(((d - by_seed - by_video + d.mean()) ** 2).sum()) / error_df
    terms = [(ms, df) for ms, df in ((ms_seed, seeds - 1), (ms_video, videos - 1)) if ms > ms_error]
    if len(terms) != 1:  # both factors: the error is counted twice, take it off once; neither: nothing but error
        terms.append((-ms_error if terms else ms_error, error_df))
    total = sum(ms for ms, _ in terms)
    spread = sum(ms**2 / df for ms, df in terms)
    return total / (seeds * videos), total**2 / spread if spread else inf


def outcomes(records: Sequence[Record], key: str, within: int = 1, kind: str | None = None) -> dict[int, Array]:
    """Seed -> 100 or 0 for each test video: whether the true class is among the first `within` of the run `key`.

    With a kind, only of the videos of that kind; a record without it is left out.
    """
    found = [record for record in records if record.key == key]
    if kind is None:
        return {r.seed: correct(r.metrics.ranks, within) for r in found}
    return {r.seed: correct(r.metrics.kinds[kind].ranks, within) for r in found if kind in r.metrics.kinds}


def correct(ranks: str, within: int = 1) -> Array:
    """100 or 0 for each digit of a record's ranks: whether it is below `within`."""
    return np.array([100.0 * (int(rank) < within) for rank in ranks])


def contrast(
    records: Sequence[Record], weights: Mapping[str, float], within: int = 1, kind: str | None = None
) -> Interval | None:
    """Weighted sum of the accuracies of runs (key -> weight), in points, paired by seed and by video.

    With a kind, over the videos of that kind only. Only seeds that all the runs have count; None if there is no such seed.

    Raises:
        BadInput: the runs were tested on different numbers of videos.
    """
    runs = {key: outcomes(records, key, within, kind) for key in weights}
    seeds = sorted(set.intersection(*(set(run) for run in runs.values())))
    if not seeds:
        return None
    lengths = {f"{key} seed {seed}": runs[key][seed].size for key in runs for seed in seeds}
    if len(set(lengths.values())) > 1:
        raise BadInput(f"accuracies are compared on the same test videos only, got numbers of videos {lengths}")
    d = sum(weight * np.stack([runs[key][seed] for seed in seeds]) for key, weight in weights.items())
    return crossed(np.asarray(d), grain=100 * max(abs(weight) for weight in weights.values()))


def accuracy(records: Sequence[Record], key: str, within: int = 1, kind: str | None = None) -> Interval | None:
    """Top-`within` accuracy of the run `key`, percent; the interval is cut to [0, 100]."""
    found = contrast(records, {key: 1.0}, within, kind)
    return found and replace(found, low=max(found.low, 0.0), high=min(found.high, 100.0))


def difference(records: Sequence[Record], key: str, baseline: str, within: int = 1, kind: str | None = None) -> Interval | None:
    """Top-`within` accuracy of `key` minus that of `baseline`, in points, paired by seed and by video."""
    return contrast(records, {key: 1.0, baseline: -1.0}, within, kind)


def all_above(intervals: Sequence[Interval]) -> float:
    """p-value of "not all of these means are above 0" (intersection-union test, Berger 1982).

    It is the largest of the one-sided p-values: no correction for their number is needed, since all must be above 0.
    """
    return max(interval.p_above for interval in intervals)
