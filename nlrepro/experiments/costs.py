"""What the rows of tables cost, by count: parameters and multiply-adds, and GPU-hours of training."""

from functools import cache

import pandas as pd

from nlrepro.config import Profile, load_profile
from nlrepro.experiments.catalogue import Axes, built_by
from nlrepro.nets.cost import cost
from nlrepro.record import Cost
from nlrepro.spec import RunSpec


@cache
def paper_cost(spec: RunSpec) -> Cost:
    """At the paper's scale, whichever profile the records are of."""
    return cost(spec, load_profile("paper"))


def costs(axes: Axes, profile: Profile) -> str:
    """Parameters and multiply-adds of each row, and relative to the first row of the same table."""
    lines, of = [], cache(lambda spec: cost(spec, profile))  # tables share rows
    for axis in axes:
        specs = [axis.spec(**row.value) for row in axis.rows]
        base = of(specs[0])
        for row, spec in zip(axis.rows, specs, strict=True):
            here = of(spec)
            lines.append(
                {
                    "table": axis.table,
                    "row": row.label,
                    "depth": f"R{spec.net.depth}",
                    "params": f"{here.params:,}",
                    "multiply-adds": f"{here.macs:,}",
                    "params ratio": f"{here.params / base.params:.3f}",
                    "multiply-adds ratio": f"{here.macs / base.macs:.3f}",
                }
            )
    return str(pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True))


def labour(axes: Axes, profile: Profile, teraflops: int) -> str:
    """What one training of each run takes: a step is three forward passes, a multiply-add two operations."""
    clips = {spec: profile.recipes[spec.clip].steps * profile.recipes[spec.clip].batch for spec in built_by(axes)}
    work = {spec: 3 * 2 * cost(spec, profile).macs * count for spec, count in clips.items()}
    hours = {spec.key: flops / (teraflops * 1e12) / 3600 for spec, flops in work.items()}
    ends = [f"{hours[key]:,.0f} of {key}" for key in (min(hours, key=hours.__getitem__), max(hours, key=hours.__getitem__))]
    return (
        f"Training {len(work)} runs once takes {sum(work.values()) / 1e18:,.0f} exaFLOPs; at {teraflops} TFLOP/s a GPU"
        f" (an assumption, --teraflops) {sum(hours.values()):,.0f} GPU-hours, from {' to '.join(ends)}."
    )
