"""Sentences of the paper and their verdicts.

A sentence is a set of contrasts, weighted sums of measures, that must all be above 0. It
- holds, where the 95 % intervals of all of them lie above 0 (intersection-union test, Berger 1982: no
  correction for their number);
- fails, where one of them lies below 0. One is enough, so this is corrected for their number
  (union-intersection test, Holm 1979; four rows that equal their baseline, five seeds: 2.1 % of simulated
  cases, and 9 % without the correction);
- is negligible, where each that is not surely above 0 surely lies within one point of it: measured, and as
  good as equal;
- is undecided otherwise, or where runs are missing.
The first word that fits counts: a gain that is surely there but below a point holds. The p-value shown is
that of "holds"; for a sentence that fails it is that of "fails", corrected. Error rates are those of one
sentence (`text.error_rates`).

Verdicts are given for the number of seeds that the profile declares before its runs. From any other number
they are preliminary: testing after three seeds and again after five raises the error rate from 2.5 to 4.3 %.
Departure: the paper compares single runs; its own numbers go through the same contrasts as points, without
intervals.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations, product
from math import isnan, nan
from typing import Literal

import numpy as np

from nlrepro.stats.anova import ALPHA, Analysis, Interval
from nlrepro.stats.evidence import Contrast, Evidence
from nlrepro.table import Cell, Claim, Pairs

Word = Literal["holds", "fails", "negligible", "undecided"]
POINT = 1.0  # less is negligible
MOST_SEEDS = 100  # that an undecided sentence asks for by number


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict of the records, and that of the paper's own numbers, on a sentence.

    Differences are in points, or costs of counted sentences. They belong to the contrast that supports the
    sentence least: here the one with the largest p-value, in the paper the lowest.
    """

    claim: "Beats | Counted"
    paper: Word
    paper_difference: float
    verdict: Word = "undecided"
    difference: Interval | None = None
    p: float = nan  # one-sided
    seeds_needed: str = ""  # "12", ">100" or "no number"; empty where none is needed, and after one seed
    preliminary: str = ""  # "3 seeds of 5"; empty where the seeds are as many as declared
    weakest: str = ""  # the name of `difference`
    compared: Mapping[str, Interval] = field(default_factory=dict)  # all differences by name


def beat(
    table: str, *pairs: tuple[str, str], depths: Iterable[int] = (50,), measures: Sequence[str] = ("",)
) -> Pairs:
    """Pairs (better, worse) of rows of one table, of each of these depths and in each of these measures."""
    return tuple(
        (Cell(table, depth, better, measure), Cell(table, depth, worse, measure))
        for depth, (better, worse), measure in product(depths, pairs, measures)
    )


@dataclass(frozen=True)
class Beats(Claim):
    """In each pair the first cell is above the second; this is tested."""

    @property
    def differences(self) -> list[Contrast]:
        return [{better: 1.0, worse: -1.0} for better, worse in self.pairs]

    @property
    def contrasts(self) -> list[Contrast]:
        """The sums that must be above 0, one a pair."""
        return self.differences

    @property
    def yardstick(self) -> Contrast | None:
        """A gain without which the sentence has no meaning."""
        return None

    def verdict(self, evidence: Evidence, declared: int) -> Verdict:
        """By the records; `declared` is the profile's number of seeds."""
        points = [evidence.paper(contrast) for contrast in self.contrasts]
        lowest = int(np.argmin(points))  # or the first that the paper does not print
        in_paper = evidence.paper(self.differences[lowest])
        verdict = Verdict(claim=self, paper=word_of(points[lowest]), paper_difference=in_paper)
        analyses = [result for contrast in self.contrasts if (result := evidence.analysis(contrast))]
        intervals = [each for pair in self.differences if (each := evidence.interval(pair))]
        if len(analyses) < len(points):
            return verdict
        gain = evidence.analysis(self.yardstick) if self.yardstick else None
        tests = [result.interval for result in analyses]
        word = decide(tests, gain.interval if gain else None)
        weakest = tests.index(max(tests, key=lambda test: (test.p_above, -test.mean)))
        names = [name_of(*pair, evidence.tables[self.table].measures) for pair in self.pairs]
        return replace(
            verdict,
            verdict=word,
            difference=intervals[weakest],
            weakest=names[weakest],
            compared=dict(zip(names, intervals, strict=True)),
            p=any_below(tests) if word == "fails" else all_above(tests),
            seeds_needed=seeds_needed(analyses, gain) if word == "undecided" else "",
            preliminary=preliminary({test.seeds for test in tests}, declared),
        )


@dataclass(frozen=True)
class Alike(Beats):
    """Any two of the cells differ by less than half of their mean gain over the baseline.

    Half, because then even the two that are furthest apart have more of the gain in common than not: that a
    block is there matters more than which one. The paper's pairwise forms span 0.4 points where half the mean
    gain is 0.46. The contrasts gain / 2 - (a - b), for both orders of each pair, carry the uncertainty of the
    margin too.
    """

    pairs: Pairs = field(init=False)  # both orders of each
    alike: tuple[Cell, ...]
    baseline: Cell

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", tuple(permutations(self.alike, 2)))

    @property
    def cells(self) -> frozenset[Cell]:
        return super().cells | {self.baseline}

    @property
    def contrasts(self) -> list[Contrast]:
        share = 1 / (2 * len(self.alike))
        margin = {self.baseline: -0.5} | dict.fromkeys(self.alike, share)
        return [margin | {a: share - 1, b: share + 1} for a, b in self.pairs]

    @property
    def yardstick(self) -> Contrast | None:
        return {self.baseline: -1.0} | {cell: 1 / len(self.alike) for cell in self.alike}


