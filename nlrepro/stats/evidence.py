"""The records of one profile as evidence: the runs of each cell of a table, and their tests, item by item."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isinf, nan

import numpy as np

from nlrepro import paper
from nlrepro.files import BadInput
from nlrepro.record import Record
from nlrepro.stats.anova import Analysis, Interval, analyse
from nlrepro.stats.moderated import Array, Prior, fit_prior
from nlrepro.table import Cell, Row, Table

Contrast = Mapping[Cell, float]  # cell -> weight
WITHIN = {"top1": 1, "top5": 5}  # measures that the ranks of test videos give


def outcomes(
    records: Sequence[Record], key: str, measure: str = "top1", kind: str | None = None
) -> dict[int, Array]:
    """By seed, the results of the runs of `key` on each test video, 100 or 0; or one mean measure, (1,).

    `kind` keeps the videos of one kind. Records that lack the kind or the measure are left out.
    """
    runs = {record.seed: record for record in records if record.key == key and record.seed is not None}
    if measure not in WITHIN or not any(run.ranks for run in runs.values()):
        return {
            seed: np.array([run.metrics[measure]]) for seed, run in runs.items() if measure in run.metrics
        }
    ranks = {seed: run.kinds.get(kind, "") if kind else run.ranks for seed, run in runs.items()}
    digits = {seed: np.frombuffer(text.encode(), np.uint8) - ord("0") for seed, text in ranks.items() if text}
    return {seed: np.where(ranks < WITHIN[measure], 100.0, 0.0) for seed, ranks in digits.items()}


class Evidence:
    """Fresh records of one profile, for the cells of these tables and for sums of them."""

    def __init__(self, tables: Sequence[Table], records: Sequence[Record]) -> None:
        self.tables, self.records = {table.name: table for table in tables}, records
        self.rows = {Cell(table.name, row.depth, row.label): row for table in tables for row in table.rows}

    def row(self, cell: Cell) -> Row:
        """The row that a cell names; a KeyError if there is none."""
        return self.rows[cell._replace(measure="")]

    def measure(self, cell: Cell) -> str:
        return cell.measure or next(iter(self.tables[cell.table].measures))

    def interval(self, contrast: Contrast, kind: str | None = None) -> Interval | None:
        """A weighted sum of cells, in points, or one cell, percent, whose interval is cut to [0, 100]."""
        result = self.analysis(contrast, kind)
        interval = result.interval if result else None
        if interval is None or len(contrast) > 1 or isinf(interval.low):
            return interval
        return replace(interval, low=max(interval.low, 0.0), high=min(interval.high, 100.0))

    def analysis(self, contrast: Contrast, kind: str | None = None) -> Analysis | None:
        """The crossed analysis of a weighted sum of cells; `kind` keeps the test videos of one kind.

        Runs are paired by seed and video. Only seeds that all of them have count; None if there is no such
        seed.

        Raises:
            BadInput: the runs were tested on different numbers of videos.
        """
        weights: dict[tuple[str, str], float] = {}  # by key and measure, as rows of two tables may share runs
        for cell, weight in contrast.items():
            place = self.row(cell).key, self.measure(cell)
            weights[place] = weights.get(place, 0.0) + weight
        runs = {place: outcomes(self.records, *place, kind) for place in weights}
        seeds = sorted(set.intersection(*map(set, runs.values())))
        if not seeds:
            return None
        sizes = {f"{place[0]} seed {seed}": run[seed].size for place, run in runs.items() for seed in seeds}
        if len(set(sizes.values())) > 1:
            allowed = "accuracies are compared on the same test videos only"
            raise BadInput(f"{allowed}, got numbers of videos {sizes}")
        terms = [weights[place] * np.stack([run[seed] for seed in seeds]) for place, run in runs.items()]
        d = np.sum(terms, axis=0)  # (seeds, videos)
        grain = 100 * max(map(abs, weights.values())) if d.shape[1] > 1 else 0.0
        prior = None if kind else self.prior(contrast)
        return analyse(d, grain).moderated(prior, size=sum(weight**2 for weight in weights.values()))

    def prior(self, contrast: Contrast) -> Prior | None:
        """The variance between seeds of the rows of the contrast's tables, by depth unless it compares two.

        A row without records is left out; of the others, the seeds that a group's rows share count. None for
        measures that are no means over videos: their rows may differ in their variance.
        """
        tables, depths = {cell.table for cell in contrast}, {cell.depth for cell in contrast}
        measure = self.measure(next(iter(contrast)))
        keys: dict[int, set[str]] = {}
        for place, row in self.rows.items():
            if place.table in tables:
                keys.setdefault(row.depth if len(depths) == 1 else 0, set()).add(row.key)
        groups = []
        for _, group in sorted(keys.items()):
            runs = [run for key in sorted(group) if (run := outcomes(self.records, key, measure))]
            seeds = sorted(set.intersection(*map(set, runs))) if runs else []
            if seeds and runs[0][seeds[0]].size > 1:
                groups.append(np.array([[run[seed].mean() for run in runs] for seed in seeds]))
        return fit_prior(groups, centred=len(contrast) > 1)

    def paper(self, contrast: Contrast) -> float:
        """The same sum of the paper's numbers, rounded so that decimals cancel; NaN where it prints none."""
        return round(sum(weight * self.printed(cell) for cell, weight in contrast.items()), 6)

    def printed(self, cell: Cell, column: str = "") -> float:
        """The paper's number, of the cell's measure or another column; NaN where it prints none."""
        return self.tables[cell.table].paper(self.row(cell), column or self.measure(cell))

    def macs(self, cell: Cell) -> float:
        """Counted multiply-adds in multiples of the baseline's; NaN for a net that was not counted."""
        rows = self.row(cell), self.tables[cell.table].baseline(self.row(cell))
        own, base = (paper.costs().get(row.key, (nan, nan))[1] for row in rows)
        return own / base
