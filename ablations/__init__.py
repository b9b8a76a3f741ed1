"""Which runs make which table of the paper. `TABLES` is the only registry."""

from ablations.ablation import Ablation, Row
from ablations.block_count import BlockCount
from ablations.domain import SpaceTime
from ablations.long_clips import LongClips
from ablations.on_i3d import OnI3D
from ablations.pairwise import PairwiseForm
from ablations.stage import Stage
from ablations.versus_i3d import VersusI3D
from nlrepro.report.contrasts import Claim

TABLES: dict[str, type[Ablation]] = {
    axis.table: axis for axis in (PairwiseForm, Stage, BlockCount, SpaceTime, VersusI3D, OnI3D, LongClips)
}
CLAIMS: tuple[Claim, ...] = tuple(claim for axis in TABLES.values() for claim in axis.claims)

__all__ = ["CLAIMS", "TABLES", "Ablation", "Row"]
