"""Table 2 of the paper as CSV, Markdown and LaTeX: the paper's numbers beside those of the records.

Top-1 and top-5 are percent of test videos; a difference is against the first row of the same depth, paired by seed and by
video; brackets are 95 % intervals (nlrepro/report/anova.py), of which the paper gives none. The spread between seeds is shared
by the rows of a table (nlrepro/report/spread.py).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path

import pandas as pd

from nlrepro.files import write_atomic
from nlrepro.record import Cost, Record
from nlrepro.report import printed
from nlrepro.report.anova import Interval
from nlrepro.report.formats import MISSING, number, to_csv, to_latex, to_markdown, with_interval
from nlrepro.report.released import released_columns
from nlrepro.report.spread import Spread
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
    def shows_cost(self) -> bool:
        """Whether the columns COSTS are there too."""
        return any(row.cost for row in self.rows)

    @property
    def columns(self) -> list[str]:
        return [*COLUMNS, *(COSTS if self.shows_cost else ())]

    def baseline(self, depth: int) -> TableRow:
        return next(row for row in self.rows if row.depth == depth)

    def cost_ratios(self, row: TableRow) -> tuple[float, float]:
        """Parameters and multiply-adds relative to the baseline of the same depth; NaN where none are shown."""
        own, base = row.cost, self.baseline(row.depth).cost
        return (own.params / base.params, own.macs / base.macs) if own and base else (nan, nan)

    def label(self, row: TableRow) -> str:
        """The paper's label, with the backbone in front where the table has several."""
        return row.label if len({r.depth for r in self.rows}) == 1 else f"R{row.depth} {row.label}"


def comparable(spec: TableSpec, records: Sequence[Record]) -> list[Record]:
    """The records of the table's rows, of those seeds that all rows of a depth have, so that no seed favours a row.

    A row without any record is left out of this; where the others share no seed, each keeps its own.
    """
    found: list[Record] = []
    for depth in {row.depth for row in spec.rows}:
        keys = {row.key for row in spec.rows if row.depth == depth}
        of_depth = [record for record in records if record.key in keys]
        seeds = [{r.seed for r in of_depth if r.key == key} for key in {r.key for r in of_depth}]
        common = set.intersection(*seeds) if seeds else set()
        found += [record for record in of_depth if not common or record.seed in common]
    return found


