"""Accuracies of runs and their differences, with 95 % intervals over seeds and test videos, from records.

anova.py has the interval of one table of results and spread.py what the rows of a table of the paper say together.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nlrepro.errors import BadInput
from nlrepro.record import Record
from nlrepro.report.anova import Analysis, Interval, analyse
from nlrepro.report.spread import Spread, spread

Array = NDArray[np.float64]


def crossed(d: Array, grain: float = 0.0) -> Interval:
    """Mean of d [seeds, videos] with its interval by the crossed analysis of variance; see `analyse`."""
    return analyse(d, grain).interval


def outcomes(records: Sequence[Record], key: str, within: int = 1, kind: str | None = None) -> dict[int, Array]:
    """Seed -> 100 or 0 for each test video, of one kind or all: whether the true class is among the first `within` of `key`.

    Records that do not know the kind are left out.
    """
    ranks = {r.seed: _ranks(r, kind) for r in records if r.key == key}
    return {seed: correct(known, within) for seed, known in ranks.items() if known is not None}


def _ranks(record: Record, kind: str | None) -> str | None:
    if kind is None:
        return record.metrics.ranks
    return record.metrics.kinds[kind].ranks if kind in record.metrics.kinds else None


def correct(ranks: str, within: int = 1) -> Array:
    """100 or 0 for each digit of a record's ranks: whether it is below `within`."""
    return np.asarray(100.0 * (np.frombuffer(ranks.encode(), np.uint8) < ord("0") + within))


def pool(
    records: Sequence[Record], groups: Sequence[Collection[str]], within: int = 1, kind: str | None = None, centred: bool = False
) -> Spread | None:
    """What rows say together of the spread between seeds; each group has the keys of rows that are compared.

    A row without records is left out; of the others, the seeds that a group's rows share count. `centred` for differences.
    """
    means = []
    for keys in groups:
        runs = [run for key in sorted(set(keys)) if (run := outcomes(records, key, within, kind))]
        seeds = sorted(set.intersection(*map(set, runs))) if runs else []
        if seeds:
            means.append(np.array([[run[seed].mean() for run in runs] for seed in seeds]))
    return spread(means, centred)


def analysis(
    records: Sequence[Record],
    weights: Mapping[str, float],
    within: int = 1,
    kind: str | None = None,
    shared: Spread | None = None,
) -> Analysis | None:
    """Of the weighted sum of the accuracies of runs (key -> weight), in points, paired by seed and by video.

    Only seeds that all the runs have count; None if there is no such seed. `shared` moderates the spread between them.

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
    own = analyse(np.asarray(d), grain=100 * max(abs(weight) for weight in weights.values()))
    return own.moderated(shared, size=sum(weight**2 for weight in weights.values()))


def contrast(
    records: Sequence[Record],
    weights: Mapping[str, float],
    within: int = 1,
    kind: str | None = None,
    shared: Spread | None = None,
) -> Interval | None:
    """The interval of `analysis`."""
    found = analysis(records, weights, within, kind, shared)
    return found.interval if found else None


def accuracy(
    records: Sequence[Record], key: str, within: int = 1, kind: str | None = None, shared: Spread | None = None
) -> Interval | None:
    """Top-`within` accuracy of the run `key`, percent; the interval is cut to [0, 100]."""
    found = contrast(records, {key: 1.0}, within, kind, shared)
    return found and replace(found, low=max(found.low, 0.0), high=min(found.high, 100.0))


def difference(
    records: Sequence[Record],
    key: str,
    baseline: str,
    within: int = 1,
    kind: str | None = None,
    shared: Spread | None = None,
) -> Interval | None:
    """Top-`within` accuracy of `key` minus that of `baseline`, in points, paired by seed and by video."""
    return contrast(records, {key: 1.0, baseline: -1.0}, within, kind, shared)


def all_above(intervals: Sequence[Interval]) -> float:
    """p-value of "not all of these means are above 0" (intersection-union test, Berger 1982).

    It is the largest of the one-sided p-values: no correction for their number is needed, since all must be above 0.
    """
    return max(interval.p_above for interval in intervals)


def any_below(intervals: Sequence[Interval]) -> float:
    """p-value of "none of these means is below 0" (union-intersection test).

    One of them is enough, so their number must be paid for: the smallest of the one-sided p-values times it (Holm 1979; for
    the smallest p-value, which alone decides here, Holm's correction is Bonferroni's).
    """
    return min(1.0, len(intervals) * min(1 - interval.p_above for interval in intervals))
