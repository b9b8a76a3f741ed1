"""What the paper prints: Table 2 as it stands in nlrepro/paper/table2.csv, by (table, depth, label of the row)."""

from functools import cache
from importlib import resources

import pandas as pd

Place = tuple[str, int, str]


@cache
def _column(name: str) -> dict[Place, float]:
    with resources.as_file(resources.files("nlrepro.paper") / "table2.csv") as path:
        frame = pd.read_csv(path)
    columns = (frame[n].tolist() for n in ("table", "backbone", "row", name))
    return {(table, int(trunk[1:]), row): value for table, trunk, row, value in zip(*columns, strict=True)}


@cache
def accuracies() -> dict[Place, tuple[float, float]]:
    """Top-1 and top-5, percent."""
    return {place: (top1, _column("top5")[place]) for place, top1 in _column("top1").items()}


@cache
def cost_ratios() -> dict[Place, tuple[float, float]]:
    """Parameters and FLOPs relative to the baseline's; NaN outside of Table 2e."""
    return {place: (params, _column("flops_ratio")[place]) for place, params in _column("params_ratio").items()}