def table_frame(spec: TableSpec, records: Sequence[Record]) -> pd.DataFrame:
    """One line per row, columns `spec.columns`; NaN where records or the paper's numbers are missing.

    The records must be fresh ones of one profile; what they share is compared (`comparable`). A baseline that has records
    differs from itself by exactly 0.
    """
    records = comparable(spec, records)
    shared = Shared.of(spec, records)
    lines = [_line(spec, row, records, shared) | _costs(spec, row) for row in spec.rows]
    return pd.DataFrame(lines)[spec.columns]


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What the rows of a table say together of the spread between seeds, for each of its columns."""

    top1: Spread | None
    top5: Spread | None
    delta: Spread | None

    @classmethod
    def of(cls, spec: TableSpec, records: Sequence[Record]) -> "Shared":
        groups = [{row.key for row in spec.rows if row.depth == depth} for depth in sorted({row.depth for row in spec.rows})]
        top1, top5 = pool(records, groups), pool(records, groups, within=5)
        return cls(top1=top1, top5=top5, delta=pool(records, groups, centred=True))


def _line(spec: TableSpec, row: TableRow, records: Sequence[Record], shared: Shared) -> dict[str, object]:
    baseline = spec.baseline(row.depth)
    top1 = accuracy(records, row.key, shared=shared.top1)
    top5 = accuracy(records, row.key, within=5, shared=shared.top5)
    delta = difference(records, row.key, baseline.key, shared=shared.delta)
    if delta and row is baseline:
        delta = Interval(0.0, 0.0, 0.0, delta.seeds, 1.0)
    paper_top1, paper_top5 = printed.accuracies().get((spec.table, row.depth, row.label), (nan, nan))
    reference, _ = printed.accuracies().get((spec.table, row.depth, baseline.label), (nan, nan))
    place = {"table": spec.table, "row": row.label, "depth": row.depth, "key": row.key, "seeds": top1.seeds if top1 else 0}
    in_paper = {"paper_top1": paper_top1, "paper_top5": paper_top5, "paper_delta": round(paper_top1 - reference, 1)}
    return {**place, **_cells("top1", top1), **_cells("top5", top5), **_cells("delta", delta), **in_paper}


def _costs(spec: TableSpec, row: TableRow) -> dict[str, float]:
    counted = (row.cost.params, row.cost.macs) if row.cost else (nan, nan)
    in_paper = printed.cost_ratios().get((spec.table, row.depth, row.label), (nan, nan))
    return dict(zip(COSTS, (*counted, *spec.cost_ratios(row), *in_paper), strict=True))


def _cells(name: str, interval: Interval | None) -> dict[str, float]:
    mean, low, high = (interval.mean, interval.low, interval.high) if interval else (nan, nan, nan)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def side_by_side(spec: TableSpec, mine: pd.DataFrame, published: pd.DataFrame | None) -> pd.DataFrame:
    """The table to read, as text: the paper | published | yours; without `published` (its own report), the paper | here."""
    shown = {"here": mine} if published is None else {"published": published, "yours": mine}
    baselines = [row is spec.baseline(row.depth) for row in spec.rows]
    columns = {
        "row": [spec.label(row) for row in spec.rows],
        "paper top-1": [number(value) for value in mine["paper_top1"]],
        "paper delta": _deltas(baselines, [number(value, sign=True) for value in mine["paper_delta"]]),
    }
    for name, frame in shown.items():
        top1 = frame[["top1", "top1_low", "top1_high"]].to_numpy(float)
        delta = frame[["delta", "delta_low", "delta_high"]].to_numpy(float)
        columns[f"{name} top-1"] = [with_interval(mean, low, high) for mean, low, high in top1]
        columns[f"{name} delta"] = _deltas(baselines, [with_interval(mean, low, high, sign=True) for mean, low, high in delta])
    if spec.shows_cost:
        costs = {"params": ("paper_params_ratio", "params_ratio"), "FLOPs": ("paper_flops_ratio", "macs_ratio")}
        for name, sources in costs.items():
            for who, source in zip(("paper", "here"), sources, strict=True):
                columns[f"{who} {name}"] = [MISSING if isnan(ratio) else f"{ratio:.1f}x" for ratio in mine[source]]
    return pd.DataFrame(columns | released_columns(mine))


def _deltas(baselines: list[bool], texts: list[str]) -> list[str]:
    """A baseline's difference from itself is no measurement: a plain 0 without sign and interval."""
    return ["0" if base and text != MISSING else text for base, text in zip(baselines, texts, strict=True)]


def note(records: Sequence[Record]) -> str:
    """Where the numbers come from, in one line: profile, seeds, test videos and views, dates, devices, and what brackets mean."""
    if not records:
        return "No records yet."
    seeds = sorted({r.seed for r in records})
    fewest = min(Counter(r.key for r in records).values())
    views = sorted({r.metrics.views for r in records})
    dates = sorted({r.made.date[:10] for r in records})
    parts = [
        f"profile {', '.join(sorted({r.profile for r in records}))}",
        f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}" + f" ({fewest} in some rows)" * (fewest < len(seeds)),
        " or ".join(sorted({r.metrics.tested for r in records})),
        f"{'clip' if views == [1] else 'video'}-level accuracy (views a video: {' or '.join(map(str, views))})",
        dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}",
        ", ".join(sorted({r.made.device for r in records})),
    ]
    several = "seeds and test videos (the spread between seeds from all rows together where they agree on it)"
    over = several if len(seeds) > 1 else "test videos only, as there is one seed"
    brackets = f"Brackets: 95 % intervals over {over}"
    return f"{'; '.join(parts)}. {brackets}; delta: points above the baseline, paired by seed and video."


def write_table(
    spec: TableSpec, mine: pd.DataFrame, published: pd.DataFrame | None, folder: Path, notes: Sequence[str] = ()
) -> list[Path]:
    """Write `table<2a>.csv` (of `mine`), `.md` and `.tex` into `folder`; `notes` are lines below the Markdown table."""
    shown = side_by_side(spec, mine, published)
    contents = {
        "csv": to_csv(mine),
        "md": to_markdown(f"Table {spec.table}. {spec.title}", shown, notes),
        "tex": to_latex(spec.title, spec.table, shown),
    }
    paths = {folder / f"table{spec.table}.{ending}": text for ending, text in contents.items()}
    for path, text in paths.items():
        write_atomic(path, text)
    return list(paths)
