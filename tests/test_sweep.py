"""Sweeps that are killed, that run twice at once, whose runs fail: what comes out is that of one undisturbed sweep."""

import os
import random
import re
import shutil
import time
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attempts
import pytest
import torch
from conftest import child, command, smoke_run

from ablations.registry import TABLES
from nlrepro.config import Profile
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.record import read_records
from nlrepro.run import Folders, Run
from nlrepro.sweep import local
from nlrepro.sweep.local import Scheduler, freest, gpus, sweep
from nlrepro.train.loop import one_line

KILLS = 20
FORMS = tuple(f"r50-c2d-nl-res4-{form}-spacetime" for form in ("gaussian", "dot"))
Undisturbed = tuple[Path, float]  # what one sweep has left, and how many seconds it took


@pytest.fixture(scope="module")
def profile(smoke: Profile) -> Profile:
    return attempts.longer(smoke)


def four(profile: Profile, folders: Folders) -> list[Run]:
    """Three runs of short clips, and one of long clips that starts from the first."""
    runs = [smoke_run(key, folders) for key in ("r50-c2d", *FORMS, "r50-c2d-long")]
    return [replace(run, profile=profile) for run in runs]


@pytest.fixture
def folders(data: Path, tmp_path: Path) -> Folders:
    return Folders(data=data, results=tmp_path / "results")


@pytest.fixture
def runs(profile: Profile, folders: Folders) -> list[Run]:
    return four(profile, folders)


