"""What a bench says: its tables, its figure, and three sentences for the README."""

from pathlib import Path

import pandas as pd

from nlrepro.bench.figure import draw
from nlrepro.files import write_whole

NAMES = {"dot": "dot product", "concatenation": "concatenation", "gaussian": "Gaussian", "embedded": "embedded Gaussian"}
SAME = {"PySlowFast": "ours, release", "mmcv": "ours", "Non-local_pytorch": "ours"}  # which of ours computes the same function
ORDERS = ("direct", "linear")


def listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else "".join(parts)


def wide(time: pd.DataFrame) -> pd.DataFrame:
    """Milliseconds of a training step: a line a form, stage and clip length, a column a block."""
    return time.pivot_table(index=["form", "stage", "frames"], columns="block", values="train_ms", sort=False)


def of_orders(time: pd.DataFrame) -> str:
    """The direct form at the largest size of each form, and the better order everywhere."""
    steps = wide(time)
    ratio = (steps["direct"] / steps["ours"]).xs(("res3", 128), level=("stage", "frames"))
    best = steps[[name for name in ORDERS if name in steps]].min(axis=1) / steps["ours"]
    worst = best.reset_index(name="ratio").sort_values("ratio").iloc[0]
    times = listed([f"{ratio[form]:.1f} times for {name}" for form, name in NAMES.items() if form in ratio])
    return (
        f"At res3 of a 128-frame clip the direct form takes, forward and backward, {times} as long as ours. Ours runs at"
        f" {worst['ratio']:.2f} of the better order's speed or more (least for {NAMES[worst['form']]}, {worst['stage']},"
        f" {worst['frames']} frames)."
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


def write(time: pd.DataFrame, memory: pd.DataFrame, source: str, path: Path) -> str:
    """`<path>.csv` and `<path>-memory.csv`, one `<path>.md` with both to read, the figure `<path>.svg`; returns the sentences."""
    time, memory = time.round(3), memory.round(1)
    said = sentences(time, memory)
    peaks = memory.pivot_table(index=["form", "block"], columns="positions", values="peak_mib", sort=False).reset_index()
    write_whole(path.with_name(f"{path.name}.csv"), time.to_csv(index=False))
    write_whole(path.with_name(f"{path.name}-memory.csv"), memory.to_csv(index=False))
    parts = [
        source,
        said,
        "Times and peak memory of one block; ratios are multiples of ours:",
        time.to_markdown(index=False),
        "Peak MiB of a training step by positions:",
        peaks.to_markdown(index=False),
    ]
    write_whole(path.with_name(f"{path.name}.md"), "\n\n".join(map(str, parts)) + "\n")
    draw(time, path.with_name(f"{path.name}.svg"))
    return said
