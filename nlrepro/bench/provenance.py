"""When, where and with what a bench was run, for its text and its file name."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import torch


def source(rivals: Path | None, device: str, with_what: str) -> str:
    """`with_what`: versions and precision."""
    found = {path.name: commit(path) for path in sorted(rivals.iterdir())} if rivals else {}
    public = ", ".join(f"{name} at {at}" for name, at in found.items() if at) or "no public code"
    place = torch.cuda.get_device_name() if device == "cuda" else f"{processor()}, 1 thread of {os.cpu_count()} cores"
    return f"{datetime.now(UTC):%Y-%m-%d}; {place}; {with_what}; ours at {commit(Path())}; {public}."


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()}-1thread"


def processor() -> str:
    """The CPU's name where Linux tells it, its architecture elsewhere."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def commit(checkout: Path) -> str:
    told = subprocess.run(["git", "-C", checkout, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip()
