"""What a sentence on Table 2 says of its numbers, and the verdict of the records on it; sentences.py has them all.

A sentence is a set of contrasts, weighted sums of top-1 accuracies, that must all be above 0. It holds where the 95 %
intervals of all of them lie above 0, fails where one lies below 0, and is undecided otherwise or where runs are missing. The
p-value of a sentence that holds is that of the intersection-union test; that of one that fails is of its worst contrast.
Departure: the paper compares single runs; its own numbers go through the same contrasts as points, without intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from math import isnan, nan
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from nlrepro.files import write_whole
from nlrepro.record import Record
from nlrepro.reports import printed
from nlrepro.reports.formats import MISSING, number, to_csv, with_interval
from nlrepro.reports.statistics import Interval, all_above, contrast
from nlrepro.reports.tables import TableSpec

Word = Literal["holds", "fails", "undecided"]


class Cell(NamedTuple):
    """A row of a table; sentences that compare two tables name cells of both."""

    table: str
    depth: int
    label: str


Contrast = Mapping[Cell, float]  # cell -> weight


@dataclass(frozen=True, kw_only=True)
class Beats:
    """In each pair the first cell is above the second."""

    table: str
    text: str
    pairs: tuple[tuple[Cell, Cell], ...]

    @property
    def contrasts(self) -> list[Contrast]:
        return [{better: 1.0, worse: -1.0} for better, worse in self.pairs]

    @property
    def differences(self) -> list[Contrast]:
        return self.contrasts

    @property
    def yardstick(self) -> Contrast | None:
        return None


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Any two of the cells differ by less than half of their mean gain over the baseline.

    Half, because then even the two that are furthest apart have more of the gain in common than not: that a block is there
    matters more than which one. In the paper's 2a the forms span 0.4 points and half the mean gain is 0.46. The contrasts
    gain / 2 - (a - b), for both orders of each pair, carry the uncertainty of the margin too. Where the gain is not surely
    above 0 there is nothing to be alike in, so the sentence cannot fail.
    """

    table: str
    text: str
    cells: tuple[Cell, ...]
    baseline: Cell

    @property
    def yardstick(self) -> Contrast | None:
        return {self.baseline: -1.0} | {cell: 1 / len(self.cells) for cell in self.cells}

    @property
    def contrasts(self) -> list[Contrast]:
        share = 1 / (2 * len(self.cells))
        margin = {self.baseline: -0.5} | dict.fromkeys(self.cells, share)
        return [margin | {a: share - 1, b: share + 1} for a, b in permutations(self.cells, 2)]

    @property
    def differences(self) -> list[Contrast]:
        return [{a: 1.0, b: -1.0} for a, b in permutations(self.cells, 2)]


@dataclass(frozen=True, kw_only=True)
class Cheaper:
    """In each pair the first cell takes fewer multiply-adds than the second. Counted, not measured: there is no interval."""

    table: str
    text: str
    pairs: tuple[tuple[Cell, Cell], ...]

    def savings(self, costs: Mapping[Cell, float]) -> list[float]:
        """In multiples of the baseline's multiply-adds."""
        return [round(costs[dear] - costs[cheap], 6) for cheap, dear in self.pairs]


Claim = Beats | Alike | Cheaper


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the records, and the paper's own numbers, say about a sentence.

    `difference`, in points, is that of the contrast that speaks least clearly for the sentence, with the largest p-value; the
    paper's is that of its own weakest contrast. Of `Cheaper` it is the smallest saving, in multiples of the baseline. `p` is
    one-sided.
    """

    claim: Claim
    paper: Word
    paper_difference: float
    verdict: Word = "undecided"
    difference: Interval | None = None
    p: float = nan

    @property
    def evidence(self) -> str:
        """The number behind the verdict, with its interval, and the paper's."""
        d, reference = self.difference, f"paper {number(self.paper_difference, sign=True)}"
        if isinstance(self.claim, Cheaper):
            saved = MISSING if d is None else f"{d.mean:.1f}x"
            return f"saves {saved} of the baseline; paper {self.paper_difference:.1f}x"
        if d is None:
            return f"{MISSING}; {reference}"
        p = "p < 0.0001" if self.p < 1e-4 else f"p = {self.p:.2g}"
        shown = with_interval(d.mean, d.low, d.high, sign=True)
        of_several = "least clear " * (len(self.claim.contrasts) > 1)
        return f"{of_several}{shown}, {p}; {reference}"

    @property
    def line(self) -> str:
        """The verdict for people to read."""
        return f"{self.claim.text}: {self.verdict} ({self.evidence})"


