"""Sentences of the paper and their verdicts.

A sentence is a set of contrasts, weighted sums of measures, that must all be above 0. It
- holds, where the 95 % intervals of all of them lie above 0 (intersection-union test: no correction for their
  number);
- fails, where one of them lies below 0. One is enough, so this is corrected for their number
  (union-intersection test, Holm; four rows that equal their baseline, five seeds: 2.1 % of simulated cases,
  and 9 % without the correction);
- is negligible, where each that is not surely above 0 surely lies within one point of it: measured, and as
  good as equal;
- is undecided otherwise, or where runs are missing.
The first word that fits counts: a gain that is surely there but below a point holds. The p-value shown is
that of "holds"; for a sentence that fails it is that of "fails", corrected. Error rates are those of one
sentence (`error_rates`).

Verdicts are given for the number of seeds that the profile declares before its runs. From any other number
they are preliminary: testing after three seeds and again after five raises the error rate from 2.5 to 4.3 %.
Departure: the paper compares single runs; its own numbers go through the same contrasts as points, without
intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from math import isnan, nan
from typing import Literal, Protocol

from nlrepro.stats.anova import ALPHA, Analysis, Interval
from nlrepro.stats.evidence import Contrast, Evidence
from nlrepro.table import Cell

Word = Literal["holds", "fails", "negligible", "undecided"]
WORDS: tuple[Word, ...] = ("holds", "fails", "negligible", "undecided")
Pairs = tuple[tuple[Cell, Cell], ...]
POINT = 1.0  # less is negligible
MOST_SEEDS = 100  # that an undecided sentence asks for by number


class Sentence(Protocol):
    """What a verdict needs of its sentence to be printed."""

    @property
    def table(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def counted(self) -> bool:
        """Whether it is about costs, which are counted and not tested."""

    @property
    def symmetric(self) -> bool:
        """Whether each difference stands there in both orders."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict of the records, and that of the paper's own numbers, on a sentence.

    `difference`, in points, belongs to the contrast that supports the sentence least: the one with the
    largest p-value. `paper_difference` belongs to the paper's own weakest contrast. For counted sentences
    both are costs (`Cheaper`, `AddsLessThan`). `p` is one-sided. `seeds_needed` is "12", ">100" or "no
    number"; it is empty where none is needed or the variance between seeds is unknown. `preliminary` is "3
    seeds of 5", or empty where the seeds are as many as declared. `compared` are all differences of the
    sentence by name, and `weakest` is the name of the one that is printed.
    """

    claim: Sentence
    paper: Word
    paper_difference: float
    verdict: Word = "undecided"
    difference: Interval | None = None
    p: float = nan
    seeds_needed: str = ""
    preliminary: str = ""
    weakest: str = ""
    compared: Mapping[str, Interval] = field(default_factory=dict)


def name_of(difference: Contrast, titles: Mapping[str, str]) -> str:
    """The two cells of a difference: "5-block - baseline, R50"; what they share is named once.

    `titles` are those of the measures, which are named where the cells name them.
    """
    (better, _), (worse, _) = sorted(difference.items(), key=lambda item: -item[1])
    tables, depths, measures = (
        {getattr(cell, what) for cell in (better, worse)} for what in ("table", "depth", "measure")
    )
    sides = [
        " ".join([cell.table] * (len(tables) > 1) + [f"R{cell.depth}"] * (len(depths) > 1) + [cell.label])
        for cell in (better, worse)
    ]
    depth = [f"R{better.depth}"] * (len(depths) == 1)
    measure = [titles[better.measure]] if better.measure and len(measures) == 1 else []
    return ", ".join([f"{sides[0]} \N{MINUS SIGN} {sides[1]}", *depth, *measure])


def beat(table: str, depth: int, *pairs: tuple[str, str], measures: Sequence[str] = ("",)) -> Pairs:
    """Pairs (better, worse) of rows of one table and depth, in each of these measures."""
    return tuple(
        (Cell(table, depth, better, measure), Cell(table, depth, worse, measure))
        for better, worse in pairs
        for measure in measures
    )


@dataclass(frozen=True, kw_only=True)
class Contrasts:
    """A sentence that is tested; subclasses give its contrasts, and the difference that each is about."""

    table: str
    text: str
    counted = False
    symmetric = False

    @property
    def contrasts(self) -> list[Contrast]:
        raise NotImplementedError

    @property
    def differences(self) -> list[Contrast]:
        return self.contrasts

    @property
    def yardstick(self) -> Contrast | None:
        """A gain without which the sentence has no meaning."""
        return None

    @property
    def cells(self) -> frozenset[Cell]:
        return frozenset(cell for contrast in self.contrasts for cell in contrast)

    def verdict(self, evidence: Evidence, declared: int | None) -> Verdict:
        """By the records; `declared` is the profile's number of seeds, None if no verdict is preliminary."""
        printed = [evidence.paper(contrast) for contrast in self.contrasts]
        lowest = self.differences[printed.index(min(printed))]
        verdict = Verdict(claim=self, paper=word_of(printed), paper_difference=evidence.paper(lowest))
        analyses = [each for contrast in self.contrasts if (each := evidence.analysis(contrast))]
        if len(analyses) < len(printed):
            return verdict
        gain = evidence.analysis(self.yardstick) if self.yardstick else None
        tests = [each.interval for each in analyses]
        word = decide(tests, gain.interval if gain else None)
        weakest = tests.index(max(tests, key=lambda test: (test.p_above, -test.mean)))
        titles = evidence.tables[self.table].measures
        names = [name_of(difference, titles) for difference in self.differences]
        differences = [each for contrast in self.differences if (each := evidence.analysis(contrast))]
        return replace(
            verdict,
            verdict=word,
            difference=differences[weakest].interval,
            weakest=names[weakest],
            compared={name: each.interval for name, each in zip(names, differences, strict=True)},
            p=any_below(tests) if word == "fails" else all_above(tests),
            seeds_needed=seeds_needed(analyses, gain) if word == "undecided" else "",
            preliminary=preliminary({test.seeds for test in tests}, declared),
        )


