"""The counterpart of the paper's Figure 4: how two nets learn, from the curves in their records.

Departures: the paper plots training and validation error; records hold the training loss, so that is what the left panel shows.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nlrepro.files import write_whole
from nlrepro.record import Record
from nlrepro.reports.figures import SERIES, styled, to_svg


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
        figure = Figure(figsize=(7.2, 2.8), layout="constrained")
        panels = figure.subplots(1, 2)
        for axes, value, title in zip(panels, ("loss", "error"), ("training loss", "validation error, %"), strict=True):
            for (name, frame), (colour, marker) in zip(frames.items(), SERIES, strict=False):
                _lines(axes, frame, value, name, colour, marker)
            axes.set_title(title)
            axes.set_xlabel("step")
            axes.grid(visible=True, axis="both")
        panels[1].legend(frameon=False)
    return figure


def _lines(axes: Axes, frame: pd.DataFrame, value: str, name: str, colour: str, marker: str) -> None:
    for _, seed in frame.groupby("seed"):
        axes.plot(seed["step"].to_numpy(), seed[value].to_numpy(), color=colour, linewidth=0.5, alpha=0.5)
    mean = frame.groupby("step")[value].mean()
    axes.plot(np.asarray(mean.index), mean.to_numpy(), color=colour, marker=marker, markersize=4, linewidth=1.5, label=name)


def write_curves(keys: Mapping[str, str], records: Sequence[Record], path: Path) -> Path:
    write_whole(path, to_svg(draw_curves(keys, records)))
    return path
