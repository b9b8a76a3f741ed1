"""What every net that is trained here has in common: optimiser, schedule, curve, and what its checkpoints hold."""

from dataclasses import astuple, fields
from math import isfinite
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import nn

from nlrepro.config import Recipe


def demand_number(loss: float, step: int) -> None:
    """Refuse a training loss from which no training comes back.

    Raises:
        FloatingPointError: it is infinite or not a number.
    """
    if not isfinite(loss):
        raise FloatingPointError(f"the training loss was {loss} at step {step}")


class Learner(pl.LightningModule):
    """A net under a recipe. `point` is the class of a point of its curve; checkpoints hold its fields in their order."""

    net: nn.Module
    recipe: Recipe
    point: ClassVar[type]

    def __init__(self) -> None:
        super().__init__()
        self.curve: list[Any] = []

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser and its schedule, advanced every step."""
        recipe, optimizer = self.recipe, self.optimizer(self.groups())
        schedule: torch.optim.lr_scheduler.LRScheduler
        if recipe.schedule == "one-cycle":
            rising = recipe.warmup if recipe.warmup * recipe.steps > 1 else 0.0  # of just one step PyTorch divides by zero
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=recipe.steps, pct_start=rising)
        else:
            schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(recipe.milestones))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @property
    def nesterov(self) -> bool:
        """Whether SGD has Nesterov's momentum."""
        return False

    def groups(self) -> list[dict[str, Any]]:
        """The parameters that train."""
        return [{"params": [p for p in self.net.parameters() if p.requires_grad]}]

    def optimizer(self, parameters: Any) -> torch.optim.Optimizer:
        recipe = self.recipe
        if recipe.optimizer == "sgd":
            decay, nesterov = recipe.weight_decay, self.nesterov
            return torch.optim.SGD(parameters, recipe.lr, recipe.momentum, weight_decay=decay, nesterov=nesterov)
        return torch.optim.AdamW(parameters, recipe.lr, weight_decay=recipe.weight_decay, fused=True)

    def points(self, curve: list[tuple[Any, ...]]) -> list[Any]:
        """The points of a curve as checkpoints hold it."""
        names = [field.name for field in fields(self.point)]
        return [self.point(**dict(zip(names, values, strict=True))) for values in curve]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the curve and the random state; broken weights are not saved, as every later try would start from them."""
        if not all(bool(weights.isfinite().all()) for weights in self.net.parameters()):
            raise FloatingPointError(f"a weight was no finite number at step {self.global_step}")
        checkpoint["curve"] = [astuple(point) for point in self.curve]
        checkpoint["random"] = torch.get_rng_state()  # of dropout
        if self.device.type == "cuda":
            checkpoint["random_cuda"] = torch.cuda.get_rng_state(self.device)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.curve = self.points(checkpoint["curve"])
        torch.set_rng_state(checkpoint["random"])
        if "random_cuda" in checkpoint and self.device.type == "cuda":
            torch.cuda.set_rng_state(checkpoint["random_cuda"], self.device)
