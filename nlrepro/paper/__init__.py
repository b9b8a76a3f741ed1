"""What the paper prints: Table 2 as it stands in table2.csv, by (table, depth, label of the row)."""

import csv
from functools import cache
from importlib import resources
from math import nan

Place = tuple[str, int, str]


@cache
def _columns(*names: str) -> dict[Place, tuple[float, ...]]:
    with resources.files(__name__).joinpath("table2.csv").open() as file:
        return {
            (line["table"], int(line["backbone"][1:]), line["row"]): tuple(float(line[name] or nan) for name in names)
            for line in csv.DictReader(file)
        }


def accuracies() -> dict[Place, tuple[float, ...]]:
    """Top-1 and top-5, percent."""
    return _columns("top1", "top5")


def cost_ratios() -> dict[Place, tuple[float, ...]]:
    """Parameters and FLOPs relative to the baseline's; NaN where the paper gives none."""
    return _columns("params_ratio", "flops_ratio")
