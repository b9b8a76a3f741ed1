"""The state of an unfinished run, written at each validation, from which the next try goes on.

Lightning saves the net, the optimiser, the schedule and its counters. `Learner` adds the curve and the random
numbers of dropout, `RunCallback` the seconds, devices and data of this try. Order and crop of items are
functions of the step (nlrepro/data/order.py) and need no state.
"""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback

from nlrepro.files import BadInput, write_atomic
from nlrepro.learners.learner import Learner, check_finite
from nlrepro.record import Point


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is."""

    step: int  # done, also by earlier tries
    steps: int
    last: Point | None = None  # of the curve, also of an earlier try
    tested: float | None = None  # the part of the test that is done; None before it


Report = Callable[[Progress], None]


def state_bytes(state: dict[str, Any]) -> bytes:
    """What `torch.save` would write."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints that are written whole or not at all: Lightning copies its own from a temporary folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_atomic(Path(path), state_bytes(checkpoint))


class RunCallback(Callback):
    """Reports progress, stops on a non-finite loss, and counts the seconds of all tries.

    It reports when training begins, after each validation, and about once a second.
    """

    def __init__(self, learner: Learner, report: Report | None, devices: int, data: str | None) -> None:
        self.learner, self.report = learner, report
        self.devices, self.data = devices, data
        self.before, self.begun = 0.0, time.monotonic()
        self.reported = 0.0

    @property
    def seconds(self) -> float:
        """The time that all tries took, without steps that were lost after a checkpoint."""
        return self.before + time.monotonic() - self.begun

    def is_time(self) -> bool:
        """Once a second."""
        before, now = self.reported, time.monotonic()
        self.reported = now if now - before > 1 else before
        return self.reported > before

    def send(self, trainer: pl.Trainer, tested: float | None = None) -> None:
        if self.report:
            last = self.learner.curve[-1] if self.learner.curve else None
            steps = self.learner.recipe.steps
            self.report(Progress(step=trainer.global_step, steps=steps, last=last, tested=tested))

    def on_train_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.send(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        if self.is_time():
            check_finite(float(outputs["loss"]), trainer.global_step)  # waits for the device
            self.send(trainer)

    def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.send(trainer)

    def on_test_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.send(trainer, tested=0.0)

    def on_test_batch_end(
        self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, index: int, *_: Any
    ) -> None:
        if self.is_time():
            self.send(trainer, tested=(index + 1) / trainer.num_test_batches[0])

    def state_dict(self) -> dict[str, Any]:
        parts = self.learner.recipe.accumulate
        return {"seconds": self.seconds, "devices": self.devices, "parts": parts, "data": self.data}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.before = state["seconds"]


def resumable(path: Path, learner: Learner, callback: RunCallback) -> dict[str, Any] | None:
    """The checkpoint that an earlier try left; None without one, or if it is damaged or of other data.

    Raises:
        BadInput: it was made on another number of devices, or of batches in other parts.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        state["curve"], state["random"], state["optimizer_states"], state["loops"]  # a KeyError
        shapes = {name: x.shape for name, x in state["state_dict"].items()}
        before = state["callbacks"]["RunCallback"]
        devices, data, parts = before["devices"], before["data"], before.get("parts", 1)
    except Exception:  # a damaged file can raise anything
        shapes = {}
    if not shapes or shapes != {name: x.shape for name, x in learner.state_dict().items()}:
        print(f"the checkpoint {path} is damaged; the run begins anew", flush=True)
        return None
    if devices != callback.devices:
        advice = "go on with as many, or remove it to begin anew"
        raise BadInput(f"{path} was made on {devices} devices, got {callback.devices}; {advice}")
    if parts != learner.recipe.accumulate:
        advice = "set `accumulate` of the recipe so, or remove it to begin anew"
        now = learner.recipe.accumulate
        raise BadInput(f"{path} was made of batches in {parts} parts, got {now}; {advice}")
    return state if data == callback.data else None