@dataclass(frozen=True, kw_only=True)
class Beats(Contrasts):
    """In each pair the first cell is above the second."""

    pairs: Pairs

    @property
    def contrasts(self) -> list[Contrast]:
        return [{better: 1.0, worse: -1.0} for better, worse in self.pairs]


@dataclass(frozen=True, kw_only=True)
class Alike(Contrasts):
    """Any two of the cells differ by less than half of their mean gain over the baseline.

    Half, because then even the two that are furthest apart have more of the gain in common than not: that a
    block is there matters more than which one. The paper's pairwise forms span 0.4 points where half the mean
    gain is 0.46. The contrasts gain / 2 - (a - b), for both orders of each pair, carry the uncertainty of the
    margin too. Where the gain is not surely above 0 there is nothing to be alike in, so the sentence cannot
    fail.
    """

    alike: tuple[Cell, ...]
    baseline: Cell
    symmetric = True

    @property
    def yardstick(self) -> Contrast | None:
        return {self.baseline: -1.0} | {cell: 1 / len(self.alike) for cell in self.alike}

    @property
    def contrasts(self) -> list[Contrast]:
        share = 1 / (2 * len(self.alike))
        margin = {self.baseline: -0.5} | dict.fromkeys(self.alike, share)
        return [margin | {a: share - 1, b: share + 1} for a, b in permutations(self.alike, 2)]

    @property
    def differences(self) -> list[Contrast]:
        return [{a: 1.0, b: -1.0} for a, b in permutations(self.alike, 2)]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A sentence on the multiply-adds of pairs of nets: counted, so it needs no runs and has no interval."""

    table: str
    text: str
    pairs: Pairs
    counted = True
    symmetric = False

    @property
    def cells(self) -> frozenset[Cell]:
        return frozenset()


@dataclass(frozen=True, kw_only=True)
class Cheaper(Counted):
    """In each pair the first net takes fewer multiply-adds; savings in multiples of the baseline's."""

    def verdict(self, evidence: Evidence, declared: int | None) -> Verdict:
        printed = [
            round(evidence.printed(dear, "flops_ratio") - evidence.printed(cheap, "flops_ratio"), 6)
            for cheap, dear in self.pairs
        ]
        verdict = Verdict(claim=self, paper=word_of(printed), paper_difference=min(printed))
        savings = [
            round(evidence.relative_macs(dear) - evidence.relative_macs(cheap), 6)
            for cheap, dear in self.pairs
        ]
        return replace(verdict, verdict=word_of(savings), difference=exactly(min(savings)))

    def format(self, saving: float, digits: int = 2) -> str:
        return f"saves {saving:.{digits}f}x"

    def format_paper(self, saving: float) -> str:
        return self.format(saving, digits=1)


