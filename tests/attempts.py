"""Sweeps in processes that tests may kill: forked from a server that has imported everything."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlrepro.config import Profile
from nlrepro.files import BadInput
from nlrepro.learners.classifier import Batch, VideoClassifier
from nlrepro.learners.learner import Learner
from nlrepro.record import Record, read_records
from nlrepro.run import Run
from nlrepro.sweep.local import sweep

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["__main__", "attempts", "nlrepro.train.loop", "wandb"])


def begin(runs: Sequence[Run], jobs: int = 1, **environment: str) -> ForkServerProcess:
    """A sweep that has just begun; what it prints is appended to `log.txt` of the results."""
    process = SERVER.Process(target=attempt, args=(runs, jobs, environment))
    process.start()
    return process


def attempt(runs: Sequence[Run], jobs: int, environment: dict[str, str]) -> None:
    """One sweep as the command line runs it, but in a process group of its own, and its runs forked."""
    os.setpgid(0, 0)
    os.environ.update(environment)
    forked: Any = multiprocessing.get_context("fork")
    forked.set_forkserver_preload = lambda modules: None
    multiprocessing.get_context = lambda method=None: forked  # type: ignore[assignment]
    results = runs[0].folders.results
    results.mkdir(parents=True, exist_ok=True)
    log = (results / "log.txt").open("a")
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    try:
        sweep(runs, jobs)
    except BadInput as error:
        print(f"error: {error}", flush=True)
        sys.exit(2)


def end(process: ForkServerProcess, results: Path) -> None:
    """Wait for a sweep that must end well."""
    process.join()
    assert process.exitcode == 0, (results / "log.txt").read_text()


def strike(process: ForkServerProcess, victim: str = "all", name: str = "SIGKILL") -> None:
    """Send a signal to the "sweep", to its "run", or to "all" at once, as when the power goes."""
    pids, send = [process.pid or 0], os.killpg if victim == "all" else os.kill
    if victim == "run":
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, check=False)
        pids = [int(pid) for pid in children.stdout.split()]
    for pid in pids:
        with suppress(ProcessLookupError):  # it has ended, or the sweep has no group yet
            send(pid, signal.Signals[name])


def wait_for(process: ForkServerProcess, happened: Callable[[], bool]) -> None:
    """Until it has happened, or the sweep has ended."""
    while process.is_alive() and not happened():
        time.sleep(0.01)


def longer(profile: Profile, steps: int = 12, every: int = 3) -> Profile:
    """Runs of `steps` steps, more than an epoch, with a checkpoint after each `every` of them."""

    def longer(recipes: Mapping[Any, Any]) -> dict[Any, Any]:
        return {name: replace(each, steps=steps, validate_every=every) for name, each in recipes.items()}

    detection = profile.detection and replace(profile.detection, recipes=longer(profile.detection.recipes))
    return replace(profile, recipes=longer(profile.recipes), detection=detection)


def lasting(record: Record) -> Record:
    """All of a record but its date, commit and duration."""
    return replace(record, made=replace(record.made, date="", git="", seconds=0.0))


def outcomes(results: Path) -> dict[tuple[str, int | None], tuple[Record, bytes]]:
    """Of each run its record, and the bytes of its weights."""
    outcome = {}
    for record in read_records(results, "smoke"):
        net = results / "runs/smoke" / record.key / f"seed{record.seed}" / f"net-{record.fingerprint}.pt"
        outcome[record.key, record.seed] = (lasting(record), net.read_bytes())
    return outcome


def beginnings(results: Path) -> list[str]:
    """A line for each try of each run."""
    logs = sorted(results.rglob("seed*/log.txt"))
    return [line for log in logs for line in log.read_text().splitlines() if " from step " in line]


def cut_off_at(step: int, base: type[Learner]) -> type[Learner]:
    """Raises RuntimeError instead of taking that step."""

    class CutOff(base):  # type: ignore[misc,valid-type]
        def training_step(self, batch: Any, index: int) -> Tensor:
            if self.global_step == step:
                raise RuntimeError("the power is gone")
            return super().training_step(batch, index)

    return CutOff


class Failing(VideoClassifier):
    """At step 5, just before a checkpoint, it goes wrong as the environment variable FAIL says."""

    def training_step(self, batch: Batch, index: int) -> Tensor:
        loss, how = super().training_step(batch, index), os.environ["FAIL"]
        if self.global_step == 5 and how == "nan":  # its weights too
            return loss * torch.nan
        if self.global_step == 5 and how == "memory":
            return torch.empty(1 << 60)
        if self.global_step == 5:
            os.kill(os.getpid(), signal.Signals[how])
        return loss