def judge(claims: Sequence[Claim], specs: Sequence[TableSpec], records: Sequence[Record]) -> list[Verdict]:
    """The verdicts of fresh records of one profile on the sentences; `specs` say which run fills which cell."""
    cells = {Cell(spec.table, row.depth, row.label): (spec, row) for spec in specs for row in spec.rows}
    keys = {cell: row.key for cell, (_, row) in cells.items()}
    costs = {cell: spec.cost_ratios(row)[1] for cell, (spec, row) in cells.items() if row.cost}
    return [_count(claim, costs) if isinstance(claim, Cheaper) else _judge(claim, keys, records) for claim in claims]


def _count(claim: Cheaper, costs: Mapping[Cell, float]) -> Verdict:
    by_paper = claim.savings({Cell(*place): flops for place, (_, flops) in printed.cost_ratios().items()})
    verdict = Verdict(claim=claim, paper=_word(by_paper), paper_difference=min(by_paper))
    if not {cell for pair in claim.pairs for cell in pair} <= set(costs):
        return verdict
    saved = min(counted := claim.savings(costs))
    return replace(verdict, verdict=_word(counted), difference=Interval(saved, saved, saved, 0, nan))


def _judge(claim: Beats | Alike, keys: Mapping[Cell, str], records: Sequence[Record]) -> Verdict:
    by_paper = [_on_paper(contrasted) for contrasted in claim.contrasts]
    weakest = by_paper.index(min(by_paper))
    verdict = Verdict(claim=claim, paper=_word(by_paper), paper_difference=_on_paper(claim.differences[weakest]))
    measured = [_measure(contrasted, keys, records) for contrasted in claim.contrasts]
    tests = [test for test in measured if test]
    if len(tests) < len(measured):
        return verdict
    gain = _measure(claim.yardstick, keys, records) if claim.yardstick else None
    word: Word = "holds" if min(test.low for test in tests) > 0 else "undecided"
    if min(test.high for test in tests) < 0 and (gain is None or gain.low > 0):
        word = "fails"
    worst = max(tests, key=lambda test: (test.p_above, -test.mean))
    p = 1 - worst.p_above if word == "fails" else all_above(tests)
    shown = _measure(claim.differences[tests.index(worst)], keys, records)
    return replace(verdict, verdict=word, difference=shown, p=p)


def _measure(contrasted: Contrast, keys: Mapping[Cell, str], records: Sequence[Record]) -> Interval | None:
    weights: dict[str, float] = {}
    for cell, weight in contrasted.items():
        if cell not in keys:
            return None
        weights[keys[cell]] = weights.get(keys[cell], 0.0) + weight
    return contrast(records, weights)


def _on_paper(contrasted: Contrast) -> float:
    """In points; rounded, so that the paper's decimals cancel exactly. NaN where it gives no number."""
    return round(sum(weight * printed.accuracies().get(cell, (nan, nan))[0] for cell, weight in contrasted.items()), 6)


def _word(points: Sequence[float]) -> Word:
    """NaN, where the paper gives no number, decides nothing."""
    if any(map(isnan, points)):
        return "undecided"
    return "holds" if min(points) > 0 else "fails" if min(points) < 0 else "undecided"


def claims_frame(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One line per sentence; NaN where runs are missing."""
    lines = []
    for v in verdicts:
        d = v.difference or Interval(nan, nan, nan, 0, nan)
        numbers = {"difference": d.mean, "low": d.low, "high": d.high, "seeds": d.seeds}
        lines.append({"table": v.claim.table, "claim": v.claim.text, "paper": v.paper, "verdict": v.verdict, **numbers})
    return pd.DataFrame(lines, columns=["table", "claim", "paper", "verdict", "difference", "low", "high", "seeds"])


def write_claims(verdicts: Sequence[Verdict], folder: Path) -> Path:
    path = folder / "claims.csv"
    write_whole(path, to_csv(claims_frame(verdicts)))
    return path
