"""The records of one profile as evidence: the run of each cell of a table, and its test, item by item."""

from collections.abc import Collection, Mapping, Sequence
from math import nan

import numpy as np
from numpy.typing import NDArray

from nlrepro import paper
from nlrepro.files import BadInput
from nlrepro.record import Record
from nlrepro.stats.anova import Analysis, Interval, analyse
from nlrepro.stats.moderated import Prior, fit_prior
from nlrepro.table import Cell, Row, Table

Array = NDArray[np.float64]
Contrast = Mapping[Cell, float]  # cell -> weight
WITHIN = {"top1": 1, "top5": 5}  # measures that the ranks of test videos give


def correct(ranks: str, within: int = 1) -> Array:
    """100 or 0 for each digit of a record's ranks: whether it is below `within`, (videos,)."""
    return np.asarray(100.0 * (np.frombuffer(ranks.encode(), np.uint8) < ord("0") + within))


def outcomes(
    records: Sequence[Record], key: str, measure: str = "top1", kind: str | None = None
) -> dict[int, Array]:
    """By seed, the results of the runs of `key` on each test video, percent; or one mean measure, (1,).

    `kind` keeps the videos of one kind. Records that lack the kind or the measure are left out.
    """
    runs = {record.seed: record for record in records if record.key == key and record.seed is not None}
    if any(run.ranks for run in runs.values()) and measure in WITHIN:
        ranks = {seed: run.kinds.get(kind, "") if kind else run.ranks for seed, run in runs.items()}
        return {seed: correct(digits, WITHIN[measure]) for seed, digits in ranks.items() if digits}
    return {seed: np.array([run.metrics[measure]]) for seed, run in runs.items() if measure in run.metrics}


def pool(
    records: Sequence[Record], groups: Sequence[Collection[str]], measure: str, centred: bool = False
) -> Prior | None:
    """The prior of the variance between seeds that all rows give together.

    Each group has the keys of rows with one baseline.     A row without records is left out; of the others,
    the seeds that a group's rows share count. `centred` for differences. None for measures that are no means
    over videos: their rows may differ in their variance.
    """
    means = []
    for keys in groups:
        runs = [run for key in sorted(set(keys)) if (run := outcomes(records, key, measure))]
        seeds = sorted(set.intersection(*map(set, runs))) if runs else []
        if seeds and runs[0][seeds[0]].size > 1:
            means.append(np.array([[run[seed].mean() for run in runs] for seed in seeds]))
    return fit_prior(means, centred)


def analysis(
    records: Sequence[Record],
    weights: Mapping[tuple[str, str], float],
    kind: str | None = None,
    prior: Prior | None = None,
) -> Analysis | None:
    """The crossed analysis of a weighted sum of measures, (key, measure) -> weight, in points.

    Runs are paired by seed and video. Only seeds that all of them have count; None if there is no such seed.
    `prior` moderates the variance between them.

    Raises:
        BadInput: the runs were tested on different numbers of videos.
    """
    runs = {place: outcomes(records, *place, kind) for place in weights}
    seeds = sorted(set.intersection(*(set(run) for run in runs.values())))
    if not seeds:
        return None
    lengths = {f"{place[0]} seed {seed}": runs[place][seed].size for place in runs for seed in seeds}
    if len(set(lengths.values())) > 1:
        allowed = "accuracies are compared on the same test videos only"
        raise BadInput(f"{allowed}, got numbers of videos {lengths}")
    d = np.sum(
        [weight * np.stack([runs[place][seed] for seed in seeds]) for place, weight in weights.items()],
        axis=0,
    )
    grain = 100 * max(map(abs, weights.values())) if d.shape[1] > 1 else 0.0
    return analyse(d, grain).moderated(prior, size=sum(weight**2 for weight in weights.values()))


def accuracy(
    records: Sequence[Record],
    key: str,
    measure: str = "top1",
    kind: str | None = None,
    prior: Prior | None = None,
) -> Interval | None:
    """A measure of the run `key`, percent; the interval is cut to [0, 100]."""
    result = analysis(records, {(key, measure): 1.0}, kind, prior)
    return result.interval.within(0.0, 100.0) if result else None


def difference(
    records: Sequence[Record], key: str, baseline: str, measure: str = "top1", prior: Prior | None = None
) -> Interval | None:
    """A measure of `key` minus that of `baseline`, in points, paired by seed and by video."""
    result = analysis(records, {(key, measure): 1.0, (baseline, measure): -1.0}, prior=prior)
    return result.interval if result else None


class Evidence:
    """Fresh records of one profile, for the sentences of these tables."""

    def __init__(self, tables: Sequence[Table], records: Sequence[Record]) -> None:
        self.tables = {table.name: table for table in tables}
        self.records = records
        self._priors: dict[object, Prior | None] = {}

    def row(self, cell: Cell) -> Row | None:
        """The row that a cell names."""
        rows = self.tables[cell.table].rows if cell.table in self.tables else ()
        return next((row for row in rows if (row.depth, row.label) == (cell.depth, cell.label)), None)

    def measure(self, cell: Cell) -> str:
        return cell.measure or next(iter(self.tables[cell.table].measures))

    def analysis(self, contrast: Contrast) -> Analysis | None:
        """The weighted sum of cells; None where runs are missing.

        All rows of the tables that the contrast names share their variance between seeds.
        """
        weights: dict[tuple[str, str], float] = {}
        for cell, weight in contrast.items():
            row = self.row(cell)
            if row is None:
                return None
            place = row.key, self.measure(cell)
            weights[place] = weights.get(place, 0.0) + weight
        return analysis(self.records, weights, prior=self.prior(contrast))

    def prior(self, contrast: Contrast) -> Prior | None:
        """Of the rows of these tables by depth; of all together where the contrast compares two depths."""
        tables, depths = {cell.table for cell in contrast}, {cell.depth for cell in contrast}
        rows = [row for name, table in self.tables.items() if name in tables for row in table.rows]
        every = [row.depth for row in rows]
        groups = [frozenset(row.key for row in rows if row.depth == depth) for depth in sorted(set(every))]
        groups = [frozenset().union(*groups)] if len(depths) > 1 else groups
        measure = self.measure(next(iter(contrast)))
        place = tuple(groups), measure
        if place not in self._priors:
            self._priors[place] = pool(self.records, groups, measure, centred=True)
        return self._priors[place]

    def paper(self, contrast: Contrast) -> float:
        """The same sum of the paper's numbers, rounded so that decimals cancel; NaN where it prints none."""
        values = {cell: self.printed(cell, self.measure(cell)) for cell in contrast}
        return round(sum(weight * values[cell] for cell, weight in contrast.items()), 6)

    def printed(self, cell: Cell, column: str) -> float:
        """The paper's number in this column, NaN where it prints none."""
        return paper.numbers(cell.table).get((cell.depth, cell.label), {}).get(column, nan)

    def macs(self, cell: Cell) -> float:
        """Multiply-adds at the paper's scale, counted; NaN for a net that was not counted."""
        row = self.row(cell)
        return paper.costs().get(row.key, (nan, nan))[1] if row else nan

    def relative_macs(self, cell: Cell) -> float:
        """Multiply-adds in multiples of those of the cell's baseline."""
        row = self.row(cell)
        base = self.tables[cell.table].baseline(row) if row else None
        return self.macs(cell) / self.macs(cell._replace(label=base.label)) if base else nan
