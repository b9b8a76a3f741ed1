"""The Lightning modules, one an axis: each trains the runs of its table. The import takes seconds.

    >>> from ablations import pairwise
    >>> from nlrepro.config import load_profile
    >>> module = PairwiseForm(pairwise.spec("dot"), load_profile("smoke"))

Whichever module trains a run that tables share, the result is the same.
"""

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
)
from nlrepro.learners.action_classifier import ActionClassifier
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.learners.detector import Detector
from nlrepro.learners.learner import Learner


class PairwiseForm(VideoClassifier):
    table = pairwise.TABLE


class Stage(VideoClassifier):
    table = stage.TABLE


class BlockCount(VideoClassifier):
    table = block_count.TABLE


class SpaceTime(VideoClassifier):
    table = domain.TABLE


class VersusI3D(VideoClassifier):
    table = versus_i3d.TABLE


class OnI3D(VideoClassifier):
    table = on_i3d.TABLE


class LongClips(VideoClassifier):
    table = long_clips.TABLE


class Charades(ActionClassifier):
    table = on_charades.TABLE


class Boxes(Detector):
    table = boxes.TABLE


class Keypoints(Detector):
    table = keypoints.TABLE


AXES = (PairwiseForm, Stage, BlockCount, SpaceTime, VersusI3D, OnI3D, LongClips, Charades, Boxes, Keypoints)
MODULES: dict[str, type[Learner]] = {module.table.name: module for module in AXES}