@dataclass(frozen=True, kw_only=True)
class AddsLessThan(Counted):
    """In each pair (with, without) the first net takes less than `limit` % more multiply-adds.

    The paper gives the limit and no number.
    """

    limit: float

    def verdict(self, evidence: Evidence, declared: int | None) -> Verdict:
        most = max(100 * (evidence.macs(more) / evidence.macs(less) - 1) for more, less in self.pairs)
        word: Word = "holds" if most < self.limit else "fails"
        verdict = Verdict(claim=self, paper="holds", paper_difference=self.limit)
        return replace(verdict, verdict=word, difference=exactly(most))

    def format(self, addition: float) -> str:
        return f"adds {addition:.1f} %"

    def format_paper(self, limit: float) -> str:
        return f"below {limit:g} %"


def exactly(value: float) -> Interval:
    """A counted number."""
    return Interval(value, value, value, 0, nan)


def decide(tests: Sequence[Interval], gain: Interval | None = None) -> Word:
    """The word for a sentence with these contrasts; `gain` is the yardstick of an `Alike`.

    `Alike` cannot fail unless the gain is surely above 0, and is not negligible unless the gain itself surely
    lies within a point: cells that differ by about half of a large gain differ by something.
    """
    if all_above(tests) < ALPHA:
        return "holds"
    if any_below(tests) < ALPHA and (gain is None or gain.low > 0):
        return "fails"
    unclear = [test for test in tests if test.low <= 0] + ([gain] if gain else [])
    return "negligible" if all(test.low >= -POINT and test.high <= POINT for test in unclear) else "undecided"


def all_above(intervals: Sequence[Interval]) -> float:
    """p-value of "not all of these means are above 0" (intersection-union test, Berger 1982).

    It is the largest of the one-sided p-values: no correction for their number is needed, since all must be
    above 0.
    """
    return max(interval.p_above for interval in intervals)


def any_below(intervals: Sequence[Interval]) -> float:
    """p-value of "none of these means is below 0" (union-intersection test).

    The smallest of the one-sided p-values times their number: for the smallest, which alone decides here,
    Holm's correction (1979) is Bonferroni's.
    """
    return min(1.0, len(intervals) * min(1 - interval.p_above for interval in intervals))


def seeds_needed(analyses: Sequence[Analysis], gain: Analysis | None = None) -> str:
    """The smallest number of seeds that gives another word than "undecided".

    Means and variance components are taken to be as measured. More seeds narrow only what seeds do: where the
    test videos alone leave it open, it is "no number". Empty where there is but one seed, as the variance
    between seeds is then unknown.
    """

    def settled(seeds: int) -> bool:
        tests = [each.with_seeds(seeds).interval for each in analyses]
        return decide(tests, gain.with_seeds(seeds).interval if gain else None) != "undecided"

    now = min(each.seeds for each in analyses)
    if now == 1:
        return ""
    if number := next(filter(settled, range(now + 1, MOST_SEEDS + 1)), None):
        return str(number)
    return f">{MOST_SEEDS}" if settled(10**9) else "no number"


def preliminary(seeds: set[int], declared: int | None) -> str:
    """ "3 seeds of 5"; empty where the seeds are as many as declared."""
    if declared is None or seeds == {declared}:
        return ""
    other = min(seeds - {declared})
    return f"{other} seed{'s' * (other > 1)} {'of' if other < declared else 'instead of'} {declared}"


def word_of(points: Sequence[float]) -> Word:
    """The word for numbers without intervals; NaN, where the paper prints no number, decides nothing."""
    if any(map(isnan, points)):
        return "undecided"
    return "holds" if min(points) > 0 else "fails" if min(points) < 0 else "undecided"


def error_rates(verdicts: Sequence[Verdict]) -> str:
    """Sentences on the error rates of all verdicts together."""
    tested = sum(not verdict.claim.counted for verdict in verdicts)
    text = (
        "Error rates are per sentence: one that is not true is found to hold in at most about "
        f"{100 * ALPHA:.1f} % of cases, and one that is not false to fail in as many."
    )
    if tested < 2:
        return text
    return (
        f"{text} Of the {tested} sentences tested on all tables, at most about {tested * ALPHA:.1f} are thus "
        'expected to "hold" by chance, and as many to "fail".'
    )
