"""A verdict and how it reads: in words for people, as a line of claims.csv. How it is reached stands in judge.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Literal

import pandas as pd

from nlrepro.files import write_atomic
from nlrepro.report.anova import ALPHA, Interval
from nlrepro.report.claims import Beats, Claim, Counted, Slight
from nlrepro.report.formats import MISSING, number, to_csv, with_interval

Word = Literal["holds", "fails", "negligible", "undecided"]
WORDS: tuple[Word, ...] = ("holds", "fails", "negligible", "undecided")
COLUMNS = ["table", "claim", "paper", "verdict", "difference", "low", "high", "seeds", "seeds_needed", "preliminary"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the records, and the paper's own numbers, say about a sentence.

    `difference`, in points, belongs to the contrast that speaks least clearly for the sentence: the one with the largest
    p-value. `paper_difference` belongs to the paper's own weakest contrast. For `Cheaper` both are the smallest saving, in
    multiples of the baseline; for `Slight` the largest addition and the limit that the paper gives, in percent. `p` is
    one-sided. `seeds_needed` is "12", ">100" or "no number"; it is empty where none is needed or the variance between seeds is
    unknown. `preliminary` is "3 seeds of 5", or empty where the seeds are as many as declared.
    `compared` are all differences that the sentence is about, by name, and `weakest` names the one that is shown.
    """

    claim: Claim | Slight
    paper: Word
    paper_difference: float
    verdict: Word = "undecided"
    difference: Interval | None = None
    p: float = nan
    seeds_needed: str = ""
    preliminary: str = ""
    weakest: str = ""
    compared: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def evidence(self) -> str:
        """The number behind the verdict, with its interval, and the paper's."""
        d, reference = self.difference, f"paper {number(self.paper_difference, sign=True)}"
        if isinstance(self.claim, Counted):
            return f"{self._here} of the baseline; paper {self._on_paper}"
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
    def comparisons(self) -> dict[str, str]:
        """Each difference with its interval, to read; of two orders of a pair the positive one. Empty where there is but one."""
        found = {name: d for name, d in self.compared.items() if isinstance(self.claim, Beats) or d.mean > 0}
        return {name: with_interval(d.mean, d.low, d.high, sign=True) for name, d in found.items()} if len(found) > 1 else {}

    @property
    def line(self) -> str:
        """The verdict for people to read."""
        return f"{self.claim.text}: {self.verdict} ({self.evidence})"

    @property
    def cells(self) -> dict[str, str]:
        """The verdict as a line of a table of verdicts."""
        return {
            "table": self.claim.table,
            "sentence of the paper": self.claim.text,
            "paper": self._on_paper,
            "here": self._here,
            "verdict": self.verdict,
        }

    @property
    def _here(self) -> str:
        d = self.difference
        if d is None:
            return MISSING
        return self.claim.told(d.mean) if isinstance(self.claim, Counted) else with_interval(d.mean, d.low, d.high, sign=True)

    @property
    def _on_paper(self) -> str:
        if isinstance(self.claim, Slight):
            return f"below {self.paper_difference:g} %"
        if isinstance(self.claim, Counted):
            return self.claim.told(self.paper_difference, digits=1)
        return number(self.paper_difference, sign=True)


def error_rates(verdicts: Sequence[Verdict]) -> str:
    """What the verdicts' error rates mean for all of them together."""
    tested = sum(not isinstance(verdict.claim, Counted) for verdict in verdicts)
    return (
        f"Error rates are per sentence: one that is not true is found to hold in at most about {100 * ALPHA:.1f} % of cases, and "
        f"one that is not false to fail in as many. Of the {tested} sentences tested on all tables, at most about "
        f'{tested * ALPHA:.1f} are thus expected to "hold" by chance, and as many to "fail".'
    )


def claims_frame(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One line per sentence; NaN where runs are missing, and where no number of seeds is needed."""
    lines = []
    for v in verdicts:
        d = v.difference or Interval(nan, nan, nan, 0, nan)
        said = {"table": v.claim.table, "claim": v.claim.text, "paper": v.paper, "verdict": v.verdict}
        numbers = {"difference": d.mean, "low": d.low, "high": d.high, "seeds": d.seeds}
        lines.append(said | numbers | {"seeds_needed": v.seeds_needed or nan, "preliminary": bool(v.preliminary)})
    return pd.DataFrame(lines, columns=COLUMNS)


def write_claims(verdicts: Sequence[Verdict], folder: Path) -> None:
    write_atomic(folder / "claims.csv", to_csv(claims_frame(verdicts)))
