"""The numbers of a table as data frames, a line a row: those of the records with intervals, and the paper's.

Measures are percent of test items; a difference is from the table's baseline, paired by seed and by video;
the paper gives no intervals (nlrepro/stats/anova.py). The rows of a table share their variance between seeds
(nlrepro/stats/moderated.py).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite, nan

import pandas as pd

from nlrepro import paper
from nlrepro.record import Record
from nlrepro.stats.anova import Interval
from nlrepro.stats.evidence import accuracy, difference, pool
from nlrepro.stats.verdicts import Verdict
from nlrepro.table import Row, Table

COSTS = ("params", "macs", "params_ratio", "macs_ratio", "paper_params_ratio", "paper_flops_ratio")
KINDS = ("table", "row", "depth", "key", "kind", "videos", "seeds", "top1", "low", "high")
CLAIMS = (
    *("table", "claim", "paper", "verdict", "difference", "low", "high"),
    *("seeds", "seeds_needed", "preliminary"),
)
RELEASED = "released"  # first word of the columns of released weights


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
    records = table.comparable(records)
    groups = [[row.key for row in group] for group in table.groups]
    priors = {measure: pool(records, groups, measure) for measure in table.measures}
    of_deltas = {measure: pool(records, groups, measure, centred=True) for measure in table.compared}
    lines = []
    for row in table.rows:
        values = {m: accuracy(records, row.key, m, prior=priors[m]) for m in table.measures}
        base = table.baseline(row)
        deltas = {m: difference(records, row.key, base.key, m, of_deltas[m]) for m in table.compared}
        if row is base:
            deltas = {m: Interval(0.0, 0.0, 0.0, d.seeds, 1.0) if d else None for m, d in deltas.items()}
        first = next(iter(values.values()))
        place = {"table": table.name, "row": row.label, "depth": row.depth, "key": row.key}
        lines.append(
            {
                **place,
                "seeds": first.seeds if first else 0,
                **{name: cell for m in table.measures for name, cell in ends(m, values[m]).items()},
                **{
                    name: cell
                    for m in table.compared
                    for name, cell in ends(delta(table, m), deltas[m]).items()
                },
                **{f"paper_{m}": table.paper(row, m) for m in table.measures},
                **{
                    f"paper_{delta(table, m)}": round(table.paper(row, m) - table.paper(base, m), 1)
                    for m in table.compared
                },
                **(cost_cells(table, row) if table.shows_cost else {}),
            }
        )
    return pd.DataFrame(lines)


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
    records = table.comparable(records)
    lines: list[dict[str, object]] = []
    for row in table.rows:
        for kind in dict.fromkeys(kind for record in records for kind in record.kinds):
            videos = next((len(r.kinds[kind]) for r in records if r.key == row.key and kind in r.kinds), 0)
            top1 = accuracy(records, row.key, kind=kind) if videos > 1 else None
            place = {"table": table.name, "row": row.label, "depth": row.depth, "key": row.key}
            cells = (top1.seeds, top1.mean, top1.low, top1.high) if top1 else (0, nan, nan, nan)
            lines.append(place | {"kind": kind, "videos": videos} | dict(zip(KINDS[-4:], cells, strict=True)))
    return pd.DataFrame(lines, columns=[*KINDS])


def claims_frame(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """One line per sentence; NaN where runs are missing, and where no number of seeds is needed."""
    lines = []
    for v in verdicts:
        d = v.difference or Interval(nan, nan, nan, 0, nan)
        claim = {"table": v.claim.table, "claim": v.claim.text, "paper": v.paper, "verdict": v.verdict}
        numbers = {"difference": d.mean, "low": d.low, "high": d.high, "seeds": d.seeds}
        outlook = {"seeds_needed": v.seeds_needed or nan, "preliminary": bool(v.preliminary)}
        lines.append(claim | numbers | outlook)
    return pd.DataFrame(lines, columns=[*CLAIMS])


def curves_frame(key: str, records: Sequence[Record]) -> pd.DataFrame:
    """A line a validation: step, seed, mean training loss since the last one, validation error in percent."""
    points = [(p.step, r.seed, p.train_loss, 100 - p.value) for r in records if r.key == key for p in r.curve]
    return pd.DataFrame(points, columns=["step", "seed", "loss", "error"])


def latest(keys: Iterable[str], tests: Sequence[Record]) -> dict[tuple[str, str], Record]:
    """The last test of released weights of each (source and variant, key) of these keys."""
    keys = set(keys)
    shown = (test for test in tests if test.released and test.key in keys)
    released = [(test.weights.name, test) for test in shown if test.weights]
    by_date = sorted(released, key=lambda pair: (pair[0], pair[1].made.date))
    return {(name, test.key): test for name, test in by_date}


def with_released(table: Table, frame: pd.DataFrame, tests: Sequence[Record]) -> pd.DataFrame:
    """The table's frame and columns such as "released caffe2 32x2 top1", percent, if there are such tests."""
    by_place = latest(frame["key"], tests)
    for name in dict.fromkeys(name for name, _ in by_place):
        cells = pd.DataFrame([released_cells(table, by_place.get((name, key))) for key in frame["key"]])
        frame = frame.join(cells.add_prefix(f"{RELEASED} {name} "))
    return frame


def released_cells(table: Table, test: Record | None) -> dict[str, float]:
    """The measures of a test of given weights; intervals, where it has ranks, are over test items only."""
    tests = [replace(test, seed=0)] if test else []
    key = test.key if test else ""
    cells = {end: x for m in table.measures for end, x in ends(m, accuracy(tests, key, m)).items()}
    if "top1" in table.measures:
        cells["clip_top1"] = test.metrics.get("clip_top1", cells["top1"]) if test else nan
    return cells


def released_names(table: Table, frame: pd.DataFrame) -> list[str]:
    """Source and variant of the columns that `with_released` has added."""
    measure = next(iter(table.measures))
    matches = (re.fullmatch(rf"{RELEASED} (.+) {measure}", column) for column in map(str, frame))
    return [match[1] for match in matches if match]


def cost_table(places: Mapping[str, Sequence[str]], records: Sequence[Record]) -> pd.DataFrame:
    """A line a net: the rows that it fills, its cost at the paper's scale, the mean minutes of its runs."""
    costs = [paper.costs().get(key) for key in places]
    frame = pd.DataFrame({"net": list(places), "rows": ["; ".join(rows) for rows in places.values()]})
    frame["params, M"] = [f"{cost[0] / 1e6:.1f}" if cost else "--" for cost in costs]
    frame["FLOPs, B"] = [f"{cost[1] / 1e9:.1f}" if cost else "--" for cost in costs]
    if records:
        minutes = pd.Series({key: [r.made.seconds / 60 for r in records if r.key == key] for key in places})
        frame["minutes a run"] = [f"{sum(each) / len(each):.1f}" if each else "--" for each in minutes]
    return frame
