"""`VideoClassifier`: a video net that gives each video one class (Table 2), its data and its evaluator."""

from collections.abc import Sequence
from itertools import islice, product
from math import nan
from typing import Any, ClassVar, get_args

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, distributed
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn
from torchmetrics import MeanMetric

from nlrepro.config import Clips, Profile, VideoKind
from nlrepro.data.clips import MIDDLE, CachedClips, Crop, FileClips, Tree, decoded, view_crops, view_starts
from nlrepro.data.order import WORKERS, ClipTrainSampler, Loader, eval_clips
from nlrepro.data.splits import open_split
from nlrepro.data.synthetic.card_videos import kind_of
from nlrepro.files import BadInput
from nlrepro.learners.learner import Evaluator, Learner, Result, RunData, in_order
from nlrepro.nets.resnet import VideoResNet
from nlrepro.nets.weights import imagenet_file, pretrained, start_from, start_from_file, start_name
from nlrepro.run import Run
from nlrepro.spec import RunSpec
from nlrepro.task import given_start

Batch = tuple[Tensor, Tensor]  # clips (B, T, H, W, 3) uint8, labels (B,)
TEST_PIXELS = 100 * 32**2  # of the frames of a batch of generated clips; changes nothing but speed


class VideoData(RunData):
    """The videos of a run. Of a real split those that `data check` found usable."""

    @property
    def clips(self) -> Clips:
        return self.profile.clips[self.run.spec.recipe]

    @property
    def workers(self) -> int:
        return WORKERS if self.profile.real else 0

    def items(self, split: str) -> Any:
        """The items of "train", "val" or "test"."""
        profile, name, cache = self.profile, getattr(self.clips, split), self.run.folders.data / "cache"
        root, classes, real = self.run.root, self.clips.classes, profile.real
        if real:
            self.notes = profile.anchors
            tree, facts, self.listed = open_split(
                root, name, cache, None if profile.dry_run else classes, real
            )
            return FileClips(tree, facts, self.clips, real.sampling if split == "test" else "paper")
        tree = Tree.scan(root / name, classes, profile.generator)
        return CachedClips(tree, self.clips, decoded(tree, profile.data, cache))

    def train_dataloader(self) -> Loader:
        items, profile = self.items("train"), self.profile
        options = {"real": profile.real, "size": profile.data.size, **self.training}
        sampler = ClipTrainSampler(items=len(items), anywhere=self.clips.anywhere, **options)
        return Loader(items, sampler, self.workers)

    def val_dataloader(self) -> Loader:
        """One clip of some videos, in one crop."""
        crops = eval_crops(self.profile)
        return self.eval_loader("val", [MIDDLE], [crops[len(crops) // 2]], self.recipe.validate_videos)

    def test_dataloader(self) -> Loader:
        """All views of all videos."""
        real = self.profile.real
        starts = view_starts(real.sampling if real else "paper", self.profile.data.views)
        return self.eval_loader("test", starts, eval_crops(self.profile), self.at_most)

    def eval_loader(
        self, split: str, starts: Sequence[float], crops: Sequence[Crop | None], at_most: int | None
    ) -> Loader:
        items, batch = self.items(split), 1
        if not self.profile.real:
            batch = max(TEST_PIXELS // self.profile.data.size**2, 1)
        sampler = eval_clips(len(items), starts, batch, at_most=at_most, crops=crops, **self.place)
        return Loader(items, sampler, self.workers)


def eval_crops(profile: Profile) -> list[Crop] | list[None]:
    """Of each test clip."""
    return view_crops(profile.real, profile.release) if profile.real else [None]


class RankEvaluator:
    """Top-1 and top-5, by the ranks of the true classes."""

    def __init__(self, averaged: str, device_loss: MeanMetric) -> None:
        self.averaged, self.loss = averaged, device_loss

    def begin(self, dataset: Any, views: int) -> None:
        self.views = views
        videos = dataset.tree.videos if isinstance(dataset, CachedClips) else ()
        self.kinds = [kind_of(video) for video in videos]  # of generated videos
        self.ranks: list[int] = []
        self.right_clips: list[int] = []  # of each video
        self.loss.reset()

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Scores of all views of some videos, (videos views, classes), and their labels, (videos views,)."""
        scores = outputs.unflatten(0, (-1, self.views))  # (videos, views, classes)
        by_view = targets.unflatten(0, (-1, self.views))  # (videos, views)
        probabilities = scores.mean(1).softmax(1) if self.averaged == "scores" else scores.softmax(2).mean(1)
        labels = by_view[:, 0]  # (videos,)
        self.loss.update(F.nll_loss(probabilities.log(), labels), len(labels))
        self.ranks += ranks(probabilities, labels).tolist()
        right = ranks(scores.flatten(0, 1), targets) == 0  # (videos views,)
        self.right_clips += right.unflatten(0, (-1, self.views)).sum(1).tolist()

    def compute(self) -> Result:
        ranks, right, loss = in_order(self.ranks), in_order(self.right_clips), float(self.loss.compute())
        metrics = {f"top{k}": percent(sum(rank < k for rank in ranks), len(ranks)) for k in (1, 5)}
        metrics["loss"] = loss
        if self.views > 1:
            metrics["clip_top1"] = percent(sum(right), len(right) * self.views)
        digits = "".join(str(min(rank, 9)) for rank in ranks)
        by_kind = {kind: "" for kind in get_args(VideoKind) if kind in self.kinds}
        for rank, kind in zip(digits, self.kinds, strict=False):  # no kinds of real videos
            by_kind[kind] += rank
        kinds = by_kind if len(self.kinds) == len(ranks) else {}
        return Result(metrics=metrics, tested=len(ranks), views=self.views, ranks=digits, kinds=kinds)


def ranks(scores: Tensor, labels: Tensor) -> Tensor:
    """How many classes score above the true one, or equal and before it: (B, classes), (B,) -> (B,)."""
    true = scores.gather(1, labels[:, None])  # (B, 1)
    before = torch.arange(scores.shape[1], device=scores.device) < labels[:, None]  # (B, classes)
    return ((scores > true) | ((scores == true) & before)).sum(1)


def percent(count: int, of: int) -> float:
    return round(100 * count / max(of, 1), 4)


class VideoClassifier(Learner):
    """A video net, trained with the cross-entropy of one class a video."""

    data_module: ClassVar[type[RunData]] = VideoData
    curve_measure: ClassVar[str] = "top1"
    deterministic_on_gpu = "warn"  # max pooling in 3D has no exact backward on CUDA

    net: VideoResNet
    mean: Tensor
    std: Tensor

    def __init__(self, spec: RunSpec, profile: Profile, devices: int = 1) -> None:
        super().__init__(profile, profile.recipe(spec.clip, devices))
        self.clips = profile.clips[spec.clip]
        self.views = profile.data.views * len(eval_crops(profile))
        self.released_recipe = profile.real is not None and profile.release
        self.net = VideoResNet(spec.net, profile.geometry, self.clips.classes)
        self.norms = [module for module in self.net.modules() if isinstance(module, _BatchNorm)]
        if self.recipe.frozen_norm:
            for norm in self.norms:
                norm.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(profile.data.mean), persistent=False)  # () or (3,)
        self.register_buffer("std", torch.tensor(profile.data.std), persistent=False)  # () or (3,)
        self.test_loss = MeanMetric(nan_strategy=nan)  # "disable" would ignore weights (torchmetrics 1.9)
        self.evaluator = self.make_evaluator()

    def make_evaluator(self) -> Evaluator:
        real = self.profile.real
        return RankEvaluator(real.averaged if real else "probabilities", self.test_loss)

    def forward(self, clips: Tensor) -> Tensor:
        """Class scores: (B, T, H, W, 3) uint8 -> (B, classes)."""
        x = (clips.float() - self.mean) / self.std  # (B, T, H, W, 3): channels stay last in memory
        scores: Tensor = self.net(x.permute(0, 4, 1, 2, 3))  # (B, classes)
        return scores.float()

    def loss(self, batch: Batch) -> Tensor:
        clips, labels = batch
        if self.recipe.frozen_norm:  # at each step: after a validation Lightning restores the first modes
            for norm in self.norms:
                norm.eval()
        return self.criterion(self(clips), labels)

    def criterion(self, scores: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(scores, labels)

    def evaluate(self, batch: Batch) -> None:
        clips, labels = batch
        self.evaluator.update(self(clips), labels)

    def start(self, run: Run) -> dict[str, str]:
        if parent := run.parent:
            self.fresh = start_from_parent(self.net, run, parent)
            return {}
        if run.profile.start:
            path = given_start(run.spec, run.profile)
            self.fresh = start_from_file(self.net, path)
            return {"start": start_name(path)}
        depth, files = run.spec.net.depth, run.folders.imagenet
        available = files or not run.profile.real or imagenet_file(f"resnet{depth}")[0].is_file()
        if run.profile.dry_run and not available:
            print("dry run without ImageNet weights: it starts from random ones")
            return {}
        state, name = pretrained(depth, run.profile, files)
        self.fresh = start_from(self.net, state)
        return {"start": name}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """As of every learner; the released recipe spares the parameters of normalisation the decay."""
        groups = super().parameter_groups()
        if not self.released_recipe:
            return groups
        of_norms = {id(p) for norm in self.norms for p in norm.parameters()}
        parted = []
        for group, apart in product(groups, (False, True)):
            params = [p for p in group["params"] if (id(p) in of_norms) is apart]
            parted.append(group | {"params": params} | ({"weight_decay": 0.0} if apart else {}))
        return [group for group in parted if group["params"]]

    def after_fit(self, trainer: pl.Trainer, data: Any) -> None:
        """Precise BN, as in the authors' code: statistics of normalisation again, as means over batches."""
        real = self.profile.real
        if real is None or not self.released_recipe or self.recipe.frozen_norm:
            return
        device = trainer.strategy.root_device
        update_bn(islice(data.train_dataloader(), real.precise_batches), self.to(device), device)
        if distributed.is_initialized():
            for norm in self.norms:
                for statistic in (norm.running_mean, norm.running_var):
                    assert statistic is not None
                    distributed.all_reduce(statistic)
                    statistic.div_(distributed.get_world_size())


def start_from_parent(net: torch.nn.Module, run: Run, parent: Run, *, classifier: bool = True) -> list[str]:
    """Copy what fits of a finished run's net, its last layer only with `classifier`; what `start_from` gives.

    Raises:
        BadInput: it has not been trained, or its net is damaged or does not fit.
    """
    if not parent.weights.is_file():
        advice = "use `sweep`, or run it first"
        missing = f"{run.key} starts from {parent.key}, which has no weights at {parent.weights}"
        raise BadInput(f"{missing}; {advice}")
    if damage := parent.damage():
        raise BadInput(f"{run.key} starts from {parent.key}: {damage}")
    return start_from_file(net, parent.weights, classifier=classifier)
