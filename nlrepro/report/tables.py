"""The numbers of a table: those of the records, with 95 % intervals, and the paper's, one line a row. columns.py shows them.

Top-1 and top-5 are percent of test videos; a difference is against the first row of the same depth, paired by seed and by
video; the paper gives no intervals (anova.py). The rows of a table share their variance between seeds (moderated.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import pandas as pd

from nlrepro import paper
from nlrepro.record import Cost, Record
from nlrepro.report.anova import Interval
from nlrepro.report.moderated import Prior
from nlrepro.report.statistics import accuracy, difference, pool

COLUMNS = (
    *("table", "row", "depth", "key", "seeds", "top1", "top1_low", "top1_high", "top5", "top5_low", "top5_high"),
    *("delta", "delta_low", "delta_high", "paper_top1", "paper_top5", "paper_delta"),
)
COSTS = ("params", "macs", "params_ratio", "macs_ratio", "paper_params_ratio", "paper_flops_ratio")


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A row: the paper's label, the depth of the backbone, the key of the run that fills it, and its cost where that is shown.

    The cost is that of the `paper` profile's net on its clips: counted, so that every profile can show it.
    """

    label: str
    depth: int
    key: str
    cost: Cost | None = None


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """One table. The first row of each depth is the baseline that the differences of that depth are taken against."""

    table: str
    title: str
    rows: tuple[TableRow, ...]

    @property
    def name(self) -> str:
        """The title's first words, as the paper prints them in bold."""
        return self.title.partition(":")[0]

    @property
    def depths(self) -> list[int]:
        """In the order of the rows."""
        return list(dict.fromkeys(row.depth for row in self.rows))

    @property
    def shows_cost(self) -> bool:
        """Whether the columns COSTS are there too."""
        return any(row.cost for row in self.rows)

    @property
    def columns(self) -> list[str]:
        return [*COLUMNS, *(COSTS if self.shows_cost else ())]

    def of_depth(self, depth: int) -> list[TableRow]:
        return [row for row in self.rows if row.depth == depth]

    def baseline(self, depth: int) -> TableRow:
        return self.of_depth(depth)[0]

    def cost_ratios(self, row: TableRow) -> tuple[float, float]:
        """Parameters and multiply-adds relative to the baseline of the same depth; NaN where none are shown."""
        own, base = row.cost, self.baseline(row.depth).cost
        return (own.params / base.params, own.macs / base.macs) if own and base else (nan, nan)

    def label(self, row: TableRow) -> str:
        """The paper's label, with the backbone in front where the table has several."""
        return row.label if len(self.depths) == 1 else f"R{row.depth} {row.label}"


def comparable(spec: TableSpec, records: Sequence[Record]) -> list[Record]:
    """The records of the table's rows, of those seeds that all rows of a depth have, so that no seed favours a row.

    A row without any record is left out of this; where the others share no seed, each keeps its own.
    """
    found: list[Record] = []
    for depth in set(spec.depths):
        keys = {row.key for row in spec.of_depth(depth)}
        of_depth = [record for record in records if record.key in keys]
        seeds = [{r.seed for r in of_depth if r.key == key} for key in {r.key for r in of_depth}]
        common = set.intersection(*seeds) if seeds else set()
        found += [record for record in of_depth if not common or record.seed in common]
    return found


def table_frame(spec: TableSpec, records: Sequence[Record]) -> pd.DataFrame:
    """One line per row, columns `spec.columns`; NaN where records or the paper's numbers are missing.

    The records must be fresh ones of one profile; the seeds that all rows have are compared (`comparable`). A baseline that has
    records differs from itself by exactly 0.
    """
    records = comparable(spec, records)
    priors = Priors.of(spec, records)
    lines = [_line(spec, row, records, priors) | _costs(spec, row) for row in spec.rows]
    return pd.DataFrame(lines)[spec.columns]


def by_source(mine: pd.DataFrame, published: pd.DataFrame | None) -> dict[str, pd.DataFrame]:
    """Table frames by the name to show; without `published`, `mine` are the published records."""
    return {"here": mine} if published is None else {"published": published, "yours": mine}


@dataclass(frozen=True, kw_only=True)
class Priors:
    """What the rows of a table say together of the variance between seeds, for each of its columns."""

    top1: Prior | None
    top5: Prior | None
    delta: Prior | None

    @classmethod
    def of(cls, spec: TableSpec, records: Sequence[Record]) -> "Priors":
        groups = [{row.key for row in spec.of_depth(depth)} for depth in sorted(spec.depths)]
        top1, top5 = pool(records, groups), pool(records, groups, within=5)
        return cls(top1=top1, top5=top5, delta=pool(records, groups, centred=True))


def _line(spec: TableSpec, row: TableRow, records: Sequence[Record], priors: Priors) -> dict[str, object]:
    baseline = spec.baseline(row.depth)
    top1 = accuracy(records, row.key, prior=priors.top1)
    top5 = accuracy(records, row.key, within=5, prior=priors.top5)
    delta = difference(records, row.key, baseline.key, priors.delta)
    if delta and row is baseline:
        delta = Interval(0.0, 0.0, 0.0, delta.seeds, 1.0)
    paper_top1, paper_top5 = paper.accuracies().get((spec.table, row.depth, row.label), (nan, nan))
    reference, _ = paper.accuracies().get((spec.table, row.depth, baseline.label), (nan, nan))
    place = {"table": spec.table, "row": row.label, "depth": row.depth, "key": row.key, "seeds": top1.seeds if top1 else 0}
    in_paper = {"paper_top1": paper_top1, "paper_top5": paper_top5, "paper_delta": round(paper_top1 - reference, 1)}
    return {**place, **_cells("top1", top1), **_cells("top5", top5), **_cells("delta", delta), **in_paper}


def _costs(spec: TableSpec, row: TableRow) -> dict[str, float]:
    counted = (row.cost.params, row.cost.macs) if row.cost else (nan, nan)
    in_paper = paper.cost_ratios().get((spec.table, row.depth, row.label), (nan, nan))
    return dict(zip(COSTS, (*counted, *spec.cost_ratios(row), *in_paper), strict=True))


def _cells(name: str, interval: Interval | None) -> dict[str, float]:
    mean, low, high = (interval.mean, interval.low, interval.high) if interval else (nan, nan, nan)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}
