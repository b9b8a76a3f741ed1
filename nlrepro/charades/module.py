"""`ActionClassifier`: Table 2's classifier with a sigmoid a class in place of the softmax, as a video may show several actions.

The authors have not released what they did on Charades, and the paper (section 5.2) does not say all of it. Our readings: a test
takes ten clips, in three crops, and the highest score of a class over all of them counts. That is what their later code for
Charades does (`ENSEMBLE_METHOD: max` of facebookresearch/SlowFast, configs/Charades; `aggregate_predictions_from_clips` of
facebookresearch/video-long-term-feature-banks). Test frames are larger than training crops, and the net takes the mean over all
positions of the larger maps, where Table 2's released test averages softmax scores of windows.
"""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nlrepro.beyond.outcome import Score
from nlrepro.charades.precision import Bools, Floats, mean_average_precision
from nlrepro.charades.profile import Profile
from nlrepro.spec import ActionSpec
from nlrepro.train.learner import demand_number
from nlrepro.train.module import Batch, VideoClassifier, in_order


class ActionClassifier(VideoClassifier):
    """A net and its recipe; labels are (B, classes) of 0 and 1."""

    point = Score
    loss = staticmethod(F.binary_cross_entropy_with_logits)  # mean over clips and classes

    def __init__(self, spec: ActionSpec, profile: Profile, devices: int = 1) -> None:
        super().__init__(spec.parent, profile.as_table2, devices)
        self.net.window = sys.maxsize
        self.over_views = profile.over_views
        self.seen: list[tuple[Tensor, Tensor]] = []  # scores (classes,) and labels (classes,), a video

    def validation_step(self, batch: Batch, index: int) -> None:
        clips, labels = batch
        self.see(self(clips).double().sigmoid(), labels)

    def test_step(self, batch: Batch, index: int) -> None:
        """Join the scores of each video's views."""
        clips, labels = batch
        scores = self(clips).double().sigmoid()  # (videos views, classes); of doubles no two are 1 that differed before
        self.see(self.joined(scores.unflatten(0, (-1, self.views))), labels[:: self.views])

    def joined(self, scores: Tensor) -> Tensor:
        """One score a class: (videos, views, classes) -> (videos, classes)."""
        return scores.amax(1) if self.over_views == "max" else scores.mean(1)

    def see(self, scores: Tensor, labels: Tensor) -> None:
        self.seen += zip(scores.cpu(), labels.cpu(), strict=True)

    def all_seen(self) -> tuple[Floats, Bools]:
        """Scores and labels from all processes, (videos, classes) both, in the order of the videos; then forget them."""
        scores, labels = zip(*in_order(self.seen), strict=True)
        self.seen = []
        return torch.stack(scores).numpy(), torch.stack(labels).numpy().astype(np.bool_)

    def on_validation_epoch_end(self) -> None:
        """Add a point to the curve: the training loss since the last point, and the mean average precision now."""
        loss, value = float(self.train_loss.compute()), mean_average_precision(*self.all_seen())
        demand_number(loss, self.global_step)
        self.curve.append(Score(step=self.global_step, train_loss=loss, value=value))
        self.log_dict({"train_loss": loss, "value": value})
        self.train_loss.reset()
