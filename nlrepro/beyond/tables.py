"""Tables 4 to 6 as frames of numbers, as text, and as a picture, beside the paper's."""

from collections.abc import Sequence
from math import isfinite, nan

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nlrepro.beyond.comparing import difference, mean
from nlrepro.beyond.experiment import Experiment, Line
from nlrepro.beyond.outcome import Outcome
from nlrepro.report.anova import Interval
from nlrepro.report.figures import INCHES_A_ROW, PAPER, SERIES, WIDTH, styled
from nlrepro.report.formats import number, with_interval


def frame(experiment: Experiment, records: Sequence[Outcome]) -> pd.DataFrame:
    """One line a row: of each measure the mean, its difference from the baseline, and the paper's two; NaN where missing.

    Only the seeds of `comparable` count, so that no seed favours a row.
    """
    return pd.DataFrame([_line(experiment, line, comparable(experiment, records)) for line in experiment.lines])


def comparable(experiment: Experiment, records: Sequence[Outcome]) -> list[Outcome]:
    """The records of the table's rows, of the seeds that all rows with the same baseline have; all, where these share none.

    A row without any record is left out of this.
    """
    groups: dict[str, set[str]] = {}
    for line in experiment.lines:
        groups.setdefault(experiment.baseline(line).spec.key, set()).add(line.spec.key)
    return [record for keys in groups.values() for record in _shared(keys, records)]


def _shared(keys: set[str], records: Sequence[Outcome]) -> list[Outcome]:
    mine = [record for record in records if record.key in keys]
    seeds = [{record.seed for record in mine if record.key == key} for key in {record.key for record in mine}]
    common = set.intersection(*seeds) if seeds else set()
    return [record for record in mine if not common or record.seed in common]


def _line(experiment: Experiment, line: Line, records: Sequence[Outcome]) -> dict[str, object]:
    key, base = line.spec.key, experiment.baseline(line)
    seeds = len({record.seed for record in records if record.key == key})
    found: dict[str, object] = {"table": experiment.table, "row": line.label, "depth": line.depth, "key": key, "seeds": seeds}
    for measure in experiment.measures:
        found |= _cells(measure, mean(records, key, measure))
        d = difference(records, (key, measure), (base.spec.key, measure))
        found |= _cells(f"{measure}_delta", None if line is base else d)
        own, reference = line.paper.get(measure, nan), base.paper.get(measure, nan)
        found |= {f"paper_{measure}": own, f"paper_{measure}_delta": nan if line is base else round(own - reference, 1)}
    return found


def _cells(name: str, interval: Interval | None) -> dict[str, float]:
    """NaN in place of the ends that a single seed does not tell."""
    values = (interval.mean, interval.low, interval.high) if interval else (nan, nan, nan)
    return {
        end: value if isfinite(value) else nan for end, value in zip((name, f"{name}_low", f"{name}_high"), values, strict=True)
    }


def shown(experiment: Experiment, by_source: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The table to read, as text: a line a row and measure, with the paper's number and that of each source."""
    lines = [_texts(experiment, i, measure, by_source) for i in range(len(experiment.lines)) for measure in experiment.measures]
    return pd.DataFrame(lines)


def _texts(experiment: Experiment, i: int, measure: str, by_source: dict[str, pd.DataFrame]) -> dict[str, str]:
    label = experiment.label(experiment.lines[i]) if measure == next(iter(experiment.measures)) else ""
    first = next(iter(by_source.values()))
    texts = {"": label, "measure": experiment.measures[measure], "paper": number(first[f"paper_{measure}"][i])}
    texts |= {name: _ends(found, measure, i) for name, found in by_source.items()}
    texts["above baseline: paper"] = number(first[f"paper_{measure}_delta"][i], sign=True)
    return texts | {f"{name} ": _ends(found, f"{measure}_delta", i, sign=True) for name, found in by_source.items()}


def _ends(found: pd.DataFrame, column: str, i: int, sign: bool = False) -> str:
    return with_interval(found[column][i], found[f"{column}_low"][i], found[f"{column}_high"][i], sign=sign)


def draw(experiment: Experiment, by_source: dict[str, pd.DataFrame]) -> Figure:
    """Differences from the baseline: the paper's on the left, those of the records with 95 % intervals on the right."""
    rows = [i for i, line in enumerate(experiment.lines) if line is not experiment.baseline(line)]
    places = [(i, measure) for i in rows for measure in experiment.main]
    with styled():
        figure = Figure(figsize=(WIDTH, 1.3 + INCHES_A_ROW * len(places)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.6))
        first = next(iter(by_source.values()))
        left.plot([first[f"paper_{m}_delta"][i] for i, m in places], range(len(places)), PAPER[1], color=PAPER[0])
        for number_, (name, found) in enumerate(by_source.items()):
            _series(right, name, found, places, number_, 0.0 if len(by_source) == 1 else 0.3 * (number_ - 0.5))
        labels = [f"{experiment.label(experiment.lines[i])}, {experiment.measures[m]}" for i, m in places]
        left.set_yticks(range(len(places)), labels)
        left.set_ylim(len(places) - 0.5, -0.5)
        for axes, title in ((left, "the paper"), (right, "here")):
            axes.axvline(0, color=PAPER[0], linewidth=0.8)
            axes.margins(x=0.12)
            axes.set_title(title)
            axes.set_xlabel("above baseline, points")
        if len(by_source) > 1:
            right.legend()
    return figure


def _series(axes: Axes, name: str, found: pd.DataFrame, places: Sequence[tuple[int, str]], series: int, shift: float) -> None:
    mean, low, high = (np.array([found[f"{m}_delta{end}"][i] for i, m in places], float) for end in ("", "_low", "_high"))
    colour, marker = SERIES[series]
    ends = np.nan_to_num([mean - low, high - mean])
    axes.errorbar(mean, np.arange(len(places)) + shift, xerr=ends, fmt=marker, color=colour, label=name)
