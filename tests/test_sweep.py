"""Sweeps that are killed, run twice at once or fail: what comes out is that of one undisturbed sweep."""

import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from multiprocessing import Pipe
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attempts
import pytest
import torch
from attempts import SIGNALS, Strike, Struck
from conftest import child, command, smoke_run

from ablations.registry import TABLES
from nlrepro.config import Profile
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.record import read_records
from nlrepro.run import Folders, Run, with_parents
from nlrepro.sweep import local
from nlrepro.sweep.local import Scheduler, freest, gpus
from nlrepro.train.pretrain import pretrain

KILLS, STEPS = 20, 12
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
    """Each sweep goes on until it ends or there were enough kills, of all its processes or of the first.

    Half of the instants lie anywhere, half soon after a run has begun to train, which takes less time than
    the start of a process.
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
        (
            attempts.Failing,
            "FloatingPointError: (a weight was no finite number|the training loss was nan) at step 6",
        ),
        (attempts.Killed, r"its process was killed \(SIGKILL\), as the system does when memory runs out"),
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
    assert f"\n{child.name}: failed: {why}" in log  # at once
    assert f"\n  {child.name}: {why}" in log  # at the end
    assert log.count(why) == 2
    assert len(read_records(folders.results, "smoke")) == len(runs) - 2


@pytest.mark.rare
def test_a_run_that_was_killed_leaves_one_log_of_wandb_with_all_its_points(
    runs: list[Run], folders: Folders
) -> None:
    run = replace(runs[0], tables=())
    process = attempts.begin([run], WANDB_MODE="offline")
    while not run.checkpoint.is_file():
        assert process.is_alive()
        time.sleep(0.01)
    attempts.kill_all(process)
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


def family(profile: Profile, folders: Folders) -> list[Run]:
    """A run of short clips and the one of long clips that starts from it, both of which can be struck."""
    long = replace(smoke_run("r50-i3d-3x1x1-long", folders), profile=profile)
    return [replace(run, module=Struck) for run in with_parents([long])]


def strikes() -> Iterator[Strike]:
    """All pairs of signal, victim, moment and kind of run; the steps are drawn."""
    draw = random.Random(0)
    for (s, name), (m, moment) in product(enumerate(SIGNALS), enumerate(("step", "validation", "test"))):
        steps = {"step": draw.randrange(STEPS), "validation": draw.choice((3, 6, 9, STEPS)), "test": STEPS}
        clip, victim = ("short", "long")[(s + m) % 2], ("run", "sweep", "group")[(s + m) % 3]
        yield Strike(clip=clip, moment=moment, step=steps[moment], victim=victim, signal=name)


def struck_sweep(profile: Profile, folders: Folders) -> int | None:
    """Its exit status."""
    process = attempts.begin(family(profile, folders))
    process.join()
    return process.exitcode


@pytest.mark.rare
def test_runs_struck_in_their_midst_end_as_if_they_had_not_been(
    smoke: Profile, data: Path, tmp_path: Path
) -> None:
    """A sweep that was struck is begun again, with the next strike; when both are recorded, elsewhere."""
    profile, calm = attempts.longer(smoke, STEPS, 3), Folders(data=data, results=tmp_path / "calm")
    assert struck_sweep(profile, calm) == 0
    expected = attempts.outcomes(calm.results, "smoke")
    landed, number = Counter[str](), 0
    for strike in strikes():
        folders = Folders(data=data, results=tmp_path / str(number))
        struck = strike.plan(folders.results)
        while not struck.exists():
            if struck_sweep(profile, folders) == 0:  # the run was recorded before its strike, or lived on
                assert attempts.outcomes(folders.results, "smoke") == expected
                number += 1
                folders = Folders(data=data, results=tmp_path / str(number))
                struck = struck if struck.exists() else strike.plan(folders.results)
        landed[f"{strike.clip}, {strike.moment}"] += 1
        landed[f"{strike.victim}, {strike.signal}"] += 1
    folders = Folders(data=data, results=tmp_path / str(number))
    assert struck_sweep(profile, folders) == 0
    assert attempts.outcomes(folders.results, "smoke") == expected
    begins = Counter(line.split(" from ")[1].split(" of ")[0] for line in attempts.beginnings(tmp_path))
    print(*sorted((landed | begins).items()), sep="\n")
    assert len(landed) == 6 + 9
    assert {"step 3", "step 6", "step 9"} & set(begins)  # some went on within a run


@pytest.mark.rare
def test_pretraining_struck_at_any_step_leaves_nothing_and_gives_the_same_net(
    smoke: Profile, tmp_path: Path
) -> None:
    assert smoke.pretraining
    few = replace(smoke, pretraining=replace(smoke.pretraining, steps=4, batch=8, stills=64, bar=0.0))
    pretrain(50, few, tmp_path / "calm.pt")
    out = tmp_path / "struck" / "net.pt"
    for step, name in zip((1, 3, 4), SIGNALS, strict=True):
        process = attempts.SERVER.Process(target=attempts.pretrain_until, args=(few, out, step, name))
        process.start()
        process.join()
        assert process.exitcode != 0
        assert not out.parent.exists() or not os.listdir(out.parent)
    pretrain(50, few, out)
    assert out.read_bytes() == (tmp_path / "calm.pt").read_bytes()
    assert json.loads((tmp_path / "struck" / "net.json").read_text())["sha256"]


def test_a_recorded_run_has_not_failed_however_its_process_ended(swept: Path, data: Path) -> None:
    """Status 255 is multiprocessing's when the server of the processes was killed, whatever these did."""
    run = smoke_run("r50-c2d", Folders(data=data, results=swept))
    scheduler, (pipe, other) = Scheduler([run], 1, None), Pipe(duplex=False)
    other.close()
    ended: Any = SimpleNamespace(
        run=run, pipe=pipe, step=0, receive=lambda: False, busy=False, failure="status 255"
    )
    scheduler.waiting, scheduler.workers = [], [ended]
    scheduler.receive()
    assert (scheduler.failures, scheduler.workers, run.failure()) == ({}, [], None)


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
