"""Which word fits a sentence, and how many seeds would make it another one than "undecided".

A sentence is a set of contrasts, weighted sums of top-1 accuracies, that must all be above 0 (contrasts.py). It
- holds, where the 95 % intervals of all of them lie above 0 (intersection-union test: no correction for their number);
- fails, where one lies below 0 also after Holm's correction for their number, as one is enough (union-intersection test; four
  rows that equal their baseline, five seeds: 2.1 % of simulated cases, and 9 % without the correction);
- is negligible, where each that is not surely above 0 surely lies within one point of it: measured, and as good as equal;
- is undecided otherwise, or where runs are missing.
The first word that fits counts: a gain that is surely there but below a point holds. The p-value shown is that of "holds", and
of a sentence that fails that of "fails", corrected. Each error rate is one sentence's
(`error_rates` in claims.py).
"""

from collections.abc import Callable, Sequence
from typing import Literal

from nlrepro.report.anova import Analysis, Interval
from nlrepro.report.statistics import all_above, any_below

Word = Literal["holds", "fails", "negligible", "undecided"]
WORDS: tuple[Word, ...] = ("holds", "fails", "negligible", "undecided")
ALPHA = 0.025  # one-sided, as 95 % intervals have it
POINT = 1.0  # less is negligible
MOST_SEEDS = 100  # that an undecided sentence asks for by number


def decide(tests: Sequence[Interval], gain: Interval | None = None) -> Word:
    """The word for a sentence with these contrasts, and for `Alike` the gain that is its yardstick.

    `Alike` cannot fail unless the gain is surely above 0, and is not negligible unless the gain itself surely lies within a
    point: cells that differ by about half of a large gain differ by something.
    """
    if all_above(tests) < ALPHA:
        return "holds"
    if any_below(tests) < ALPHA and (gain is None or gain.low > 0):
        return "fails"
    unclear = [test for test in tests if test.low <= 0] + ([gain] if gain else [])
    return "negligible" if all(test.low >= -POINT and test.high <= POINT for test in unclear) else "undecided"


def seeds_needed(analyses: Sequence[Analysis], gain: Analysis | None = None) -> str:
    """The smallest number of seeds that gives another word than "undecided", if means and variance components are as measured.

    More seeds narrow only what seeds do: where the test videos alone leave it open, it is "no number". Empty where there is
    but one seed, as the spread between seeds is then unknown.
    """
    now = min(each.seeds for each in analyses)
    if now == 1:
        return ""

    def settled(seeds: int) -> bool:
        tests = [each.with_seeds(seeds).interval for each in analyses]
        return decide(tests, gain.with_seeds(seeds).interval if gain else None) != "undecided"

    return _first(settled, now + 1)


def _first(settled: Callable[[int], bool], start: int) -> str:
    found = next((seeds for seeds in range(start, MOST_SEEDS + 1) if settled(seeds)), None)
    if found is None:
        return f">{MOST_SEEDS}" if settled(10**9) else "no number"
    return str(found)
