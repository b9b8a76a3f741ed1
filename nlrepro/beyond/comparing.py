"""Means, differences and verdicts of Tables 4 to 6, with 95 % intervals over seeds.

Average precision is one number a run, not a mean over test images, so the crossed analysis of Table 2 (nlrepro/report/anova.py)
has nothing to work on: intervals are Student's t over seeds, differences are paired by seed, and all rows are tested on the same
images. They tell what other seeds would give, not what other images would. The words are reached as in nlrepro/report/judge.py.
"""

from collections.abc import Mapping, Sequence
from math import inf, nan, sqrt

import numpy as np
from scipy.special import stdtr, stdtrit

from nlrepro.beyond.experiment import Experiment
from nlrepro.beyond.outcome import Outcome
from nlrepro.report.anova import ALPHA, Interval
from nlrepro.report.claims import Beats, Cell, Slight, named
from nlrepro.report.judge import all_above, any_below, decide
from nlrepro.report.verdicts import Verdict, Word


def over_seeds(values: Sequence[float]) -> Interval | None:
    """The mean of one value a seed; of a single one nothing is known but itself. None without any."""
    seeds = len(values)
    if not seeds:
        return None
    mean = float(np.mean(values))
    if seeds == 1:
        return Interval(mean, -inf, inf, 1, 1.0)
    error = float(np.std(values, ddof=1)) / sqrt(seeds)
    if error == 0:
        return Interval(mean, mean, mean, seeds, 1.0 if mean == 0 else 0.0)
    half = float(stdtrit(seeds - 1, 1 - ALPHA)) * error
    return Interval(mean, mean - half, mean + half, seeds, 2 * float(stdtr(seeds - 1, -abs(mean) / error)))


def by_seed(records: Sequence[Outcome], key: str, measure: str) -> dict[int, float]:
    return {record.seed: record.metrics[measure] for record in records if record.key == key and measure in record.metrics}


def mean(records: Sequence[Outcome], key: str, measure: str) -> Interval | None:
    """Percent; the interval is cut to [0, 100]."""
    found = over_seeds(list(by_seed(records, key, measure).values()))
    return found.within(0.0, 100.0) if found and found.seeds > 1 else found


def difference(records: Sequence[Outcome], first: tuple[str, str], second: tuple[str, str]) -> Interval | None:
    """Of two (key, measure), paired by the seeds that both have."""
    a, b = by_seed(records, *first), by_seed(records, *second)
    return over_seeds([a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())])


def judge(experiment: Experiment, records: Sequence[Outcome], declared: int) -> list[Verdict]:
    """The verdicts on the sentences of the table; preliminary where the seeds are not as many as declared."""
    cells, on_paper = experiment.cells(), experiment.on_paper()
    return [
        counted(claim, experiment.macs) if isinstance(claim, Slight) else verdict(claim, cells, on_paper, records, declared)
        for claim in experiment.claims
    ]


def counted(claim: Slight, macs: Mapping[Cell, int]) -> Verdict:
    """Without records; the paper gives the limit and no number."""
    most = max(claim.additions(macs))
    word: Word = "holds" if most < claim.limit else "fails"
    return Verdict(
        claim=claim, paper="holds", paper_difference=claim.limit, verdict=word, difference=Interval(most, most, most, 0, nan)
    )


def verdict(
    claim: Beats, cells: Mapping[Cell, tuple[str, str]], on_paper: Mapping[Cell, float], records: Sequence[Outcome], declared: int
) -> Verdict:
    by_paper = [round(on_paper.get(first, nan) - on_paper.get(second, nan), 6) for first, second in claim.pairs]
    known = [value for value in by_paper if not np.isnan(value)]
    paper: Word = "undecided" if not known else "holds" if min(known) > 0 else "fails" if min(known) < 0 else "undecided"
    measured = {pair: difference(records, cells[pair[0]], cells[pair[1]]) for pair in claim.pairs}
    found = {named({pair[0]: 1.0, pair[1]: -1.0}): d for pair, d in measured.items() if d}
    word: Word = "undecided"
    if len(found) == len(claim.pairs):
        word = decide(list(found.values()))
    weakest = max(found, key=lambda name: (found[name].p_above, -found[name].mean), default="")
    complete = len(found) == len(claim.pairs)
    tests = list(found.values())
    return Verdict(
        claim=claim,
        paper=paper,
        paper_difference=min(known, default=nan),
        verdict=word,
        difference=found[weakest] if complete else None,
        weakest=weakest if complete else "",
        compared=found if complete else {},
        p=nan if not complete else any_below(tests) if word == "fails" else all_above(tests),
        preliminary=preliminary({test.seeds for test in tests}, declared) if complete else "",
    )


def preliminary(seeds: set[int], declared: int) -> str:
    other = min(seeds - {declared}, default=declared)
    if other == declared:
        return ""
    return f"{other} seed{'s' * (other > 1)} {'of' if other < declared else 'instead of'} {declared}"