@pytest.fixture(scope="module")
def undisturbed(profile: Profile, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Two sweeps: the first waits for the server's imports and fills the cache of videos."""
    for _ in range(2):
        folders, begun = Folders(data=data, results=tmp_path_factory.mktemp("undisturbed")), time.monotonic()
        attempts.end(attempts.begin(four(profile, folders)), folders.results)
    return folders.results, time.monotonic() - begun


def left_over(results: Path) -> list[str]:
    """Checkpoints, temporary files and marks of failure, which a finished sweep must not leave."""
    kept = {"lock", "log.txt"}
    files = [path for path in results.rglob("*") if path.is_file() and path.suffix not in (".pt", ".json")]
    return [path.name for path in files if path.name not in kept]


@pytest.mark.rare
def test_sweeps_killed_at_random_instants_end_as_if_they_had_not_been(
    profile: Profile, undisturbed: Undisturbed, data: Path, tmp_path: Path
) -> None:
    """Each sweep goes on until it ends or there were enough kills; now all its processes are killed at once, now the first.

    Half of the instants lie anywhere, half soon after a run has begun to train: it takes less time than a process to start.
    """
    (expected, seconds), instants, kills = undisturbed, random.Random(0), 0
    for number in range(KILLS):
        folders, status = Folders(data=data, results=tmp_path / str(number)), None
        while status is None:
            process, soon = attempts.begin(four(profile, folders)), kills % 4 > 1
            if kills < KILLS and soon:
                attempts.wait_for_training(process, folders.results)
            process.join(instants.uniform(0, (0.1 if soon else 0.5) * seconds) if kills < KILLS else None)
            status = process.exitcode
            if status is None:
                (attempts.kill_all if kills % 2 else ForkServerProcess.kill)(process)
                process.join()
                kills += 1
        assert status == 0, (folders.results / "log.txt").read_text()
        assert attempts.outcomes(folders.results, "smoke") == attempts.outcomes(expected, "smoke")
        assert left_over(folders.results) == []
        if kills == KILLS:
            break
    begins = [int(line.split(" from step ")[1].split()[0]) for line in attempts.beginnings(tmp_path)]
    assert {3, 6, 9} & set(begins)  # some went on within a run


@pytest.mark.rare
def test_two_sweeps_at_once_train_nothing_twice(
    runs: list[Run], undisturbed: Undisturbed, folders: Folders
) -> None:
    """The first is killed: the other takes over what it held."""
    both = [attempts.begin(runs, jobs=2) for _ in range(2)]
    both[0].join(0.4 * undisturbed[1])
    attempts.kill_all(both[0])
    both.append(attempts.begin(runs, jobs=2))
    for process in both[1:]:
        attempts.end(process, folders.results)
    assert attempts.outcomes(folders.results, "smoke") == attempts.outcomes(undisturbed[0], "smoke")
    lines = attempts.beginnings(folders.results)
    assert len({line.split(" process ")[1].split(":")[0] for line in lines}) > 1
    assert len(runs) <= len(lines) <= len(runs) + 2  # the two runs of the killed sweep went on
    assert left_over(folders.results) == []


@pytest.mark.rare
@pytest.mark.parametrize(
    ("module", "why"),
    [
        (attempts.NotANumber, "FloatingPointError: the training loss was nan at step"),
        (
            attempts.Broken,
            "FloatingPointError: (a weight was no finite number|the training loss was nan) at step 6",
        ),
        (attempts.Signalled, r"its process was killed \(SIGKILL\), as the system does when memory runs out"),
        (attempts.Terminated, r"its process was asked to end \(SIGTERM\)$"),
        (attempts.Greedy, "tried to allocate"),
    ],
)
def test_a_run_that_fails_is_named_and_the_others_go_on(
    module: type[VideoClassifier], why: str, runs: list[Run], undisturbed: Undisturbed, folders: Folders
) -> None:
    """A loss is looked at once a second: before a slow step's checkpoint, or not."""
    failing = runs[2]  # nothing starts from it
    process = attempts.begin([replace(run, module=module) if run == failing else run for run in runs])
    process.join()
    log = (folders.results / "log.txt").read_text()
    assert process.exitcode == 2, log
    (line,) = (line for line in log.splitlines() if line.startswith(f"  {failing.name}: "))
    assert re.search(why, line)
    assert log.index(f"\n{failing.name}: failed: ") < log.index("\nfailed:\n") < log.index("\nto retry: ")
    assert f"error: 1 of {len(runs)} runs failed" in log
    expected, failed = attempts.outcomes(undisturbed[0], "smoke"), (failing.key, 0)
    assert attempts.outcomes(folders.results, "smoke") == {k: v for k, v in expected.items() if k != failed}
    state, reason = failing.status({})
    assert state == "failed"
    assert re.search(why, reason)
    attempts.end(attempts.begin(runs), folders.results)
    assert attempts.outcomes(folders.results, "smoke") == expected
    assert not list(folders.results.rglob("failed.txt"))


@pytest.mark.rare
def test_a_run_whose_parent_fails_is_not_tried(runs: list[Run], folders: Folders) -> None:
    child = runs[-1]
    process = attempts.begin([replace(runs[0], module=attempts.Greedy), *runs[1:]])
    process.join()
    assert process.exitcode == 2
    log, why = (folders.results / "log.txt").read_text(), "the run that it starts from failed"
    assert (
        log.count(f"  {child.name}: {why}") == log.count(f"\n{child.name}: failed: {why}") == 1
    )  # at the end, at once
    assert log.count(why) == 2
    assert len(read_records(folders.results, "smoke")) == len(runs) - 2


@pytest.mark.rare
def test_a_run_that_was_killed_leaves_one_log_of_wandb_with_all_its_points(
    runs: list[Run], folders: Folders
) -> None:
    process = attempts.begin(runs[:1], WANDB_MODE="offline")
    while not runs[0].checkpoint.is_file():
        assert process.is_alive()
        time.sleep(0.01)
    attempts.kill_all(process)
    process.join()
    attempts.end(attempts.begin(runs[:1], WANDB_MODE="offline"), folders.results)
    assert len(attempts.beginnings(folders.results)) == 2
    (log,) = folders.results.rglob("*.wandb")
    points = attempts.logged(log)
    assert [sum(name in names for names in points) for name in ("val_top1", "test_top1")] == [4, 1]


@pytest.mark.rare
def test_every_run_of_all_tables_is_made_once_whichever_table_asks_first(data: Path, tmp_path: Path) -> None:
    """As a row of 2f, and as what a row of 2g starts from; then the sweep of all tables leaves it alone."""
    where = ("--profile", "smoke", "--seeds", "0", "--data", data, "--results")
    outcomes = []
    for table, only in (("2f", "r50-i3d-3x1x1"), ("2g", "r50-i3d-3x1x1-long")):
        done = child("sweep", table, "--only", only, *where, tmp_path / table)
        assert done.status == 0, done.err
        outcomes.append(attempts.outcomes(tmp_path / table, "smoke")["r50-i3d-3x1x1", 0])
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0].tables == TABLES.tables_of("r50-i3d-3x1x1") != ()
    done = child("sweep", "all", *where, tmp_path / "2f")
    runs = TABLES.complete(TABLES.runs(["all"], [0], "smoke", Folders(data=data, results=tmp_path / "2f")))
    assert done.status == 0, done.err
    assert f"{len(runs)} runs: 1 recorded, {len(runs) - 1} to do" in done.out
    assert all(run.finished() for run in runs)
    listed = command("list", *where[:2], *where[4:], tmp_path / "2f").out
    assert f"\n{len(runs)} done, 0 running, 0 queued, 0 stopped, 0 failed, 0 stale\n" in listed


