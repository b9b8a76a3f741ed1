"""Sweeps in processes that tests may kill: forked from a server that has imported everything."""

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
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
from nlrepro.train.pretrain import pretrain

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")
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


def end(process: ForkServerProcess, results: Path) -> str:
    """Wait for a sweep that must end well; returns what it printed."""
    process.join()
    log = (results / "log.txt").read_text()
    assert process.exitcode == 0, log
    return log


def kill_all(process: ForkServerProcess) -> None:
    """The sweep and its runs at once, as when the power goes."""
    with suppress(ProcessLookupError):  # it has no group yet, hence no runs
        os.killpg(process.pid or 0, signal.SIGKILL)
    process.kill()


def longer(profile: Profile, steps: int = 12, every: int = 3) -> Profile:
    """Runs of `steps` steps, more than an epoch, with a checkpoint after each `every` of them."""

    def longer(recipes: Mapping[Any, Any]) -> dict[Any, Any]:
        return {name: replace(each, steps=steps, validate_every=every) for name, each in recipes.items()}

    detection = profile.detection and replace(profile.detection, recipes=longer(profile.detection.recipes))
    return replace(profile, recipes=longer(profile.recipes), detection=detection)


def lasting(record: Record) -> Record:
    """All of a record but its date, commit and duration."""
    return replace(record, made=replace(record.made, date="", git="", seconds=0.0))


def outcomes(results: Path, profile: str) -> dict[tuple[str, int | None], tuple[Record, bytes]]:
    """Of each run its record, and the bytes of its weights."""
    outcome = {}
    for record in read_records(results, profile):
        net = results / "runs" / profile / record.key / f"seed{record.seed}" / f"net-{record.fingerprint}.pt"
        outcome[record.key, record.seed] = (lasting(record), net.read_bytes())
    return outcome


def beginnings(results: Path) -> list[str]:
    """A line for each try of each run."""
    logs = sorted(results.rglob("seed*/log.txt"))
    return [line for log in logs for line in log.read_text().splitlines() if " from step " in line]


def wait_for_training(process: ForkServerProcess, results: Path) -> None:
    """Until another try has begun, or the sweep has ended."""
    before = len(beginnings(results))
    while process.is_alive() and len(beginnings(results)) == before:
        time.sleep(0.02)


def cut_off_at(step: int, base: type[Learner]) -> type[Learner]:
    """Raises RuntimeError instead of taking that step."""

    class CutOff(base):  # type: ignore[misc,valid-type]
        def training_step(self, batch: Any, index: int) -> Tensor:
            if self.global_step == step:
                raise RuntimeError("the power is gone")
            return super().training_step(batch, index)

    return CutOff


class Failing(VideoClassifier):
    """It goes wrong at step 5, just before a checkpoint."""

    def training_step(self, batch: Batch, index: int) -> Tensor:
        loss = super().training_step(batch, index)
        return self.fail(loss) if self.global_step == 5 else loss

    def fail(self, loss: Tensor) -> Tensor:
        """Its weights become no numbers, which no loss has shown yet."""
        return loss * torch.nan


class Killed(Failing):
    """As Linux does when memory runs out."""

    def fail(self, loss: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        return loss


class Terminated(Failing):
    """Lightning turns this signal into an exception without words."""

    def fail(self, loss: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGTERM)
        return loss


class Greedy(Failing):
    def fail(self, loss: Tensor) -> Tensor:
        return torch.empty(1 << 60)


@dataclass(frozen=True, kw_only=True)
class Strike:
    """A signal that a run sends to itself, its sweep or the whole process group at one moment."""

    clip: str
    moment: str  # "step", "validation" or "test"
    step: int
    victim: str  # "run", "sweep" or "group"
    signal: str

    def plan(self, results: Path) -> Path:
        """Write it for the runs below `results`; returns the path that will be there once it has landed."""
        results.mkdir(parents=True, exist_ok=True)
        (results / "strike.json").write_text(json.dumps(asdict(self)))
        (results / "struck.json").unlink(missing_ok=True)
        return results / "struck.json"

    def land(self) -> None:
        number = signal.Signals[self.signal]
        if self.victim == "group":
            os.killpg(0, number)
        else:
            os.kill(os.getpid() if self.victim == "run" else os.getppid(), number)


class Struck(VideoClassifier):
    """A run that strikes as planned, once."""

    def start(self, run: Run) -> dict[str, str]:
        self.planned = run.folders.results / "strike.json"
        return super().start(run)

    def strike(self, moment: str) -> None:
        if self.planned.exists():
            strike = Strike(**json.loads(self.planned.read_text()))
            if (strike.clip, strike.moment, strike.step) == (self.run_spec.clip, moment, self.global_step):
                self.planned.rename(self.planned.with_name("struck.json"))
                strike.land()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        self.strike("step")
        return super().training_step(batch, index)

    def on_validation_epoch_end(self) -> None:
        self.strike("validation")
        super().on_validation_epoch_end()

    def test_step(self, batch: Batch, index: int) -> None:
        self.strike("test")
        super().test_step(batch, index)


def pretrain_until(profile: Profile, out: Path, step: int, name: str) -> None:
    """Pretraining that strikes itself after so many steps."""

    def strike(done: int) -> None:
        if done == step:
            os.kill(os.getpid(), signal.Signals[name])

    pretrain(50, profile, out, strike)
