"""The verdict of the records on each sentence that the paper draws from Table 2; each experiment of `ablations/` has its own.

decision.py says which word fits; an undecided sentence says how many seeds would decide it. Each error rate is one sentence's
(`error_rates`).

Verdicts are given for the number of seeds that the profile declares before its runs. From any other number they are
preliminary: who looks twice errs more often (after three seeds and again after five: 4.3 % where one look has 2.5 %).
Departure: the paper compares single runs; its own numbers go through the same contrasts as points, without intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path

import pandas as pd

from nlrepro.files import write_atomic
from nlrepro.record import Record
from nlrepro.report import printed
from nlrepro.report.anova import Analysis, Interval
from nlrepro.report.contrasts import Alike, Beats, Cell, Cheaper, Claim, Contrast
from nlrepro.report.decision import ALPHA, Word, decide, seeds_needed
from nlrepro.report.formats import MISSING, number, to_csv, with_interval
from nlrepro.report.statistics import all_above, analysis, any_below, pool
from nlrepro.report.tables import TableSpec

COLUMNS = ["table", "claim", "paper", "verdict", "difference", "low", "high", "seeds", "seeds_needed", "preliminary"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the records, and the paper's own numbers, say about a sentence.

    `difference`, in points, is that of the contrast that speaks least clearly for the sentence, with the largest p-value; the
    paper's is that of its own weakest contrast. Of `Cheaper` it is the smallest saving, in multiples of the baseline. `p` is
    one-sided. `seeds_needed` is "12", ">100", "no number", or empty where none is needed or the spread between seeds unknown;
    `preliminary` is "3 seeds of 5", or empty where the seeds are as many as declared.
    """

    claim: Claim
    paper: Word
    paper_difference: float
    verdict: Word = "undecided"
    difference: Interval | None = None
    p: float = nan
    seeds_needed: str = ""
    preliminary: str = ""

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
        caveat = f"preliminary: {self.preliminary}" * bool(self.preliminary)
        return "; ".join(filter(None, (caveat, f"{of_several}{shown}, {p}", self._outlook, reference)))

    @property
    def _outlook(self) -> str:
        match self.seeds_needed:
            case "":
                return ""
            case "no number":
                return "more seeds will not settle it"
            case str(seeds) if seeds.startswith(">"):
                return f"it would take more than {seeds[1:]} seeds"
            case seeds:
                return f"about {seeds} seeds would settle it"

    @property
    def line(self) -> str:
        """The verdict for people to read."""
        return f"{self.claim.text}: {self.verdict} ({self.evidence})"


def error_rates(verdicts: Sequence[Verdict]) -> str:
    """What the verdicts' error rates mean for all of them together."""
    tested = sum(not isinstance(verdict.claim, Cheaper) for verdict in verdicts)
    return (
        f"Error rates are per sentence: one that is not true is found to hold in at most about {100 * ALPHA:.1f} % of cases, and "
        f"one that is not false to fail in as many. Of the {tested} sentences tested on all tables, at most about "
        f'{tested * ALPHA:.1f} are thus expected to "hold" by chance, and as many to "fail".'
    )


def judge(
    claims: Sequence[Claim], specs: Sequence[TableSpec], records: Sequence[Record], declared: int | None = None
) -> list[Verdict]:
    """The verdicts of fresh records of one profile on the sentences; `specs` say which run fills which cell.

    `declared` is the profile's number of seeds; with None no verdict is preliminary.
    """
    cells = {Cell(spec.table, row.depth, row.label): (spec, row) for spec in specs for row in spec.rows}
    measured = Measured(keys={cell: row.key for cell, (_, row) in cells.items()}, records=records)
    costs = {cell: spec.cost_ratios(row)[1] for cell, (spec, row) in cells.items() if row.cost}
    return [_count(claim, costs) if isinstance(claim, Cheaper) else _judge(claim, measured, declared) for claim in claims]


