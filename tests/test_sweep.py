"""Sweeps that are killed, run twice at once or fail: what comes out is that of one undisturbed sweep."""

import os
import random
import re
import time
from dataclasses import replace
from functools import partial
from itertools import count, product
from multiprocessing import Pipe
from pathlib import Path

import attempts
import pytest
import torch
from conftest import child, command, smoke_run

from ablations.registry import TABLES
from nlrepro.config import Profile
from nlrepro.run import Folders, Run
from nlrepro.sweep import local
from nlrepro.sweep.local import Scheduler, freest, gpus

FORMS = tuple(f"r50-c2d-nl-res4-{form}-spacetime" for form in ("gaussian", "dot"))
# whether after a checkpoint, victim, signal
STRIKES = [*product((False, True), ("sweep", "run", "all"), ("SIGKILL", "SIGTERM", "SIGINT"))]
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
    folders, begun = Folders(data=data, results=tmp_path_factory.mktemp("undisturbed")), time.monotonic()
    attempts.end(attempts.begin(four(profile, folders)), folders.results)
    return folders.results, time.monotonic() - begun


def left_over(results: Path) -> list[str]:
    """Checkpoints, temporary files and marks of failure, which a finished sweep must not leave."""
    kept = {"lock", "log.txt"}
    files = [path for path in results.rglob("*") if path.is_file() and path.suffix not in (".pt", ".json")]
    return [path.name for path in files if path.name not in kept]


def goes_on(results: Path, tries: int) -> bool:
    """Whether a run has begun after so many tries, and one can go on from a checkpoint."""
    return len(attempts.beginnings(results)) > tries and any(results.rglob("part-*.ckpt"))


@pytest.mark.rare
def test_sweeps_struck_at_random_instants_end_as_if_they_had_not_been(
    profile: Profile, undisturbed: Undisturbed, data: Path, tmp_path: Path
) -> None:
    """Each is begun again until it ends well. Half of the strikes come anywhere, half after a checkpoint."""
    (expected, seconds), draw = undisturbed, random.Random(0)
    strikes = draw.sample(STRIKES, len(STRIKES))
    for number in count():
        folders, status = Folders(data=data, results=tmp_path / str(number)), None
        while status != 0:
            tries, process = len(attempts.beginnings(folders.results)), attempts.begin(four(profile, folders))
            if strikes and strikes[-1][0]:
                attempts.wait_for(process, partial(goes_on, folders.results, tries))
                process.join(draw.uniform(0, 0.05 * seconds))
            elif strikes:
                process.join(draw.uniform(0, 0.5 * seconds))
            struck = bool(strikes) and process.is_alive()
            if struck:
                attempts.strike(process, *strikes.pop()[1:])
            process.join()
            status = process.exitcode
            assert struck or status == 0, (folders.results / "log.txt").read_text()
        assert attempts.outcomes(folders.results) == attempts.outcomes(expected)
        assert left_over(folders.results) == []
        if not strikes:
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
    attempts.strike(both[0])
    both.append(attempts.begin(runs, jobs=2))
    for process in both[1:]:
        attempts.end(process, folders.results)
    assert attempts.outcomes(folders.results) == attempts.outcomes(undisturbed[0])
    lines = attempts.beginnings(folders.results)
    assert len({line.split(" process ")[1].split(":")[0] for line in lines}) > 1
    assert len(runs) <= len(lines) <= len(runs) + 2  # the two runs of the killed sweep went on
    assert left_over(folders.results) == []


@pytest.mark.rare
@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("nan", "FloatingPointError: (a weight was no finite number|the training loss was nan) at step 6"),
        ("SIGKILL", r"its process was killed \(SIGKILL\), as the system does when memory runs out"),
        ("SIGTERM", r"its process was asked to end \(SIGTERM\)$"),
        ("memory", "tried to allocate"),
    ],
)
def test_a_run_that_fails_is_named_its_child_is_not_tried_and_the_others_go_on(
    how: str, why: str, runs: list[Run], undisturbed: Undisturbed, folders: Folders
) -> None:
    """A loss is looked at once a second: before a slow step's checkpoint, or not."""
    failing, *others, child = runs
    process = attempts.begin([replace(failing, module=attempts.Failing), *others, child], FAIL=how)
    process.join()
    log = (folders.results / "log.txt").read_text()
    assert process.exitcode == 2, log
    (line,) = (line for line in log.splitlines() if line.startswith(f"  {failing.name}: "))
    assert re.search(why, line)
    assert log.index(f"\n{failing.name}: failed: ") < log.index("\nfailed:\n") < log.index("\nto retry: ")
    assert log.count(f"{child.name}: failed: the run that it starts from failed") == 1  # at once
    assert f"\n  {child.name}: the run that it starts from failed" in log  # at the end
    assert f"error: 2 of {len(runs)} runs failed" in log
    expected = attempts.outcomes(undisturbed[0])
    assert attempts.outcomes(folders.results) == {(key, 0): expected[key, 0] for key in FORMS}
    state, reason = failing.status({})
    assert state == "failed"
    assert re.search(why, reason)
    attempts.end(attempts.begin(runs), folders.results)
    assert attempts.outcomes(folders.results) == expected
    assert left_over(folders.results) == []


