"""The Lightning modules, one an axis: each trains the runs of its table. The import takes seconds.

    >>> from ablations import pairwise
    >>> from nlrepro.config import load_profile
    >>> module = PairwiseForm(pairwise.TABLE.rows[3].spec, load_profile("smoke"))

Whichever module trains a run that tables share, the result is the same.
"""

from nlrepro.learners.action_classifier import ActionClassifier
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.learners.detector import Detector
from nlrepro.learners.learner import Learner


class PairwiseForm(VideoClassifier):
    table = "2a"


class Stage(VideoClassifier):
    table = "2b"


class BlockCount(VideoClassifier):
    table = "2c"


class SpaceTime(VideoClassifier):
    table = "2d"


class VersusI3D(VideoClassifier):
    table = "2e"


class OnI3D(VideoClassifier):
    table = "2f"


class LongClips(VideoClassifier):
    table = "2g"


class Charades(ActionClassifier):
    table = "4"


class Boxes(Detector):
    table = "5"


class Keypoints(Detector):
    table = "6"


class Successor(VideoClassifier):
    table = "7"


TABLE_2 = (PairwiseForm, Stage, BlockCount, SpaceTime, VersusI3D, OnI3D, LongClips)
AXES = (*TABLE_2, Charades, Boxes, Keypoints, Successor)
MODULES: dict[str, type[Learner]] = {module.table: module for module in AXES}
