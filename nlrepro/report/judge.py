"""How a verdict on a sentence of the paper is reached.

A sentence is a set of contrasts, weighted sums of top-1 accuracies, that must all be above 0 (claims.py). It
- holds, where the 95 % intervals of all of them lie above 0 (intersection-union test: no correction for their number);
- fails, where one of them lies below 0. One is enough, so this is corrected for their number (union-intersection test, Holm; four
  rows that equal their baseline, five seeds: 2.1 % of simulated cases, and 9 % without the correction);
- is negligible, where each that is not surely above 0 surely lies within one point of it: measured, and as good as equal;
- is undecided otherwise, or where runs are missing.
The first word that fits counts: a gain that is surely there but below a point holds. The p-value shown is that of "holds"; for a
sentence that fails it is that of "fails", corrected. Error rates are those of one sentence (`error_rates` in verdicts.py).

Verdicts are given for the number of seeds that the profile declares before its runs. From any other number they are
preliminary: who looks twice errs more often (after three seeds and again after five: 4.3 % where one look has 2.5 %).
Departure: the paper compares single runs; its own numbers go through the same contrasts as points, without intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan

from nlrepro import paper
from nlrepro.record import Record
from nlrepro.report.anova import ALPHA, Analysis, Interval
from nlrepro.report.claims import Alike, Beats, Cell, Cheaper, Claim, Contrast, named
from nlrepro.report.statistics import analysis, pool
from nlrepro.report.tables import TableSpec
from nlrepro.report.verdicts import Verdict, Word

POINT = 1.0  # less is negligible
MOST_SEEDS = 100  # that an undecided sentence asks for by number


def judge(
    claims: Sequence[Claim], specs: Sequence[TableSpec], records: Sequence[Record], declared: int | None = None
) -> list[Verdict]:
    """The verdicts of fresh records of one profile on the sentences; `specs` say which run fills which cell.

    `declared` is the profile's number of seeds; with None no verdict is preliminary.
    """
    cells = {Cell(spec.table, row.depth, row.label): (spec, row) for spec in specs for row in spec.rows}
    measured = Measured(keys={cell: row.key for cell, (_, row) in cells.items()}, records=records)
    costs = {cell: spec.cost_ratios(row)[1] for cell, (spec, row) in cells.items() if row.cost}
    return [_count(claim, costs) if isinstance(claim, Cheaper) else _test(claim, measured, declared) for claim in claims]


def _count(claim: Cheaper, costs: Mapping[Cell, float]) -> Verdict:
    by_paper = claim.savings({Cell(*place): flops for place, (_, flops) in paper.cost_ratios().items()})
    verdict = Verdict(claim=claim, paper=_word(by_paper), paper_difference=min(by_paper))
    if not {cell for pair in claim.pairs for cell in pair} <= set(costs):
        return verdict
    saved = min(counted := claim.savings(costs))
    return replace(verdict, verdict=_word(counted), difference=Interval(saved, saved, saved, 0, nan))


def _test(claim: Beats | Alike, measured: "Measured", declared: int | None) -> Verdict:
    by_paper = [_on_paper(contrast) for contrast in claim.contrasts]
    weakest = by_paper.index(min(by_paper))
    verdict = Verdict(claim=claim, paper=_word(by_paper), paper_difference=_on_paper(claim.differences[weakest]))
    found = [measured.analysis(contrast) for contrast in claim.contrasts]
    analyses = [each for each in found if each]
    if len(analyses) < len(found):
        return verdict
    gain = measured.analysis(claim.yardstick) if claim.yardstick else None
    tests = [each.interval for each in analyses]
    word = decide(tests, gain.interval if gain else None)
    worst = max(tests, key=lambda test: (test.p_above, -test.mean))
    differences = [measured.analysis(each) for each in claim.differences]
    compared = {named(each): found.interval for each, found in zip(claim.differences, differences, strict=True) if found}
    weakest_here = named(claim.differences[tests.index(worst)])
    return replace(
        verdict,
        verdict=word,
        difference=compared.get(weakest_here),
        weakest=weakest_here,
        compared=compared,
        p=any_below(tests) if word == "fails" else all_above(tests),
        seeds_needed=seeds_needed(analyses, gain) if word == "undecided" else "",
        preliminary=_preliminary({test.seeds for test in tests}, declared),
    )


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The records, and the key of the run that fills each cell."""

    keys: Mapping[Cell, str]
    records: Sequence[Record]

    def analysis(self, contrast: Contrast) -> Analysis | None:
        """None where runs are missing. All rows of the tables that the contrast names share their variance between seeds."""
        if not set(contrast) <= set(self.keys):
            return None
        weights: dict[str, float] = {}
        for cell, weight in contrast.items():
            weights[self.keys[cell]] = weights.get(self.keys[cell], 0.0) + weight
        return analysis(self.records, weights, prior=pool(self.records, self._groups(contrast), centred=True))

    def _groups(self, contrast: Contrast) -> list[set[str]]:
        """The rows of these tables by depth; together where the contrast compares two depths."""
        tables, depths = {cell.table for cell in contrast}, {cell.depth for cell in contrast}
        rows = [(cell.depth, key) for cell, key in self.keys.items() if cell.table in tables]
        if len(depths) > 1:
            return [{key for _, key in rows}]
        return [{key for at, key in rows if at == depth} for depth in sorted({depth for depth, _ in rows})]


