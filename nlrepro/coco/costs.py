"""What was counted of the nets of Table 5 at the paper's scale (counting.py), so that reports need no torch."""

import csv
from functools import cache
from pathlib import Path

from nlrepro.spec import Backbone

COSTS = Path(__file__).with_name("costs.csv")


@cache
def macs(backbone: Backbone, *, block: bool) -> int:
    """Multiply-adds of a whole Mask R-CNN on an image of 800x1333."""
    with COSTS.open() as file:
        found = {(row["backbone"], row["block"], row["counted"]): int(row["macs"]) for row in csv.DictReader(file)}
    return found[backbone, str(block), "whole net"]
