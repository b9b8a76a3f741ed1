"""The seven ablations of Table 2, in the paper's order, and the others: the only registry. Whoever adds a table adds it here."""

from ablations.block_count import BlockCount
from ablations.charades import CHARADES
from ablations.detection import DETECTION
from ablations.domain import SpaceTime
from ablations.keypoints import KEYPOINTS
from ablations.long_clips import LongClips
from ablations.on_i3d import OnI3D
from ablations.pairwise import PairwiseForm
from ablations.stage import Stage
from ablations.versus_i3d import VersusI3D
from ablations.versus_others import VERSUS_OTHERS
from nlrepro.experiments.catalogue import Catalogue

TABLES = Catalogue(
    *(PairwiseForm, Stage, BlockCount, SpaceTime, VersusI3D, OnI3D, LongClips),
    comparisons=(VERSUS_OTHERS,),
    beyond=(CHARADES, DETECTION, KEYPOINTS),
)