def decide(tests: Sequence[Interval], gain: Interval | None = None) -> Word:
    """The word for a sentence with these contrasts; `gain` is the yardstick of an `Alike`.

    `Alike` cannot fail unless the gain is surely above 0, and is not negligible unless the gain itself surely lies within a
    point: cells that differ by about half of a large gain differ by something.
    """
    if all_above(tests) < ALPHA:
        return "holds"
    if any_below(tests) < ALPHA and (gain is None or gain.low > 0):
        return "fails"
    unclear = [test for test in tests if test.low <= 0] + ([gain] if gain else [])
    return "negligible" if all(test.low >= -POINT and test.high <= POINT for test in unclear) else "undecided"


def all_above(intervals: Sequence[Interval]) -> float:
    """p-value of "not all of these means are above 0" (intersection-union test, Berger 1982).

    It is the largest of the one-sided p-values: no correction for their number is needed, since all must be above 0.
    """
    return max(interval.p_above for interval in intervals)


def any_below(intervals: Sequence[Interval]) -> float:
    """p-value of "none of these means is below 0" (union-intersection test).

    The smallest of the one-sided p-values times their number: for the smallest, which alone decides here, Holm's correction
    (1979) is Bonferroni's.
    """
    return min(1.0, len(intervals) * min(1 - interval.p_above for interval in intervals))


def seeds_needed(analyses: Sequence[Analysis], gain: Analysis | None = None) -> str:
    """The smallest number of seeds that gives another word than "undecided", if means and variance components are as measured.

    More seeds narrow only what seeds do: where the test videos alone leave it open, it is "no number". Empty where there is
    but one seed, as the variance between seeds is then unknown.
    """

    def settled(seeds: int) -> bool:
        tests = [each.with_seeds(seeds).interval for each in analyses]
        return decide(tests, gain.with_seeds(seeds).interval if gain else None) != "undecided"

    now = min(each.seeds for each in analyses)
    if now == 1:
        return ""
    if found := next(filter(settled, range(now + 1, MOST_SEEDS + 1)), None):
        return str(found)
    return f">{MOST_SEEDS}" if settled(10**9) else "no number"


def _preliminary(seeds: set[int], declared: int | None) -> str:
    if declared is None or seeds == {declared}:
        return ""
    other = min(seeds - {declared})
    return f"{other} seed{'s' * (other > 1)} {'of' if other < declared else 'instead of'} {declared}"


def _on_paper(contrast: Contrast) -> float:
    """In points; rounded, so that the paper's decimals cancel exactly. NaN where it gives no number."""
    return round(sum(weight * paper.accuracies().get(cell, (nan, nan))[0] for cell, weight in contrast.items()), 6)


def _word(points: Sequence[float]) -> Word:
    """NaN, where the paper gives no number, decides nothing."""
    if any(map(isnan, points)):
        return "undecided"
    return "holds" if min(points) > 0 else "fails" if min(points) < 0 else "undecided"
