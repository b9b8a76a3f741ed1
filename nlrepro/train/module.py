"""`VideoClassifier`: a net with its recipe. Lightning trains it, torchmetrics measures it."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, distributed
from torch.nn.modules.batchnorm import _BatchNorm
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import MulticlassAccuracy

from nlrepro.config import Profile
from nlrepro.data.crops import view_crops
from nlrepro.nets.resnet import VideoResNet
from nlrepro.record import Point
from nlrepro.spec import RunSpec
from nlrepro.train.learner import Learner, demand_number

T = TypeVar("T")
Batch = tuple[Tensor, Tensor]  # clips (B, T, H, W, 3) uint8, labels (B,)


def percent(accuracy: Metric) -> float:
    """An accuracy in percent, without the noise of float32."""
    return round(100 * float(accuracy.compute()), 4)


def in_order(mine: list[T]) -> list[T]:
    """What all processes found out about their test videos, in the order of these (nlrepro/train/sampler.py)."""
    if not distributed.is_initialized():
        return mine
    shares: list[list[T]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(shares, mine)
    found = [item for share in shares for item in share]
    for number, share in enumerate(shares):
        found[number :: len(shares)] = share
    return found


class VideoClassifier(Learner):
    """A net under a profile's recipe for the spec's kind of clip. What it does depends on spec, profile and seed alone.

    Subclasses name the table that asks for it; whichever trains a run, the result is the same.
    """

    point: ClassVar[type] = Point
    loss: Callable[..., Tensor] = staticmethod(F.cross_entropy)  # of scores (B, classes) and labels

    def __init__(self, spec: RunSpec, profile: Profile, devices: int = 1) -> None:
        super().__init__()
        self.run_spec, self.profile = spec, profile
        self.recipe, self.clips = profile.recipe(spec, devices), profile.clips[spec.clip]
        self.views = profile.data.views * (len(view_crops(profile.real, profile.release)) if profile.real else 1)
        self.net: VideoResNet = VideoResNet(spec.net, profile.geometry, self.clips.classes)
        self.norms = [module for module in self.net.modules() if isinstance(module, _BatchNorm)]
        if self.recipe.frozen_norm:
            for norm in self.norms:
                norm.requires_grad_(False)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(profile.data.mean), persistent=False)  # () or (3,)
        self.register_buffer("std", torch.tensor(profile.data.std), persistent=False)  # () or (3,)
        self.val_accuracy = MulticlassAccuracy(self.clips.classes, average="micro")
        self.top1 = MulticlassAccuracy(self.clips.classes, average="micro")
        self.top5 = MulticlassAccuracy(self.clips.classes, top_k=min(5, self.clips.classes), average="micro")
        self.clip_top1 = MulticlassAccuracy(self.clips.classes, average="micro")  # of single views
        self.train_loss, self.test_loss = MeanMetric(nan_strategy="disable"), MeanMetric(nan_strategy="disable")
        self.ranks: list[int] = []

    def forward(self, clips: Tensor) -> Tensor:
        """Class scores: (B, T, H, W, 3) uint8 -> (B, classes)."""
        x = (clips.float() - self.mean) / self.std  # (B, T, H, W, 3)
        scores: Tensor = self.net(x.permute(0, 4, 1, 2, 3))  # (B, classes)
        return scores.float()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        clips, labels = batch
        if self.recipe.frozen_norm:
            self.freeze_norms()
        loss = self.loss(self(clips), labels)
        self.train_loss.update(loss.detach())
        return loss

    def freeze_norms(self) -> None:
        """Call it before each step: Lightning does not call `train()` first, and restores all modes after a validation."""
        for norm in self.norms:
            norm.eval()

    def validation_step(self, batch: Batch, index: int) -> None:
        clips, labels = batch
        self.val_accuracy.update(self(clips), labels)

    def on_validation_epoch_end(self) -> None:
        """Add a point to the curve: the training loss since the last point, and the validation accuracy now."""
        values = {"train_loss": float(self.train_loss.compute()), "val_top1": percent(self.val_accuracy)}
        demand_number(values["train_loss"], self.global_step)
        self.curve.append(Point(step=self.global_step, **values))
        self.log_dict(values)
        self.train_loss.reset()
        self.val_accuracy.reset()

    def test_step(self, batch: Batch, index: int) -> None:
        """Average over the views of each video, and compare."""
        clips, labels = batch
        of_views = self(clips)  # (videos views, classes)
        self.clip_top1.update(of_views.softmax(1), labels)
        scores = self.averaged(of_views.unflatten(0, (-1, self.views)))  # (videos, classes)
        truth = labels[:: self.views]  # (videos,)
        self.top1.update(scores, truth)
        self.top5.update(scores, truth)
        self.test_loss.update(F.nll_loss(scores.log(), truth), len(truth))
        true_scores = scores.gather(1, truth[:, None])  # (videos, 1)
        self.ranks += (scores > true_scores).sum(1).tolist()

    def averaged(self, scores: Tensor) -> Tensor:
        """The probabilities of a video's classes: (videos, views, classes) -> (videos, classes)."""
        if self.profile.real and self.profile.real.averaged == "scores":
            return scores.mean(1).softmax(1)
        return scores.softmax(2).mean(1)

    @property
    def nesterov(self) -> bool:
        return self.released_recipe

    @property
    def released_recipe(self) -> bool:
        """Whether training follows the authors' code where it differs from the text."""
        return self.profile.real is not None and self.profile.release

    def groups(self) -> list[dict[str, Any]]:
        """The parameters that train; those of normalisation are a group of their own if the released recipe spares them decay."""
        trained = [p for p in self.net.parameters() if p.requires_grad]
        if not self.released_recipe:
            return [{"params": trained}]
        theirs = {id(p) for norm in self.norms for p in norm.parameters()}
        norms, others = ([p for p in trained if (id(p) in theirs) is apart] for apart in (True, False))
        return [{"params": others}, *([{"params": norms, "weight_decay": 0.0}] if norms else [])]
