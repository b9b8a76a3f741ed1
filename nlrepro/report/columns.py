"""How the columns of a table are made: as text side by side (terminal, Markdown, LaTeX), and in groups for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

import pandas as pd

from nlrepro.record import Cost
from nlrepro.report.formats import MISSING, number, ratios, with_interval
from nlrepro.report.released import released_columns, released_names
from nlrepro.report.tables import TableSpec, by_source

RATIOS = {"params": ("paper_params_ratio", "params_ratio"), "FLOPs": ("paper_flops_ratio", "macs_ratio")}  # the paper's, here


def side_by_side(spec: TableSpec, mine: pd.DataFrame, published: pd.DataFrame | None) -> pd.DataFrame:
    """The table to read, as text: the paper | published | yours; without `published` (its own report), the paper | here."""
    baselines = [row is spec.baseline(row.depth) for row in spec.rows]
    columns = {
        "row": [spec.label(row) for row in spec.rows],
        "paper top-1": [number(value) for value in mine["paper_top1"]],
        "paper delta": _deltas(baselines, [number(value, sign=True) for value in mine["paper_delta"]]),
    }
    for name, frame in by_source(mine, published).items():
        top1 = frame[["top1", "top1_low", "top1_high"]].to_numpy(float)
        delta = frame[["delta", "delta_low", "delta_high"]].to_numpy(float)
        columns[f"{name} top-1"] = [with_interval(mean, low, high) for mean, low, high in top1]
        columns[f"{name} delta"] = _deltas(baselines, [with_interval(mean, low, high, sign=True) for mean, low, high in delta])
    if spec.shows_cost:
        for name, sources in RATIOS.items():
            columns |= {f"{who} {name}": ratios(mine[source]) for who, source in zip(("paper", "here"), sources, strict=True)}
    return pd.DataFrame(columns | released_columns(mine))


def _deltas(baselines: list[bool], texts: list[str]) -> list[str]:
    """A baseline's difference from itself is no measurement: a plain 0 without sign and interval."""
    return ["0" if base and text != MISSING else text for base, text in zip(baselines, texts, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the page: numbers, one a row, and the intervals that stand below them."""

    title: str
    cells: list[str]
    intervals: list[str]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Columns of the page under one heading."""

    name: str
    columns: tuple[Column, ...]

    @property
    def size(self) -> int:
        return len(self.columns)


def groups(
    spec: TableSpec,
    mine: pd.DataFrame,
    published: pd.DataFrame | None,
    costs: Mapping[str, Cost],
) -> list[Group]:
    """The columns of the paper, of the records and of released weights, then relative costs where the paper
    shows them.

    Where there are neither these nor records, parameters and FLOPs stand there by count; `costs` are by key.
    """
    in_paper, here = ([sources[i] for sources in RATIOS.values()] for i in (0, 1))
    measured = {name: frame for name, frame in by_source(mine, published).items() if frame["top1"].notna().any()}
    found = {"paper": [*_accuracies(mine, "paper_"), *(_ratios(mine, in_paper) if spec.shows_cost else [])]}
    found |= {name: _accuracies(frame, "") for name, frame in measured.items()}
    found |= {name: _accuracies(mine, f"released {name} ") for name in released_names(mine)}
    if spec.shows_cost:
        found["counted"] = _ratios(mine, here)
    elif not measured:
        found["counted"] = counts([costs[row.key] for row in spec.rows])
    return [Group(name=name, columns=tuple(columns)) for name, columns in found.items()]


def _accuracies(frame: pd.DataFrame, prefix: str) -> list[Column]:
    names = {f"top-{k}": f"{prefix}top{k}" for k in (1, 5)}
    return [
        Column(title=title, cells=[number(value) for value in frame[name]], intervals=_intervals(frame, name))
        for title, name in names.items()
    ]


def _intervals(frame: pd.DataFrame, name: str) -> list[str]:
    if f"{name}_low" not in frame:
        return [""] * len(frame)
    ends = frame[[f"{name}_low", f"{name}_high"]].to_numpy(float)
    return ["" if isnan(low) else f"{number(low)}\N{EN DASH}{number(high)}" for low, high in ends]


def _ratios(frame: pd.DataFrame, names: Sequence[str]) -> list[Column]:
    return [
        Column(title=title, cells=ratios(frame[name]), intervals=[""] * len(frame))
        for title, name in zip(RATIOS, names, strict=True)
    ]


def counts(costs: Sequence[Cost]) -> list[Column]:
    """Parameters and multiply-adds of a clip, by count."""
    cells = {
        "params, M": [f"{cost.params / 1e6:.1f}" for cost in costs],
        "FLOPs, B": [f"{cost.macs / 1e9:.1f}" for cost in costs],
    }
    return [Column(title=title, cells=texts, intervals=[""] * len(costs)) for title, texts in cells.items()]