@pytest.fixture
def recorded(swept: Path, data: Path, tmp_path: Path) -> Run:
    for kind in ("records", "runs"):
        shutil.copytree(swept / kind / "smoke" / "r50-c2d", tmp_path / kind / "smoke" / "r50-c2d")
    return smoke_run("r50-c2d", Folders(data=data, results=tmp_path))


def test_a_recorded_run_has_not_failed_however_its_process_ended(recorded: Run) -> None:
    """Status 255 is multiprocessing's when the server of the processes was killed, whatever these did."""
    scheduler = Scheduler([recorded], 1, None)
    pipe, other = Pipe(duplex=False)
    other.close()
    ended: Any = SimpleNamespace(
        run=recorded,
        pipe=pipe,
        step=0,
        receive=lambda: False,
        busy=False,
        failure="its process ended with status 255",
    )
    scheduler.waiting, scheduler.workers = [], [ended]
    scheduler.receive()
    assert (scheduler.failures, scheduler.workers, recorded.failure()) == ({}, [], None)


def test_a_line_says_what_another_sweep_has_recorded(
    recorded: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[Run] = []
    scheduler = Scheduler([recorded], 1, done.append)
    scheduler.go()
    record = recorded.finished()
    assert record
    lines = capsys.readouterr().err.splitlines()
    took = f"took 00:{int(record.made.seconds):02d}"
    assert f"{recorded.name}: done, {record.headline}, {took}, in another sweep" in lines
    assert " 4/4 " in lines[-1]  # steps
    assert done == [recorded]


def test_a_note_of_failure_does_not_outlive_a_success(recorded: Run) -> None:
    recorded.mark_failed("written by another sweep, after the success")
    sweep([recorded], 1)
    assert recorded.failure() is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "MemoryError"),
        (ValueError(" a\n b "), "ValueError: a b"),
        (KeyError("a"), "KeyError: 'a'"),
    ],
)
def test_a_reason_is_one_line_and_does_not_end_in_a_colon(error: Exception, words: str) -> None:
    assert one_line(error) == words


@pytest.mark.rare
def test_a_run_s_folder_that_cannot_be_written_is_the_cause(data: Path, tmp_path: Path) -> None:
    run = smoke_run("r50-c2d", Folders(data=data, results=tmp_path))
    run.folder.parent.parent.mkdir(parents=True)
    run.folder.parent.write_text("a file")  # root may write everywhere else
    process = attempts.begin([run])
    process.join()
    assert process.exitcode == 2
    log = (tmp_path / "log.txt").read_text()
    assert "Traceback" not in log
    assert (
        f"\n  {run.name}: cannot write {run.folder}: Not a directory; check the permissions of the folder above"
        in log
    )


def test_runs_at_once_are_spread_over_the_gpus_and_each_sees_its_own(
    swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    for named, expected in (
        (None, ["0", "1", "2"]),
        ("5,7,GPU-3", ["5", "7", "GPU-3"]),
        ("", ["0", "1", "2"]),
    ):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if named is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        assert gpus() == expected
    taken = [((), "0"), (("0",), "1"), (("0", "1", "1"), "0")]
    assert [freest(["0", "1"], list(others)) for others, _ in taken] == [gpu for _, gpu in taken]
    assert freest([], []) is None
    monkeypatch.setattr(local, "die_with_parent", lambda: None)  # this process stays
    monkeypatch.setattr(local.signal, "signal", lambda *_: None)
    visible: list[str] = []
    monkeypatch.setattr(local, "train", lambda *_, **__: visible.append(os.environ["CUDA_VISIBLE_DEVICES"]))
    local.work(smoke_run("r50-c2d", Folders(results=swept)), Pipe()[1], "2")
    assert visible == ["2"]
