"""Several runs at once on several GPUs: each has one of its own, and a process sees no other."""

import os
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch

from ablations.registry import TABLES
from nlrepro.config import Profile
from nlrepro.sweep import worker
from nlrepro.sweep.gpus import freest, gpus
from nlrepro.sweep.local import Scheduler
from nlrepro.trial import Folders


@pytest.mark.parametrize(
    ("named", "expected"), [(None, ["0", "1", "2"]), ("5,7,GPU-3", ["5", "7", "GPU-3"]), ("", ["0", "1", "2"])]
)
def test_gpus_are_called_as_cuda_calls_them(named: str | None, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert gpus() == expected


def test_a_run_takes_the_gpu_that_the_fewest_are_on() -> None:
    assert freest(["0", "1"], []) == "0"
    assert freest(["0", "1"], ["0"]) == "1"
    assert freest(["0", "1"], ["0", "1", "1"]) == "0"
    assert freest([], []) is None


class Started:
    """Stands in for multiprocessing's context: its processes only note what they were given."""

    def __init__(self) -> None:
        self.gpus: list[str | None] = []

    def Pipe(self, duplex: bool) -> tuple[Connection, Connection]:  # noqa: N802
        return Pipe(duplex)

    def Process(self, target: object, args: tuple[Any, ...], name: str) -> "Started":  # noqa: N802
        self.gpus.append(args[-1])
        return self

    def start(self) -> None: ...


@pytest.mark.parametrize(("count", "expected"), [(2, ["0", "1", "0"]), (4, ["0", "1", "2"]), (0, [None] * 3)])
def test_runs_at_once_are_spread_over_the_gpus(
    count: int, expected: list[str | None], smoke: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    jobs = TABLES.jobs([TABLES["2a"]], [0], smoke, Folders(results=tmp_path))
    scheduler, started = Scheduler(jobs, 3), Started()
    scheduler.context = started  # type: ignore[assignment]
    scheduler.start_ready()
    assert started.gpus == expected
    del scheduler.running[1]
    scheduler.start_ready()
    assert started.gpus[3] == expected[1]  # that one has become free


def test_a_run_sees_its_gpu_alone(smoke: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    monkeypatch.setattr(worker, "die_with_parent", lambda: None)  # this process stays
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    seen: list[str] = []
    monkeypatch.setattr(worker, "execute", lambda *_, **__: seen.append(os.environ["CUDA_VISIBLE_DEVICES"]))
    (job, *_) = TABLES.jobs([TABLES["2a"]], [0], smoke, Folders(results=tmp_path))
    worker.work(job, Pipe()[1], "2")
    assert seen == ["2"]