@pytest.mark.rare
def test_a_run_that_was_killed_leaves_one_log_of_wandb_with_all_its_points(
    runs: list[Run], folders: Folders
) -> None:
    run = replace(runs[0], tables=())
    process = attempts.begin([run], WANDB_MODE="offline")
    attempts.wait_for(process, run.checkpoint.is_file)
    attempts.strike(process)
    process.join()
    attempts.end(attempts.begin([run], WANDB_MODE="offline"), folders.results)
    assert len(attempts.beginnings(folders.results)) == 2
    (log,) = folders.results.rglob("*.wandb")
    content = log.read_bytes()  # a point stands in the history and in the summary
    assert [content.count(name) for name in (b"val_top1", b"test_top1")] == [2 * 4, 2 * 1]


@pytest.mark.rare
def test_every_run_of_all_tables_is_made_once_whichever_table_asks_first(data: Path, tmp_path: Path) -> None:
    """As a row of 2f, and as what a row of 2g starts from; then the sweep of all tables leaves it alone."""
    where = ("--profile", "smoke", "--seeds", "0", "--data", data, "--results")
    outcomes = []
    for table, only in (("2f", "r50-i3d-3x1x1"), ("2g", "r50-i3d-3x1x1-long")):
        done = child("sweep", table, "--only", only, *where, tmp_path / table)
        assert done.status == 0, done.err
        outcomes.append(attempts.outcomes(tmp_path / table)["r50-i3d-3x1x1", 0])
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0].tables == TABLES.tables_of("r50-i3d-3x1x1") != ()
    done = child("sweep", "all", *where, tmp_path / "2f")
    runs = TABLES.complete(TABLES.runs(["all"], [0], "smoke", Folders(data=data, results=tmp_path / "2f")))
    assert done.status == 0, done.err
    assert f"{len(runs)} runs: 1 recorded, {len(runs) - 1} to do" in done.out
    assert all(run.finished() for run in runs)
    listed = command("list", *where[:2], *where[4:], tmp_path / "2f").out
    assert f"\n{len(runs)} done, 0 running, 0 queued, 0 stopped, 0 failed, 0 stale\n" in listed


def test_a_line_says_what_another_sweep_has_recorded(
    swept: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, done = smoke_run("r50-c2d", Folders(data=data, results=swept)), list[Run]()
    Scheduler([run], 1, done.append).go()
    record = run.finished()
    assert record
    lines = capsys.readouterr().err.splitlines()
    took = f"took 00:{int(record.made.seconds):02d}"
    assert f"{run.name}: done, {record.headline}, {took}, in another sweep" in lines
    assert " 4/4 " in lines[-1]  # steps
    assert done == [run]


def test_runs_at_once_are_spread_over_the_gpus_and_each_sees_its_own(
    swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    for named, expected in (("5,7,GPU-3", ["5", "7", "GPU-3"]), ("", ["0", "1", "2"])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        assert gpus() == expected
    assert [freest(["0", "1"], taken) for taken in ([], ["0"], ["0", "1", "1"])] == ["0", "1", "0"]
    assert freest([], []) is None
    monkeypatch.setattr(local, "die_with_parent", lambda: None)  # this process stays
    monkeypatch.setattr(local.signal, "signal", lambda *_: None)
    visible: list[str] = []
    monkeypatch.setattr(local, "train", lambda *_, **__: visible.append(os.environ["CUDA_VISIBLE_DEVICES"]))
    local.work(smoke_run("r50-c2d", Folders(results=swept)), Pipe()[1], "2")
    assert visible == ["2"]
