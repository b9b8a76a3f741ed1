"""When, where and with what a run is made: for its record, and for the log."""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from types import MappingProxyType

import pytorch_lightning as pl
import torch
from lightning_utilities.core.rank_zero import rank_zero_only

from nlrepro.record import Made
from nlrepro.spec import RunSpec

VERSIONS = ("torch", "torchvision", "pytorch-lightning", "decord", "numpy")


@rank_zero_only
def announce(spec: RunSpec, seed: int, first: int, steps: int) -> None:
    """A line a try, in the log of a sweep."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    print(f"{now} {platform.node()} process {os.getpid()}: {spec.key} seed {seed} from step {first} of {steps}", flush=True)


def made(seconds: float, trainer: pl.Trainer, start: dict[str, str]) -> Made:
    """When, where and with what; `start` says what a run took from files of pretrained weights."""
    gpu = trainer.strategy.root_device.type == "cuda"
    return here(seconds, start, torch.cuda.get_device_name() if gpu else None)


def here(seconds: float, start: Mapping[str, str] = MappingProxyType({}), device: str | None = None) -> Made:
    """On this machine, its CPU if no device is named."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return Made(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        git=commit,
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONS}, **start},
        device=device or f"{platform.machine()} CPU, {os.cpu_count()} cores",
        seconds=round(seconds, 1),
    )
