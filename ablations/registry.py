"""The tables in the paper's order: the only registry. A new table is added here, its Lightning module in modules.py."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ablations import (
    block_count,
    boxes,
    domain,
    keypoints,
    long_clips,
    on_charades,
    on_i3d,
    pairwise,
    stage,
    versus_i3d,
    versus_others,
)
from nlrepro.table import Catalogue

if TYPE_CHECKING:
    from nlrepro.learners.learner import Learner


def modules() -> "Mapping[str, type[Learner]]":
    """The Lightning module of each table; imported when training begins."""
    from ablations.modules import MODULES

    return MODULES


TABLES = Catalogue(
    *(pairwise.TABLE, stage.TABLE, block_count.TABLE, domain.TABLE, versus_i3d.TABLE, on_i3d.TABLE, long_clips.TABLE),
    *(versus_others.TABLE, on_charades.TABLE, boxes.TABLE, keypoints.TABLE),
    modules=modules,
)
