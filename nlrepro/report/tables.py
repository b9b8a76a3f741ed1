"""The numbers of a table as data frames, a line a row: those of the records with intervals, and the paper's.

Measures are percent of test items; a difference is from the table's baseline, paired by seed and by video;
the paper gives no intervals (nlrepro/stats/anova.py). The rows of a table share their variance between seeds
(nlrepro/stats/moderated.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import isfinite, nan
from typing import Any

import pandas as pd

from nlrepro import paper
from nlrepro.record import Record
from nlrepro.stats.anova import Interval
from nlrepro.stats.evidence import Evidence
from nlrepro.stats.verdicts import Verdict
from nlrepro.table import Cell, Row, Table

COSTS = ["params", "macs", "params_ratio", "macs_ratio", "paper_params_ratio", "paper_flops_ratio"]
ENDS = ("low", "high")
KINDS = ["table", "row", "depth", "key", "kind", "videos", "seeds", "top1", *ENDS]
CLAIMS = ["table", "claim", "paper", "verdict", "difference", *ENDS, "seeds", "seeds_needed", "preliminary"]


def delta(table: Table, measure: str) -> str:
    """The name of the column of a measure's difference from the baseline."""
    return "delta" if len(table.compared) == 1 else f"{measure}_delta"


def table_frame(table: Table, records: Sequence[Record]) -> pd.DataFrame:
    """One line a row; NaN where records or the paper's numbers are missing.

    Columns: place, key, seeds; each measure with the ends of its interval; differences likewise; the paper's
    measures and differences; and COSTS where the table shows them. The records must be fresh ones of one
    profile; the seeds that all rows have are compared (`Table.comparable`). A baseline that has records
    differs from itself by exactly 0.
    """
    evidence, lines = Evidence([table], table.comparable(records)), []
    for row in table.rows:
        base = table.baseline(row)
        values = {m: evidence.interval({cell(table, row, m): 1.0}) for m in table.measures}
        first = next(iter(values.values()))
        line: dict[str, Any] = {"table": table.name, "row": row.label, "depth": row.depth, "key": row.key}
        line["seeds"] = first.seeds if first else 0
        for measure, value in values.items():
            line |= ends(measure, value)
        for measure in table.compared:
            gain = Interval(0.0, 0.0, 0.0, 0, 1.0) if values[measure] else None
            if row is not base:
                gain = evidence.interval({cell(table, row, measure): 1.0, cell(table, base, measure): -1.0})
            line |= ends(delta(table, measure), gain)
        line |= {f"paper_{m}": table.paper(row, m) for m in table.measures}
        for measure in table.compared:
            gap = table.paper(row, measure) - table.paper(base, measure)
            line[f"paper_{delta(table, measure)}"] = round(gap, 1)
        lines.append(line | (cost_cells(table, row) if table.shows_cost else {}))
    return pd.DataFrame(lines)


def cell(table: Table, row: Row, measure: str) -> Cell:
    return Cell(table.name, row.depth, row.label, measure)


def ends(name: str, interval: Interval | None) -> dict[str, float]:
    """A number and the ends of its interval; NaN for what is not known."""
    values = (interval.mean, interval.low, interval.high) if interval else (nan, nan, nan)
    names = (name, f"{name}_low", f"{name}_high")
    return {end: value if isfinite(value) else nan for end, value in zip(names, values, strict=True)}


def cost_cells(table: Table, row: Row) -> dict[str, float]:
    """COSTS of a row: counted, relative to its baseline, and as the paper prints them."""
    own, base = (paper.costs().get(each.key, (nan, nan)) for each in (row, table.baseline(row)))
    ratios = own[0] / base[0], own[1] / base[1]
    printed = table.paper(row, "params_ratio"), table.paper(row, "flops_ratio")
    return dict(zip(COSTS, (*own, *ratios, *printed), strict=True))


def kinds_frame(table: Table, records: Sequence[Record]) -> pd.DataFrame:
    """Top-1 by kind of video, a line a row and kind: the mean over the compared seeds with its interval.

    Rows in the table's order, kinds in the records'; NaN where a row has no records or a kind fewer than two
    videos. Without kinds there are no lines.
    """
    records, lines = table.comparable(records), []
    evidence = Evidence([table], records)
    for row, kind in product(table.rows, dict.fromkeys(kind for record in records for kind in record.kinds)):
        videos = next((len(r.kinds[kind]) for r in records if r.key == row.key and kind in r.kinds), 0)
        top1 = evidence.interval({cell(table, row, "top1"): 1.0}, kind) if videos > 1 else None
        numbers = (top1.seeds, top1.mean, top1.low, top1.high) if top1 else (0, nan, nan, nan)
        lines.append((table.name, row.label, row.depth, row.key, kind, videos, *numbers))
    return pd.DataFrame(lines, columns=KINDS)


def claims_frame(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """One line per sentence; NaN where runs are missing, and where no number of seeds is needed."""
    lines = []
    for v in verdicts:
        d = v.difference or Interval(nan, nan, nan, 0, nan)
        numbers = d.mean, d.low, d.high, d.seeds, v.seeds_needed or nan, bool(v.preliminary)
        lines.append((v.claim.table, v.claim.text, v.paper, v.verdict, *numbers))
    return pd.DataFrame(lines, columns=CLAIMS)


def curves_frame(key: str, records: Sequence[Record]) -> pd.DataFrame:
    """A line a validation: step, seed, mean training loss since the last one, validation error in percent."""
    points = [(p.step, r.seed, p.train_loss, 100 - p.value) for r in records if r.key == key for p in r.curve]
    return pd.DataFrame(points, columns=["step", "seed", "loss", "error"])


def latest(table: Table, tests: Iterable[Record]) -> dict[str, dict[str, Record]]:
    """The last test of released weights for each of the table's rows: source and variant -> key -> test."""
    released = [(test.weights.name, test) for test in tests if test.weights and test.released]
    by_name: dict[str, dict[str, Record]] = {}
    for name, test in sorted(released, key=lambda pair: (pair[0], pair[1].made.date)):
        if test.key in {row.key for row in table.rows}:
            by_name.setdefault(name, {})[test.key] = test
    return by_name


def released_frames(table: Table, tests: Iterable[Record]) -> dict[str, pd.DataFrame]:
    """Table frames of tests of released weights by source and variant; intervals are over test items only."""
    frames = {}
    for name, by_key in latest(table, tests).items():
        frame = table_frame(table, [replace(test, seed=0) for test in by_key.values()])
        clips = frame["key"].map({key: test.metrics.get("clip_top1") for key, test in by_key.items()})
        frames[name] = frame.assign(clip_top1=clips.astype(float).fillna(frame[next(iter(table.measures))]))
    return frames


def with_released(table: Table, frame: pd.DataFrame, released: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The table's frame and columns such as "released caffe2 32x2 top1", percent."""
    names = [end for measure in table.measures for end in ends(measure, None)]
    names += ["clip_top1"] * ("top1" in table.measures)
    return frame.join([each[names].add_prefix(f"released {name} ") for name, each in released.items()])