def _count(claim: Cheaper, costs: Mapping[Cell, float]) -> Verdict:
    by_paper = claim.savings({Cell(*place): flops for place, (_, flops) in printed.cost_ratios().items()})
    verdict = Verdict(claim=claim, paper=_word(by_paper), paper_difference=min(by_paper))
    if not {cell for pair in claim.pairs for cell in pair} <= set(costs):
        return verdict
    saved = min(counted := claim.savings(costs))
    return replace(verdict, verdict=_word(counted), difference=Interval(saved, saved, saved, 0, nan))


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The records, and the key of the run that fills each cell."""

    keys: Mapping[Cell, str]
    records: Sequence[Record]

    def analysis(self, contrasted: Contrast) -> Analysis | None:
        """None where runs are missing. The spread between seeds is shared by all rows of the tables that the contrast names."""
        if not set(contrasted) <= set(self.keys):
            return None
        weights: dict[str, float] = {}
        for cell, weight in contrasted.items():
            weights[self.keys[cell]] = weights.get(self.keys[cell], 0.0) + weight
        return analysis(self.records, weights, shared=pool(self.records, self._groups(contrasted), centred=True))

    def _groups(self, contrasted: Contrast) -> list[set[str]]:
        """The rows of these tables by depth; together where the contrast compares two depths."""
        tables, depths = {cell.table for cell in contrasted}, {cell.depth for cell in contrasted}
        rows = [(cell.depth, key) for cell, key in self.keys.items() if cell.table in tables]
        if len(depths) > 1:
            return [{key for _, key in rows}]
        return [{key for at, key in rows if at == depth} for depth in sorted({depth for depth, _ in rows})]


def _judge(claim: Beats | Alike, measured: Measured, declared: int | None) -> Verdict:
    by_paper = [_on_paper(contrasted) for contrasted in claim.contrasts]
    weakest = by_paper.index(min(by_paper))
    verdict = Verdict(claim=claim, paper=_word(by_paper), paper_difference=_on_paper(claim.differences[weakest]))
    found = [measured.analysis(contrasted) for contrasted in claim.contrasts]
    analyses = [each for each in found if each]
    if len(analyses) < len(found):
        return verdict
    gain = measured.analysis(claim.yardstick) if claim.yardstick else None
    tests = [each.interval for each in analyses]
    word = decide(tests, gain.interval if gain else None)
    worst = max(tests, key=lambda test: (test.p_above, -test.mean))
    shown = measured.analysis(claim.differences[tests.index(worst)])
    needed = seeds_needed(analyses, gain) if word == "undecided" else ""
    return replace(
        verdict,
        verdict=word,
        difference=shown.interval if shown else None,
        p=any_below(tests) if word == "fails" else all_above(tests),
        seeds_needed=needed,
        preliminary=_preliminary({test.seeds for test in tests}, declared),
    )


def _preliminary(seeds: set[int], declared: int | None) -> str:
    if declared is None or seeds == {declared}:
        return ""
    other = min(seeds - {declared})
    return f"{other} seed{'s' * (other > 1)} {'of' if other < declared else 'instead of'} {declared}"


def _on_paper(contrasted: Contrast) -> float:
    """In points; rounded, so that the paper's decimals cancel exactly. NaN where it gives no number."""
    return round(sum(weight * printed.accuracies().get(cell, (nan, nan))[0] for cell, weight in contrasted.items()), 6)


def _word(points: Sequence[float]) -> Word:
    """NaN, where the paper gives no number, decides nothing."""
    if any(map(isnan, points)):
        return "undecided"
    return "holds" if min(points) > 0 else "fails" if min(points) < 0 else "undecided"


def claims_frame(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One line per sentence; NaN where runs are missing, and where no number of seeds is needed."""
    lines = []
    for v in verdicts:
        d = v.difference or Interval(nan, nan, nan, 0, nan)
        said = {"table": v.claim.table, "claim": v.claim.text, "paper": v.paper, "verdict": v.verdict}
        numbers = {"difference": d.mean, "low": d.low, "high": d.high, "seeds": d.seeds}
        lines.append(said | numbers | {"seeds_needed": v.seeds_needed or nan, "preliminary": bool(v.preliminary)})
    return pd.DataFrame(lines, columns=COLUMNS)


def write_claims(verdicts: Sequence[Verdict], folder: Path) -> Path:
    path = folder / "claims.csv"
    write_atomic(path, to_csv(claims_frame(verdicts)))
    return path
