"""What all benches need: median times of calls in turn, public code, and files of results."""

import importlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import median
from types import ModuleType

import pandas as pd
import torch

from nlrepro.files import write_atomic
from nlrepro.train.loop import processor

OWN = "nlrepro"  # this project's code in tables
REPEATS = 5


@dataclass(frozen=True, kw_only=True)
class Timings:
    """The outcome of a bench: all measured values, and the table to read."""

    libraries: tuple[str, ...]  # that it depends on; the first one's version is part of the file names
    caption: str
    rows: pd.DataFrame
    table: pd.DataFrame


def in_turn(calls: Mapping[str, Callable[[], object]], device: str = "cpu") -> dict[str, float]:
    """Median seconds of each call: processor time, which others lengthen little; with a GPU, elapsed time.

    Calls take turns, A B C A B C ..., so that a change of the machine's speed affects all of them alike. The
    first time is a warm-up.
    """
    clock = time.perf_counter if device == "cuda" else time.process_time
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(1 + REPEATS):
        for name, call in calls.items():
            start = clock()
            call()
            times[name].append(clock() - start)
    return {name: median(seconds[1:]) for name, seconds in times.items()}


@cache
def import_public(folder: Path, module: str) -> ModuleType | None:
    """A module of public code in a folder; None, with a message, if it or what it imports is missing."""
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(module)
    except ImportError as error:
        print(f"{module} of {folder} is skipped: {error}", file=sys.stderr)
        return None
    finally:
        sys.path.remove(str(folder))


def write(what: str, result: Timings, folder: Path, rivals: Path | None, device: str) -> Path:
    """Write <what>-<device>-<library><version>: all rows as .csv, the table as .md, which is returned."""
    versions = [f"{name} {importlib.import_module(name).__version__}" for name in result.libraries]
    place, machine = f"{processor()}, 1 thread of {os.cpu_count()} cores", f"{platform.machine()}-1thread"
    if device == "cuda":
        place = machine = torch.cuda.get_device_name()
    public = [git.parent for git in sorted(rivals.glob("*/.git"))] if rivals else []
    commits = [f"{checkout.name or OWN} at {commit(checkout)}" for checkout in (Path(), *public)]
    made = "; ".join([f"{datetime.now(UTC):%Y-%m-%d}", place, *versions, *commits])
    name = f"{what}-{machine.replace(' ', '-')}-{versions[0].replace(' ', '')}"
    table = result.table.astype(object).where(result.table.notna(), "").to_markdown(index=False)
    write_atomic(folder / f"{name}.csv", result.rows.to_csv(index=False))
    write_atomic(folder / f"{name}.md", f"{made}.\n\n{result.caption}\n\n{table}\n")
    return folder / f"{name}.md"


def commit(checkout: Path) -> str:
    """Short name of a checkout's commit."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
