"""Accuracies of runs and their differences, with 95 % intervals over seeds and test videos, from records.

anova.py has the interval of one table of results, and moderated.py what the rows of a table of the paper say together.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from nlrepro.files import BadInput
from nlrepro.record import Record
from nlrepro.report.anova import ALPHA, Analysis, Interval, analyse
from nlrepro.report.moderated import Prior, fit_prior

Array = NDArray[np.float64]


def outcomes(records: Sequence[Record], key: str, within: int = 1, kind: str | None = None) -> dict[int, Array]:
    """Seed -> 100 or 0 for each test video, of one kind or all: whether the true class is among the first `within` of `key`.

    Records that do not know the kind are left out.
    """
    parts = {r.seed: r.metrics.kinds.get(kind) if kind else r.metrics for r in records if r.key == key}
    return {seed: correct(part.ranks, within) for seed, part in parts.items() if part}


def correct(ranks: str, within: int = 1) -> Array:
    """100 or 0 for each digit of a record's ranks: whether it is below `within`."""
    return np.asarray(100.0 * (np.frombuffer(ranks.encode(), np.uint8) < ord("0") + within))


def pool(records: Sequence[Record], groups: Sequence[Collection[str]], within: int = 1, centred: bool = False) -> Prior | None:
    """What rows say together of the variance between seeds; each group has the keys of rows that are compared.

    A row without records is left out; of the others, the seeds that a group's rows share count. `centred` for differences.
    """
    means = []
    for keys in groups:
        runs = [run for key in sorted(set(keys)) if (run := outcomes(records, key, within))]
        seeds = sorted(set.intersection(*map(set, runs))) if runs else []
        if seeds:
            means.append(np.array([[run[seed].mean() for run in runs] for seed in seeds]))
    return fit_prior(means, centred)


def analysis(
    records: Sequence[Record],
    weights: Mapping[str, float],
    within: int = 1,
    kind: str | None = None,
    prior: Prior | None = None,
) -> Analysis | None:
    """The crossed analysis of the weighted sum of the accuracies of runs (key -> weight), in points, paired by seed and by video.

    Only seeds that all the runs have count; None if there is no such seed. `prior` moderates the variance between them.

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
    return own.moderated(prior, size=sum(weight**2 for weight in weights.values()))


def accuracy(
    records: Sequence[Record], key: str, within: int = 1, kind: str | None = None, prior: Prior | None = None
) -> Interval | None:
    """Top-`within` accuracy of the run `key`, percent; the interval is cut to [0, 100]."""
    found = analysis(records, {key: 1.0}, within, kind, prior)
    return found.interval.within(0.0, 100.0) if found else None


def difference(records: Sequence[Record], key: str, baseline: str, prior: Prior | None = None) -> Interval | None:
    """Top-1 accuracy of `key` minus that of `baseline`, in points, paired by seed and by video."""
    found = analysis(records, {key: 1.0, baseline: -1.0}, prior=prior)
    return found.interval if found else None


def one_more(values: Sequence[float]) -> tuple[float, float] | None:
    """The ends of the 95 % interval that the next value lies in, if it comes as these did (Student's t); None of fewer than two.

    It is wider than that of their mean: s sqrt(1 + 1/n) in place of s sqrt(1/n).
    """
    n = len(values)
    if n < 2:
        return None
    half = float(stdtrit(n - 1, 1 - ALPHA)) * float(np.std(values, ddof=1)) * (1 + 1 / n) ** 0.5
    mean = float(np.mean(values))
    return mean - half, mean + half
