"""The state of an unfinished run, written at each validation. The next try goes on from it as if nothing had happened.

Lightning saves the net, the optimiser, the schedule and its counters. `Learner` adds the curve and the random numbers of
dropout, `Try` what a later try must know of this one. Order and crop of clips are functions of the step
(nlrepro/train/sampler.py) and need no state.
"""

import io
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback

from nlrepro.files import BadInput, write_atomic
from nlrepro.train.intact import flaw
from nlrepro.train.learner import Learner, demand_number
from nlrepro.train.progress import Progress, Report
from nlrepro.train.provenance import tell

HELD: dict[str, type] = {  # by a checkpoint: without one of these no run goes on from it
    "global_step": int,
    "state_dict": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "loops": dict,
    "callbacks": dict,
    "curve": list,
    "random": torch.Tensor,
}


def state_bytes(state: dict[str, Any]) -> bytes:
    """What `torch.save` would write."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def save_atomic(state: dict[str, Any], path: Path) -> None:
    """As `torch.save`, but never half a file."""
    write_atomic(path, state_bytes(state))


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints that are never half there.

    Lightning's own are written to the temporary folder. Its move to another disk is a copy, which can be cut off.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        save_atomic(checkpoint, Path(path))


class Try(Callback):
    """One try of a run: it tells `report` how far it is, and stops if the loss is no number.

    It tells when it begins, so that what an earlier try has reached is known, after each validation, and about once a second.

    Its state is what a later try must know: the seconds that the steps before the checkpoint took, the devices and the videos.
    """

    def __init__(self, classifier: Learner, report: Report, devices: int, videos: str | None) -> None:
        self.classifier, self.report = classifier, report
        self.devices, self.videos = devices, videos
        self.before, self.begun = 0.0, time.monotonic()
        self.told = 0.0
        self.loss: float | None = None

    @property
    def seconds(self) -> float:
        """The time that all tries took, without steps that were lost after a checkpoint."""
        return self.before + time.monotonic() - self.begun

    def is_time(self) -> bool:
        """Once a second."""
        before, now = self.told, time.monotonic()
        self.told = now if now - before > 1 else before
        return self.told > before

    def tell(self, trainer: pl.Trainer, tested: float | None = None) -> None:
        curve, steps = self.classifier.curve, self.classifier.recipe.steps
        last = curve[-1] if curve else None
        self.report(Progress(step=trainer.global_step, steps=steps, loss=self.loss, last=last, tested=tested))

    def on_train_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.tell(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        if self.is_time():
            self.loss = float(outputs["loss"])  # waits for the device: not at each step
            demand_number(self.loss, trainer.global_step)
            self.tell(trainer)

    def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.tell(trainer)

    def on_test_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.tell(trainer, tested=0.0)

    def on_test_batch_end(self, trainer: pl.Trainer, _module: Any, _outputs: Any, _batch: Any, index: int, *_: Any) -> None:
        if self.is_time():
            self.tell(trainer, tested=(index + 1) / trainer.num_test_batches[0])

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "devices": self.devices, "videos": self.videos}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.before = state["seconds"]


def whole_state(path: Path, module: pl.LightningModule) -> dict[str, Any] | None:
    """What a checkpoint of `module` holds; None if it is damaged, lacks anything or is of another net."""
    if flaw(path):
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        good = all(isinstance(state[name], kind) for name, kind in HELD.items())
        shapes = {name: x.shape for name, x in state["state_dict"].items()} if good else {}
    except Exception:  # a damaged file can raise anything
        return None
    return state if shapes == {name: x.shape for name, x in module.state_dict().items()} else None


def earlier(path: Path, module: pl.LightningModule, devices: int, videos: str | None) -> dict[str, Any] | None:
    """The checkpoint that an earlier try of `module` left; None if there is none, it is damaged or of other videos.

    Raises:
        BadInput: it was made on another number of devices, which take other steps.
    """
    if not path.is_file():
        return None
    state = whole_state(path, module)
    if state is None:
        tell(f"the checkpoint {path} is damaged; the run begins anew")
        return None
    of = state["callbacks"].get("Try", {"devices": devices, "videos": videos})  # older ones do not say
    if of["devices"] != devices:
        raise BadInput(
            f"{path} was made on {of['devices']} devices, got {devices}; go on with as many, or remove it to begin anew"
        )
    return state if of["videos"] == videos else None