def name_of(better: Cell, worse: Cell, titles: Mapping[str, str]) -> str:
    """The difference of two cells: "5-block - baseline, R50"; what they share is named once.

    `titles` are those of the measures, which are named where the cells name them.
    """
    other_table, other_depth = better.table != worse.table, better.depth != worse.depth
    sides = [
        " ".join([cell.table] * other_table + [f"R{cell.depth}"] * other_depth + [cell.label])
        for cell in (better, worse)
    ]
    measure = titles.get(better.measure, "") if better.measure == worse.measure else ""
    shared = [f"R{better.depth}"] * (not other_depth) + [measure] * bool(measure)
    return ", ".join([f"{sides[0]} \N{MINUS SIGN} {sides[1]}", *shared])


@dataclass(frozen=True)
class Counted(Claim):
    """A sentence on the multiply-adds of pairs of nets: counted, so it needs no runs and has no interval."""

    cells = frozenset[Cell]()

    def verdict(self, evidence: Evidence, declared: int) -> Verdict:
        printed, value = self.values(evidence)
        verdict = Verdict(claim=self, paper=self.word(printed), paper_difference=printed)
        exact = Interval(value, value, value, 0, nan)
        return replace(verdict, verdict=self.word(value), difference=exact)

    def word(self, value: float) -> Word:
        return word_of(value)

    @abstractmethod
    def values(self, evidence: Evidence) -> tuple[float, float]:
        """The value of the pair that supports the sentence least: in the paper, and counted."""

    @abstractmethod
    def format(self, value: float, printed: bool = False) -> str:
        """The counted value in words, or the one that the paper prints."""


@dataclass(frozen=True)
class Cheaper(Counted):
    """In each pair the first net takes fewer multiply-adds; savings in multiples of the baseline's."""

    def values(self, evidence: Evidence) -> tuple[float, float]:
        def least(ratio: Callable[[Cell], float]) -> float:
            return float(np.min([round(ratio(dear) - ratio(cheap), 6) for cheap, dear in self.pairs]))

        return least(lambda cell: evidence.printed(cell, "flops_ratio")), least(evidence.macs)

    def format(self, value: float, printed: bool = False) -> str:
        if isnan(value):
            return "--"
        return f"{'adds' if value < 0 else 'saves'} {abs(value):.{1 if printed else 2}f}x"


@dataclass(frozen=True)
class AddsLessThan(Counted):
    """In each pair (with, without) the first net takes less than `limit` % more multiply-adds.

    The paper gives the limit and no number.
    """

    limit: float

    def values(self, evidence: Evidence) -> tuple[float, float]:
        added = [100 * (evidence.macs(more) / evidence.macs(less) - 1) for more, less in self.pairs]
        return self.limit, max(added)

    def word(self, value: float) -> Word:
        return "holds" if value <= self.limit else "fails"

    def format(self, value: float, printed: bool = False) -> str:
        return f"below {value:g} %" if printed else f"adds {value:.1f} %"


def decide(tests: Sequence[Interval], gain: Interval | None = None) -> Word:
    """The word for a sentence with these contrasts; `gain` is the yardstick of an `Alike`.

    `Alike` cannot fail unless the gain is surely above 0, as there is nothing to be alike in, and is not
    negligible unless the gain is: cells that differ by about half of a large gain differ by something.
    """
    if all_above(tests) < ALPHA:
        return "holds"
    if any_below(tests) < ALPHA and (gain is None or gain.low > 0):
        return "fails"
    unclear = [test for test in tests if test.low <= 0] + ([gain] if gain else [])
    return "negligible" if all(test.low >= -POINT and test.high <= POINT for test in unclear) else "undecided"


def all_above(intervals: Sequence[Interval]) -> float:
    """p-value of "not all of these means are above 0": the largest one-sided one."""
    return max(interval.p_above for interval in intervals)


def any_below(intervals: Sequence[Interval]) -> float:
    """p-value of "none of these means is below 0": the smallest one-sided one times their number."""
    return min(1.0, len(intervals) * min(1 - interval.p_above for interval in intervals))


def seeds_needed(analyses: Sequence[Analysis], gain: Analysis | None = None) -> str:
    """The smallest number of seeds that gives another word than "undecided", if all else is as measured.

    "no number" where the test videos alone leave it open. Empty where there is but one seed, as the variance
    between seeds is then unknown.
    """

    def is_settled(seeds: int) -> bool:
        tests = [each.with_seeds(seeds).interval for each in analyses]
        return decide(tests, gain.with_seeds(seeds).interval if gain else None) != "undecided"

    now = min(each.seeds for each in analyses)
    if now == 1:
        return ""
    if number := next(filter(is_settled, range(now + 1, MOST_SEEDS + 1)), None):
        return str(number)
    return f">{MOST_SEEDS}" if is_settled(10**9) else "no number"


def preliminary(seeds: set[int], declared: int) -> str:
    """ "3 seeds of 5"; empty where the seeds are as many as declared."""
    if seeds == {declared}:
        return ""
    other = min(seeds - {declared})
    return f"{other} seed{'s' * (other > 1)} {'of' if other < declared else 'instead of'} {declared}"


def word_of(points: float) -> Word:
    """The word for a number without interval; NaN, where the paper prints no number, decides nothing."""
    return "holds" if points > 0 else "fails" if points < 0 else "undecided"
