"""`ActionClassifier` (Table 4): a sigmoid a class in place of the softmax, for several actions a video.

The authors have not released what they did on Charades, and the paper (section 5.2) does not say all of it.
Our readings: a test takes ten clips, in three crops, and the highest score of a class over all of them
counts. That is what their later code for Charades does (`ENSEMBLE_METHOD: max` of facebookresearch/SlowFast,
configs/Charades; `aggregate_predictions_from_clips` of facebookresearch/video-long-term-feature-banks). Test
frames are larger than training crops, and the net takes the mean over all positions of the larger maps, where
Table 2's released test averages softmax scores of windows.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from torch import Tensor

from nlrepro.config import Profile
from nlrepro.data.charades import PUBLIC, ActionClips, Videos, load_videos
from nlrepro.data.order import WORKERS
from nlrepro.files import write_atomic
from nlrepro.learners.classifier import VideoClassifier, VideoData, start_from_parent
from nlrepro.learners.learner import Evaluator, Result, RunData, in_order
from nlrepro.nets.weights import start_from_file, start_name
from nlrepro.run import Run
from nlrepro.spec import TRAINED, ActionSpec, Part
from nlrepro.task import actions_of, given_start

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class ActionData(VideoData):
    """The videos of a run of Table 4, with their actions.

    The curve is of validation videos in both splits; in trainval/test they have been trained on.
    """

    def __init__(self, run: Run, recipe: Any, first: int = 0, at_most: int | None = None) -> None:
        super().__init__(run, recipe, first, at_most)
        self.loaded: dict[Part, Videos] = {}

    @property
    def scores(self) -> Path:
        return self.folder / scores_path(self.run).name

    def videos(self, part: Part) -> Videos:
        """The folder of a part, loaded once."""
        key: Part = PUBLIC[0] if part in PUBLIC else part
        if key not in self.loaded:
            data, processes = self.run.folders.data, WORKERS if self.profile.real else 1
            self.loaded[key] = load_videos(self.profile, key, data, processes)
        return self.loaded[key]

    def items(self, split: str) -> ActionClips:
        spec: ActionSpec = self.run.spec
        trained, tested = TRAINED[spec.split], (spec.tested,)
        if split == "test":
            self.notes = tuple(note for part in trained + tested for note in self.videos(part).notes(part))
        parts = {"train": trained, "val": ("val",), "test": tested}[split]
        return ActionClips(self.videos(parts[0]), parts, self.clips.classes, training=split == "train")


class ActionEvaluator:
    """Mean average precision as in Charades_v1_classify.m, which comes with the annotations.

    The average precision of a class is the mean, over the videos that have it, of the precision among those
    ranked as high or higher: scikit-learn's `average_precision_score`, which differs only among videos of
    equal scores. The mean is over the classes. The official evaluation ranks videos without actions behind
    all others, so that they never count; here they are not tested.
    """

    def __init__(self, over_views: str) -> None:
        self.over_views = over_views

    def begin(self, dataset: Any, views: int) -> None:
        self.views = views
        self.items: list[tuple[Tensor, Tensor]] = []  # scores (classes,) and labels (classes,), a video

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Scores of all views of some videos and their labels, both (videos views, classes)."""
        by_view = outputs.double().sigmoid()  # of doubles no two are 1 that differed before
        scores = by_view.unflatten(0, (-1, self.views))  # (videos, views, classes)
        joined = scores.amax(1) if self.over_views == "max" else scores.mean(1)  # (videos, classes)
        self.items += zip(joined.cpu(), targets[:: self.views].cpu(), strict=True)

    def collected(self) -> tuple[Floats, Bools]:
        """Scores and labels from all processes, (videos, classes) both, in the order of the videos."""
        scores, labels = zip(*in_order(self.items), strict=True)
        return torch.stack(scores).numpy(), torch.stack(labels).numpy().astype(np.bool_)

    def compute(self) -> Result:
        """Without a metric where the labels are held back."""
        scores, labels = self.collected()
        metrics = {"map": mean_average_precision(scores, labels)} if labels.any() else {}
        return Result(metrics=metrics, tested=len(scores), views=self.views)


class ActionClassifier(VideoClassifier):
    """A video net with a sigmoid a class; labels are (B, classes) of 0 and 1."""

    evaluator: ActionEvaluator
    data_module: ClassVar[type[RunData]] = ActionData
    curve_measure: ClassVar[str] = "map"

    def __init__(self, spec: ActionSpec, profile: Profile, devices: int = 1) -> None:
        super().__init__(spec.parent, profile, devices)
        self.net.window = sys.maxsize

    def make_evaluator(self) -> Evaluator:
        return ActionEvaluator(actions_of(self.profile).over_views)

    def criterion(self, scores: Tensor, labels: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(scores, labels)  # mean over clips and classes

    def on_test_epoch_end(self) -> None:
        """Write the scores, lines such as "YSKX3 0.012 0.4 ...", before anything else can fail."""
        data: ActionData = self.trainer.datamodule  # type: ignore[attr-defined]
        scores, _ = self.evaluator.collected()
        if self.trainer.is_global_zero and not data.at_most:
            lines = pd.DataFrame(scores, index=data.items("test").ids)
            write_atomic(data.scores, lines.to_csv(sep=" ", header=False, float_format="%.9g"))
        super().on_test_epoch_end()
        if self.result and not self.result.metrics:
            where = "" if data.at_most else f"; the scores for the challenge's server are in {data.scores}"
            note = f"the labels of the test are held back, so there is no mAP{where}"
            self.result = replace(self.result, notes=(*self.result.notes, note))

    def start(self, run: Run) -> dict[str, str]:
        """All but the last layer, whose classes are others."""
        if parent := run.parent:
            self.fresh = start_from_parent(self.net, run, parent, classifier=False)
            return {}
        path = given_start(run.spec.parent, run.profile)
        self.fresh = start_from_file(self.net, path, classifier=False)
        return {"start": start_name(path)}


def mean_average_precision(scores: Floats, labels: Bools) -> float:
    """Percent, (videos, classes) twice, over the classes that some video has; the official one is NaN if one
    has none.

    Raises:
        FloatingPointError: a score is infinite or not a number.
    """
    if not np.isfinite(scores).all():
        raise FloatingPointError("a score of a tested video was no finite number")
    used = labels.any(0)  # (classes,)
    by_class = average_precision_score(labels[:, used], scores[:, used], average=None)  # (classes,)
    return round(100 * float(np.mean(by_class)), 4)


def scores_path(run: Run) -> Path:
    """The scores of the tested videos, as Charades' own evaluation reads them."""
    return run.folder / f"scores-{run.fingerprint}.txt"
