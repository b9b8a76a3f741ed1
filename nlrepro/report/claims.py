"""What a sentence of the paper says of its numbers: contrasts, weighted sums of top-1 accuracies, that must all be above 0.

Each experiment of `ablations/` has its own sentences; judge.py gives the verdicts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple


class Cell(NamedTuple):
    """A row of a table; sentences that compare two tables name cells of both."""

    table: str
    depth: int
    label: str


Contrast = Mapping[Cell, float]  # cell -> weight


def named(difference: Contrast) -> str:
    """The two cells of a difference in words: "5-block - baseline, R50"; what they share is told once."""
    (better, _), (worse, _) = sorted(difference.items(), key=lambda item: -item[1])
    tables, depths = {better.table, worse.table}, {better.depth, worse.depth}
    sides = [
        " ".join([f"{cell.table}"] * (len(tables) > 1) + [f"R{cell.depth}"] * (len(depths) > 1) + [cell.label])
        for cell in (better, worse)
    ]
    return f"{sides[0]} \N{MINUS SIGN} {sides[1]}" + f", R{better.depth}" * (len(depths) == 1)


def beat(table: str, depth: int, *pairs: tuple[str, str]) -> tuple[tuple[Cell, Cell], ...]:
    """Pairs (better, worse) of rows of one table and depth."""
    return tuple((Cell(table, depth, better), Cell(table, depth, worse)) for better, worse in pairs)


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
    matters more than which one. The paper's pairwise forms span 0.4 points where half the mean gain is 0.46. The contrasts
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
        """What each pair saves, in multiples of the baseline's multiply-adds."""
        return [round(costs[dear] - costs[cheap], 6) for cheap, dear in self.pairs]

    def told(self, saving: float, digits: int = 2) -> str:
        return f"saves {saving:.{digits}f}x"


@dataclass(frozen=True, kw_only=True)
class Slight:
    """In each pair (with, without) the first cell takes less than `limit` percent more multiply-adds. Counted, not measured."""

    table: str
    text: str
    pairs: tuple[tuple[Cell, Cell], ...]
    limit: float

    def additions(self, macs: Mapping[Cell, int]) -> list[float]:
        """Percent of the second cell's multiply-adds."""
        return [100 * (macs[more] / macs[less] - 1) for more, less in self.pairs]

    def told(self, addition: float) -> str:
        return f"adds {addition:.1f} %"


Claim = Beats | Alike | Cheaper
Counted = Cheaper | Slight
