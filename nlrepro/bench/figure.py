"""The bench as a picture: how many times the time of our block each other block takes, one panel a form, log scale."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from nlrepro.files import write_atomic
from nlrepro.report.figures import INK, SERIES, styled, to_svg

BLUE, VERMILLION, GREEN, PINK, SKY = (colour for colour, _ in SERIES[:5])
LOOKS = {
    "ours, release": (INK, "x"),
    "direct": (BLUE, "o"),
    "linear": (SKY, "+"),
    "PySlowFast": (VERMILLION, "s"),
    "mmcv": (GREEN, "^"),
    "Non-local_pytorch": (PINK, "D"),
}


def draw(frame: pd.DataFrame, path: Path) -> None:
    """`frame` has a line a form, stage, number of frames and block, with `train_ratio`."""
    frame = frame.assign(case=frame["stage"] + ", " + frame["frames"].astype(str) + " frames")
    cases, forms = list(dict.fromkeys(frame["case"])), list(dict.fromkeys(frame["form"]))
    with styled():
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        panels = figure.subplots(1, len(forms), sharex=True, sharey=True, squeeze=False)[0]
        for panel, form in zip(panels, forms, strict=True):
            of_form = frame[frame["form"] == form]
            for name, (colour, marker) in LOOKS.items():
                of_block = of_form[of_form["block"] == name]
                places = [cases.index(case) for case in of_block["case"]]
                panel.plot(of_block["train_ratio"], places, marker, color=colour, label=name)
            panel.axvline(1, color=INK, linewidth=0.8)
            panel.set_xscale("log")
            panel.set_title(form)
        panels[0].set_yticks(range(len(cases)), cases)
        panels[0].set_ylim(len(cases) - 0.5, -0.5)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(LOOKS))
        figure.supxlabel("forward and backward time, multiples of ours (what needs more than 6 GiB is left out)")
    write_atomic(path, to_svg(figure))
