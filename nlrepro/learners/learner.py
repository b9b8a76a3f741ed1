"""`Learner`: a net under a recipe. Optimiser, schedule, curve, and what checkpoints hold, for all tasks."""

from abc import abstractmethod
from collections.abc import Collection
from dataclasses import astuple, dataclass, field, replace
from math import isfinite
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import pytorch_lightning as pl
import torch
from torch import Tensor, distributed, nn
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR, OneCycleLR
from torchmetrics import MeanMetric

from nlrepro.config import Profile, Recipe
from nlrepro.files import BadInput
from nlrepro.record import Point
from nlrepro.run import Run

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an evaluator computes of a split; percent, the headline first."""

    metrics: dict[str, float]
    tested: int
    listed: int | None = None
    views: int = 1
    ranks: str = ""
    kinds: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Evaluator(Protocol):
    """Collects the outputs of a net on a split, batch by batch."""

    def begin(self, dataset: Any, views: int) -> None:
        """Forget the last split. Each item of this one comes in so many views, one after the other."""

    def update(self, outputs: Any, targets: Any) -> None: ...
    def compute(self) -> Result:
        """Over all processes, in the order of the split."""


class RunData(pl.LightningDataModule):
    """The three loaders of a run; each gives a process its part. Training goes on from step `first`.

    `at_most` limits the items of the test, for a trial.
    """

    def __init__(self, run: Run, recipe: Recipe, first: int = 0, at_most: int | None = None) -> None:
        super().__init__()
        self.run, self.recipe, self.first, self.at_most = run, recipe, first, at_most
        self.profile = run.profile
        self.folder = run.folder  # of what a test writes besides its record
        self.notes: tuple[str, ...] = ()  # on items that were left out
        self.listed: int | None = None  # items that the split should have, which was opened last, if known

    @property
    def place(self) -> dict[str, Any]:
        """Of this process among those of the run: what samplers need to give it its part."""
        trainer = self.trainer
        return {"rank": trainer.global_rank, "world_size": trainer.world_size} if trainer else {}

    @property
    def training(self) -> dict[str, Any]:
        """What each sampler of training needs to know."""
        return {"recipe": self.recipe, "seed": self.run.seed, "first": self.first, **self.place}


class Learner(pl.LightningModule):
    """A net under a recipe.

    Subclasses are made of spec, profile and number of devices. They build `net` and `evaluator`, give the
    `loss` of a batch and the outputs of the net on one. Whichever subclass trains a run, the result is the
    same: it depends on spec, profile, seed and data alone.
    """

    data_module: ClassVar[type[RunData]]
    curve_measure: ClassVar[str]  # of the validation split, in the curve; logged as val_<measure>
    deterministic_on_gpu: ClassVar[Literal["warn"] | bool] = False

    net: nn.Module
    evaluator: Evaluator
    views = 1  # of an item in a test
    released_recipe = False  # whether training follows the authors' code where it differs from the text
    fresh: Collection[str] = ()  # the names of what `start` left at its initial values

    def __init__(self, profile: Profile, recipe: Recipe) -> None:
        super().__init__()
        self.profile, self.recipe = profile, recipe
        self.curve: list[Point] = []
        self.train_loss = MeanMetric(nan_strategy="disable")
        self.result: Result | None = None  # of the test

    @abstractmethod
    def start(self, run: Run) -> dict[str, str]:
        """Load the weights that the run starts from; returns what a record notes of them.

        Raises:
            BadInput: the parent has not been trained, or weights are missing, damaged or do not fit.
        """

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """The training loss of a batch."""

    @abstractmethod
    def evaluate(self, batch: Any) -> None:
        """Hand the net's outputs on a batch to the evaluator."""

    def after_fit(self, trainer: pl.Trainer, data: Any) -> None:
        """Between training and test."""

    def training_step(self, batch: Any, index: int) -> Tensor:
        loss = self.loss(batch)
        self.train_loss.update(loss.detach())
        return loss

    def on_validation_epoch_start(self) -> None:
        self.evaluator.begin(self.trainer.val_dataloaders.dataset, views=1)  # type: ignore[union-attr]

    def validation_step(self, batch: Any, index: int) -> None:
        self.evaluate(batch)

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Add a point to the curve: the training loss since the last one, and the validation measure."""
        loss = float(self.train_loss.compute())
        value = self.evaluator.compute().metrics.get(self.curve_measure, 0.0)
        check_finite(loss, self.global_step)
        self.curve.append(Point(step=self.global_step, train_loss=loss, value=value))
        self.log_dict(self.logged(self.curve[-1]))
        self.train_loss.reset()

    def logged(self, point: Point) -> dict[str, float]:
        """What dashboards show of a point."""
        return {"train_loss": point.train_loss, f"val_{self.curve_measure}": point.value}

    def on_test_epoch_start(self) -> None:
        self.evaluator.begin(self.trainer.test_dataloaders.dataset, self.views)  # type: ignore[union-attr]

    def on_test_epoch_end(self) -> None:
        """Add to the result what the data module knows of the split.

        Raises:
            BadInput: nothing of the split could be read.
            FloatingPointError: a metric is infinite or not a number.
        """
        data, result = self.trainer.datamodule, self.evaluator.compute()  # type: ignore[attr-defined]
        notes = (*data.notes, *result.notes)
        if not result.tested:
            raise BadInput(f"nothing could be tested: {'; '.join(notes)}; `data check` names what to mend")
        if not all(map(isfinite, result.metrics.values())):
            raise FloatingPointError(f"the test gave {result.metrics}")
        listed = None if data.at_most else data.listed
        self.result = replace(result, listed=listed, notes=notes)

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser and its schedule, advanced every step."""
        recipe, optimizer = self.recipe, self.optimizer(self.parameter_groups())
        schedule: LRScheduler
        if recipe.schedule == "one-cycle":
            rising = recipe.warmup if recipe.warmup * recipe.steps > 1 else 0.0  # PyTorch divides by it
            rates = [group["lr"] for group in optimizer.param_groups]
            schedule = OneCycleLR(optimizer, rates, total_steps=recipe.steps, pct_start=rising)
        else:
            schedule = MultiStepLR(optimizer, list(recipe.milestones))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The parameters that train. Those that the start does not have learn `new_lr` times as fast."""
        new: list[Tensor] = []
        old: list[Tensor] = []
        for name, p in self.net.named_parameters():
            if p.requires_grad:
                (new if name in self.fresh and self.recipe.new_lr != 1 else old).append(p)
        rate = self.recipe.lr * self.recipe.new_lr
        return [{"params": old}, *([{"params": new, "lr": rate}] if new else [])]

    def optimizer(self, groups: Any) -> torch.optim.Optimizer:
        recipe = self.recipe
        fused = recipe.precision == "32-true" or not recipe.clip_norm  # else Lightning refuses to clip
        if recipe.optimizer == "sgd":
            own: dict[str, Any] = {"weight_decay": recipe.weight_decay, "nesterov": self.released_recipe}
            own["fused"] = True if fused and self.device.type == "cuda" else None  # None: PyTorch's choice
            return torch.optim.SGD(groups, recipe.lr, recipe.momentum, **own)
        return torch.optim.AdamW(groups, recipe.lr, weight_decay=recipe.weight_decay, fused=fused)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the curve and the random state. Broken weights are not saved: the next try would load them."""
        if not all(bool(weights.isfinite().all()) for weights in self.net.parameters()):
            raise FloatingPointError(f"a weight was no finite number at step {self.global_step}")
        checkpoint["curve"] = [astuple(point) for point in self.curve]
        checkpoint["random"] = torch.get_rng_state()  # of dropout
        if self.device.type == "cuda":
            checkpoint["random_cuda"] = torch.cuda.get_rng_state(self.device)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.curve = points(checkpoint["curve"])
        torch.set_rng_state(checkpoint["random"])
        if "random_cuda" in checkpoint and self.device.type == "cuda":
            torch.cuda.set_rng_state(checkpoint["random_cuda"], self.device)


def points(curve: list[tuple[Any, ...]]) -> list[Point]:
    """The points of a curve as checkpoints hold it."""
    return [Point(step=step, train_loss=loss, value=value) for step, loss, value in curve]


def check_finite(loss: float, step: int) -> None:
    """Refuse a training loss from which no training comes back.

    Raises:
        FloatingPointError: it is infinite or not a number.
    """
    if not isfinite(loss):
        raise FloatingPointError(f"the training loss was {loss} at step {step}")


def gathered(items: list[T]) -> list[T]:
    """The items of all processes, those of one behind those of another."""
    return [item for share in shares(items) for item in share]


def in_order(items: list[T]) -> list[T]:
    """One item of each video or image from all processes, in the order of the split.

    Process r of n has those of the items r, r + n, ... of it.
    """
    parts = shares(items)
    ordered = [item for share in parts for item in share]
    for number, share in enumerate(parts):
        ordered[number :: len(parts)] = share
    return ordered


def shares(items: list[T]) -> list[list[T]]:
    """The items of each process."""
    if not distributed.is_initialized():
        return [items]
    parts: list[list[T]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(parts, items)
    return parts
