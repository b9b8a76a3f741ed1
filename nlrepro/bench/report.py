"""What a bench says: its tables, its figure, and three sentences for the README."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from nlrepro.files import write_atomic
from nlrepro.report.figures import INK, SERIES, styled, to_svg

NAMES = {"dot": "dot product", "concatenation": "concatenation", "gaussian": "Gaussian", "embedded": "embedded Gaussian"}
SAME = {"PySlowFast": "ours, release", "mmcv": "ours", "Non-local_pytorch": "ours"}  # which of ours computes the same function
ORDERS = ("direct", "linear")
BLUE, VERMILLION, GREEN, PINK, SKY = (colour for colour, _ in SERIES[:5])
LOOKS = {
    "ours, release": (INK, "x"),
    "direct": (BLUE, "o"),
    "linear": (SKY, "+"),
    "PySlowFast": (VERMILLION, "s"),
    "mmcv": (GREEN, "^"),
    "Non-local_pytorch": (PINK, "D"),
}


def listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else "".join(parts)


def wide(time: pd.DataFrame, part: str = "block") -> pd.DataFrame:
    """Milliseconds of a training step, whole blocks or the operation alone: a line a case, a column a block."""
    steps = time[time["part"] == part]
    return steps.pivot_table(index=["form", "stage", "frames"], columns="block", values="train_ms", sort=False)


def times(steps: pd.DataFrame) -> str:
    """How many times the time of ours the direct form takes at the largest size that it takes at all."""
    ratio = (steps["direct"] / steps["ours"]).xs(("res3", 128), level=("stage", "frames"))
    return listed([f"{ratio[form]:.1f} times for {name}" for form, name in NAMES.items() if form in ratio])


def of_orders(time: pd.DataFrame) -> str:
    """The direct form at the largest size of each form, and the better order everywhere."""
    steps = wide(time)
    best = steps[[name for name in ORDERS if name in steps]].min(axis=1) / steps["ours"]
    worst = best.reset_index(name="ratio").sort_values("ratio").iloc[0]
    return (
        f"At res3 of a 128-frame clip Eq. 1 takes in its direct form, forward and backward, {times(wide(time, 'operation'))} as"
        f" long as in ours; the whole block, with its 1x1x1 convolutions, {times(steps)}. Our block runs at {worst['ratio']:.2f}"
        f" of the better order's speed or more (least for {NAMES[worst['form']]}, {worst['stage']}, {worst['frames']} frames)."
    )


def of_rivals(time: pd.DataFrame) -> str:
    """Public implementations against ours of the same function, over all sizes."""
    steps, parts = wide(time), []
    for name, ours in SAME.items():
        if name in steps:
            ratio = (steps[name] / steps[ours]).dropna()
            parts.append(f"{name} {ratio.min():.2f} to {ratio.max():.1f} (median {ratio.median():.1f}, {len(ratio)} cases)")
    return (
        f"Public code of the same function takes, as multiples of our time: {'; '.join(parts)}."
        if parts
        else "No public code was at hand."
    )


def of_memory(memory: pd.DataFrame) -> str:
    """How the peak grows with the positions."""
    peaks = memory.pivot_table(index=["block", "form"], columns="positions", values="peak_mib")
    least, most = memory["positions"].min(), memory["positions"].max()
    growth = (peaks[most] / peaks[least]).unstack("block")
    return (
        f"From {least:,} to {most:,} positions (1 to {most // least} times) a training step's peak memory grows"
        f" {growth['ours'].min():.1f} to {growth['ours'].max():.1f} times with ours,"
        f" {growth['direct'].min():.1f} to {growth['direct'].max():.1f} times with the direct form, by the form."
    )


def sentences(time: pd.DataFrame, memory: pd.DataFrame) -> str:
    return "\n".join(f"- {line}" for line in (of_orders(time), of_rivals(time), of_memory(memory)))


def draw(frame: pd.DataFrame, path: Path) -> None:
    """How many times the time of our block each other block takes, one panel a form, log scale.

    `frame` has a line a form, stage, number of frames and block, with `train_ratio`.
    """
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


def write(time: pd.DataFrame, memory: pd.DataFrame, source: str, path: Path) -> str:
    """`<path>.csv` and `<path>-memory.csv`, one `<path>.md` with both to read, the figure `<path>.svg`; returns the sentences."""
    time, memory = time.round(3), memory.round(1)
    said = sentences(time, memory)
    peaks = memory.pivot_table(index=["form", "block"], columns="positions", values="peak_mib", sort=False).reset_index()
    write_atomic(path.with_name(f"{path.name}.csv"), time.to_csv(index=False))
    write_atomic(path.with_name(f"{path.name}-memory.csv"), memory.to_csv(index=False))
    parts = [
        source,
        said,
        "Times and peak memory of one block; ratios are multiples of ours:",
        time.to_markdown(index=False),
        "Peak MiB of a training step by positions:",
        peaks.to_markdown(index=False),
    ]
    write_atomic(path.with_name(f"{path.name}.md"), "\n\n".join(map(str, parts)) + "\n")
    draw(time[time["part"] == "block"], path.with_name(f"{path.name}.svg"))
    return said
