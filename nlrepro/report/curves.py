"""How nets learn, from the curves in their records: two nets side by side (the paper's Figure 4), and all rows of a table.

Departures: the paper plots training and validation error; records hold the training loss, so that is what the left panel of two
nets shows.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nlrepro.record import Record
from nlrepro.report.figures import PAPER, SERIES, WIDTH, styled
from nlrepro.report.tables import TableSpec, comparable


def curves_frame(key: str, records: Sequence[Record]) -> pd.DataFrame:
    """One line a validation: its step and seed, the mean training loss since the last one, and the validation error, percent."""
    points = [(p.step, r.seed, p.train_loss, 100 - p.val_top1) for r in records if r.key == key for p in r.curve]
    return pd.DataFrame(points, columns=["step", "seed", "loss", "error"])


def draw_curves(keys: Mapping[str, str], records: Sequence[Record]) -> Figure:
    """Mean over the seeds that both nets have as a line, each seed thinly; `keys` are the runs' keys by the name to show."""
    frames = {name: curves_frame(key, records) for name, key in keys.items()}
    seeds = set.intersection(*(set(frame["seed"]) for frame in frames.values()))
    frames = {name: frame[frame["seed"].isin(seeds)] for name, frame in frames.items()}
    with styled():
        figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
        panels = figure.subplots(1, 2)
        for axes, value, title in zip(panels, ("loss", "error"), ("training loss", "validation error, %"), strict=True):
            for (name, frame), (colour, marker) in zip(frames.items(), SERIES, strict=False):
                for _, seed in frame.groupby("seed"):
                    axes.plot(seed["step"].to_numpy(), seed[value].to_numpy(), color=colour, marker="", linewidth=0.5, alpha=0.5)
                _mean(axes, frame, value, name, colour, marker)
            _dress(axes, title)
        figure.legend(*panels[1].get_legend_handles_labels(), loc="outside lower center", ncols=len(keys))
    return figure


def draw_rows(spec: TableSpec, records: Sequence[Record]) -> Figure:
    """The validation error of each row, mean over the seeds that are compared; a panel a depth, baselines in ink."""
    records, depths = comparable(spec, records), spec.depths
    looks = {row: look for depth in depths for row, look in zip(spec.of_depth(depth), (PAPER, *SERIES), strict=False)}
    with styled():
        figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
        panels = figure.subplots(1, len(depths), sharey=True, squeeze=False)[0]
        for axes, depth in zip(panels, depths, strict=True):
            for row in spec.of_depth(depth):
                _mean(axes, curves_frame(row.key, records), "error", row.label, *looks[row])
            _dress(axes, "validation error, %" if len(depths) == 1 else f"R{depth}, validation error, %")
        named = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=3)
    return figure


def _mean(axes: Axes, frame: pd.DataFrame, value: str, name: str, colour: str, marker: str) -> None:
    mean = frame.groupby("step")[value].mean()
    axes.plot(np.asarray(mean.index), mean.to_numpy(), color=colour, marker=marker, markersize=4, label=name)


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("step")
    axes.grid(visible=True, axis="both")
