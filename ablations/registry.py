"""All tables in the paper's order. A new table is added here, its Lightning module in modules.py."""

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
    successors,
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


TABLE_2 = (pairwise, stage, block_count, domain, versus_i3d, on_i3d, long_clips)
BESIDE = (versus_others, on_charades, boxes, keypoints, successors)
TABLES = Catalogue(*(file.TABLE for file in (*TABLE_2, *BESIDE)), modules=modules)
