"""The paper's comparison with other systems (Table 3), beside the project's own records and given weights. It trains nothing."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from math import nan
from pathlib import Path

import pandas as pd

from nlrepro.evaluation import Evaluation
from nlrepro.files import write_atomic
from nlrepro.record import Record
from nlrepro.report.formats import MISSING, number, to_latex, to_text, with_interval
from nlrepro.report.released import released_columns, with_released
from nlrepro.report.statistics import accuracy

PAPER = {
    "top-1": "top1_val",
    "top-5": "top5_val",
    "test top-1": "top1_test",
    "test top-5": "top5_test",
    "test average": "avg_test",
}
System = tuple[str, str]  # model and backbone, as the paper names them


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A table of systems that others have trained; `ours` are the keys of the runs that fill a row, where one does."""

    table: str
    title: str
    ours: Mapping[System, str]

    @property
    def lines(self) -> list[dict[str, str]]:
        """The paper's, as its CSV has them."""
        with resources.files("nlrepro.paper").joinpath(f"table{self.table}.csv").open() as file:
            return list(csv.DictReader(file))


def shown(comparison: Comparison, records: Sequence[Record], evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """The table to read, as text: top-1 and top-5 in percent of the validation videos, where it does not say test."""
    lines = comparison.lines
    keys = [comparison.ours.get((line["model"], line["backbone"]), "") for line in lines]
    columns = {name: [line[name] for line in lines] for name in ("model", "backbone", "modality")}
    columns |= {f"paper {title}": [number(float(line[name] or nan)) for line in lines] for title, name in PAPER.items()}
    columns["here top-1"] = [_accuracy(records, key, 1) for key in keys]
    columns["here top-5"] = [_accuracy(records, key, 5) for key in keys]
    return pd.DataFrame(columns | released_columns(with_released(pd.DataFrame({"key": keys}), evaluations)))


def _accuracy(records: Sequence[Record], key: str, within: int) -> str:
    found = accuracy(records, key, within=within)
    return with_interval(found.mean, found.low, found.high) if found else MISSING


def write_comparison(comparison: Comparison, frame: pd.DataFrame, folder: Path) -> str:
    """Write the table's `.md`, `.csv` and `.tex`, and return it for the terminal."""
    heading, name = f"Table {comparison.table}. {comparison.title}", f"table{comparison.table}"
    left = (0, 1, 2)
    write_atomic(folder / f"{name}.md", f"## {heading}\n\n{to_text(frame, left=left)}\n")
    write_atomic(folder / f"{name}.csv", frame.to_csv(index=False))
    write_atomic(folder / f"{name}.tex", to_latex(comparison.title, comparison.table, frame))
    return f"{heading}\n\n{to_text(frame, 'simple', left)}\n\nwritten: {folder}/{name}.md, .csv, .tex"
