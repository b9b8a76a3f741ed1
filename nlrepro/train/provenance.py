"""When, where and with what a run is made: for its record, and for the log."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_only

from nlrepro.data.decoding import READER
from nlrepro.record import Provenance
from nlrepro.trial import Trial

VERSIONS = ("torch", "torchvision", "pytorch-lightning", READER, "numpy")


@rank_zero_only
def announce(run: Trial[Any], first: int, steps: int) -> None:
    """Print one line when a try begins at step `first`; it stands in the log of a sweep."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    print(f"{now} {platform.node()} process {os.getpid()}: {run.name} from step {first} of {steps}", flush=True)


@rank_zero_only
def tell(*lines: str | None) -> None:
    """Print what is damaged and made anew."""
    for line in filter(None, lines):
        print(line, flush=True)


def processor() -> str:
    """The kind of CPU, and the widest instructions that torch uses: the last digits of sums depend on them.

    Clouds give several kinds one name: on Linux the vendor's number of the model tells them apart.
    """
    file = Path("/proc/cpuinfo")
    told = dict(re.findall(r"^(model name|model)\s*: (.+)$", file.read_text(), re.MULTILINE)) if file.is_file() else {}
    name = told.get("model name") or platform.processor() or platform.machine()
    number = f"model {told['model']}, " if "model" in told else ""
    return f"{name} ({number}{torch.backends.cpu.get_cpu_capability()})"


def provenance(seconds: float, device: torch.device | None = None, start: Mapping[str, str] = MappingProxyType({})) -> Provenance:
    """What a record says of a result that was made just now; `start` names pretrained weights (nlrepro/train/start.py)."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    gpu = torch.cuda.get_device_name() if device and device.type == "cuda" else None
    return Provenance(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        git=commit,
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONS}, **start},
        device=gpu or f"{processor()}, {os.cpu_count()} cores",
        seconds=round(seconds, 1),
    )
