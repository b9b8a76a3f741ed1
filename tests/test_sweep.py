"""Sweeps that are killed, that run twice at once, whose runs fail: what comes out is that of one undisturbed sweep."""

import random
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import attempts
import pytest

from ablations.registry import TABLES
from nlrepro import record as records
from nlrepro.config import Profile
from nlrepro.experiments.listing import listing
from nlrepro.experiments.reporting import report
from nlrepro.sweep.jobs import Job, with_parents
from nlrepro.train.module import VideoClassifier
from nlrepro.trial import Folders

pytestmark = pytest.mark.rare
KILLS = 20
Undisturbed = tuple[Path, float]  # what one sweep has left, and how many seconds it took


@pytest.fixture(scope="module")
def profile(smoke: Profile) -> Profile:
    return attempts.longer(smoke)


def four(profile: Profile, folders: Folders) -> list[Job]:
    """Three runs of short clips, the last not of the same form, and one of long clips that starts from the first."""
    short, long = (TABLES.jobs([TABLES[table]], [0], profile, folders) for table in ("2a", "2g"))
    return with_parents([*short[:3], long[0]], TABLES.tables_of)


@pytest.fixture
def jobs(profile: Profile, folders: Folders) -> list[Job]:
    return four(profile, folders)


@pytest.fixture(scope="module")
def undisturbed(profile: Profile, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Two sweeps: the first waits for the server's imports and fills the cache of videos."""
    for _ in range(2):
        folders = Folders(data=data, results=tmp_path_factory.mktemp("undisturbed"))
        begun = time.monotonic()
        process = attempts.begin(four(profile, folders))
        process.join()
        assert process.exitcode == 0, (folders.results / "log.txt").read_text()
    return folders.results, time.monotonic() - begun


@pytest.fixture
def folders(data: Path, tmp_path: Path) -> Folders:
    return Folders(data=data, results=tmp_path / "results")


def left_over(results: Path) -> list[str]:
    """Checkpoints, temporary files and marks of failure, which a finished sweep must not leave."""
    kept = {"lock", "log.txt"}
    files = [path for path in results.rglob("*") if path.is_file() and path.suffix not in (".pt", ".json")]
    return [path.name for path in files if path.name not in kept]


def rounds(tmp_path: Path, data: Path) -> Iterator[Folders]:
    for number in range(KILLS):
        yield Folders(data=data, results=tmp_path / str(number))


def test_sweeps_killed_at_random_instants_end_as_if_they_had_not_been(
    profile: Profile, undisturbed: Undisturbed, data: Path, tmp_path: Path
) -> None:
    """Each sweep goes on until it ends or there were enough kills; now all its processes are killed at once, now the first.

    Half of the instants lie anywhere, half soon after a run has begun to train: it takes less time than a process to start.
    """
    (expected, seconds), instants, kills = undisturbed, random.Random(0), 0
    for folders in rounds(tmp_path, data):
        status = None
        while status is None:
            process = attempts.begin(four(profile, folders))
            if kills < KILLS and kills % 4 > 1:
                attempts.wait_for_training(process, folders.results)
            process.join(instants.uniform(0, (0.1 if kills % 4 > 1 else 0.5) * seconds) if kills < KILLS else None)
            status = process.exitcode
            if status is None:
                (attempts.kill_all if kills % 2 else ForkServerProcess.kill)(process)
                process.join()
                kills += 1
        assert status == 0, (folders.results / "log.txt").read_text()
        assert attempts.outcomes(folders.results, profile) == attempts.outcomes(expected, profile)
        assert left_over(folders.results) == []
        if kills == KILLS:
            break
    again = [int(line.split(" from step ")[1].split()[0]) for line in attempts.beginnings(tmp_path)]
    assert {3, 6, 9} & set(again)  # some went on within a run


def test_two_sweeps_at_once_train_nothing_twice(
    jobs: list[Job], profile: Profile, undisturbed: Undisturbed, folders: Folders
) -> None:
    """The first is killed: the other takes over what it held."""
    both = [attempts.begin(jobs, at_once=2) for _ in range(2)]
    both[0].join(0.4 * undisturbed[1])
    attempts.kill_all(both[0])
    both.append(attempts.begin(jobs, at_once=2))
    for process in both[1:]:
        process.join()
        assert process.exitcode == 0, (folders.results / "log.txt").read_text()
    assert attempts.outcomes(folders.results, profile) == attempts.outcomes(undisturbed[0], profile)
    lines = attempts.beginnings(folders.results)
    assert len({line.split(" process ")[1].split(":")[0] for line in lines}) > 1
    assert len(jobs) <= len(lines) <= len(jobs) + 2  # the two runs of the killed sweep went on
    assert left_over(folders.results) == []


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (attempts.NotANumber, "FloatingPointError: the training loss was nan at step"),
        (attempts.Broken, "FloatingPointError: (a weight was no finite number|the training loss was nan) at step 6"),
        (attempts.Killed, r"its process was killed \(SIGKILL\), as the system does when memory runs out"),
        (attempts.Greedy, "tried to allocate"),
    ],
)
def test_a_run_that_fails_is_told_and_the_others_go_on(
    module: type[VideoClassifier],
    why: str,
    jobs: list[Job],
    profile: Profile,
    undisturbed: Undisturbed,
    folders: Folders,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing = jobs[-2]  # nothing starts from it
    bad = [replace(job, build=partial(module, job.run.spec)) if job == failing else job for job in jobs]
    process = attempts.begin(bad)
    process.join()
    assert process.exitcode == 2
    log = (folders.results / "log.txt").read_text()
    told = [line for line in log.splitlines() if line.startswith(f"  {failing.run.name}: ")]
    assert len(told) == 1
    assert re.search(why, told[0])  # a loss is looked at once a second: before a slow step's checkpoint, or not
    assert "\nto retry: " in log
    at_once = log.index(f" {failing.run.name}: failed: ")
    assert at_once < log.index("\nfailed:\n")
    assert f"error: 1 of {len(jobs)} runs failed" in log
    expected = attempts.outcomes(undisturbed[0], profile)
    failed = (failing.run.key, 0)
    assert attempts.outcomes(folders.results, profile) == {run: outcome for run, outcome in expected.items() if run != failed}
    lines = listing(TABLES, [TABLES["2a"]], profile, folders)
    assert any(line.startswith(f"failed: {failing.run.name}: ") and re.search(why, line) for line in lines)
    report(TABLES, ["2a"], profile, folders)
    capsys.readouterr()
    rows = (folders.results / "tables" / "smoke" / "table2a.csv").read_text().splitlines()
    (row,) = (row for row in rows if f",{failing.run.key}," in row)
    assert "--" in row
    (folders.results / "log.txt").unlink()
    again = attempts.begin(jobs)
    again.join()
    assert again.exitcode == 0, (folders.results / "log.txt").read_text()
    assert attempts.outcomes(folders.results, profile) == expected
    assert not list(folders.results.rglob("failed.txt"))


def test_a_runs_record_is_the_same_whichever_table_was_swept(profile: Profile, data: Path, tmp_path: Path) -> None:
    """As a row of 2f, and as what a row of 2g starts from."""
    found = []
    for table, only in (("2f", "r50-i3d-3x1x1"), ("2g", "r50-i3d-3x1x1-long")):
        folders = Folders(data=data, results=tmp_path / table)
        process = attempts.begin(TABLES.complete([TABLES[table]], [0], profile, folders, only))
        process.join()
        assert process.exitcode == 0, (folders.results / "log.txt").read_text()
        found.append(attempts.outcomes(folders.results, profile)["r50-i3d-3x1x1", 0])
    assert found[0] == found[1]
    assert found[0][0].tables == TABLES.tables_of(found[0][0].spec) != ()


def test_a_run_whose_parent_fails_is_not_tried(jobs: list[Job], profile: Profile, folders: Folders) -> None:
    (long,) = (job for job in jobs if job.run.parent)
    bad = [replace(job, build=partial(attempts.Greedy, job.run.spec)) if job.run == long.run.parent else job for job in jobs]
    process = attempts.begin(bad)
    process.join()
    assert process.exitcode == 2
    log = (folders.results / "log.txt").read_text()
    why = "the run that it starts from failed"
    assert log.count(f"  {long.run.name}: {why}") == log.count(f" {long.run.name}: failed: {why}") == 1  # at the end, at once
    assert log.count(why) == 2
    assert len(records.read_all(folders.results, profile.name)) == len(jobs) - 2


def test_a_run_that_was_killed_leaves_one_log_of_wandb_with_all_its_points(
    jobs: list[Job], profile: Profile, folders: Folders
) -> None:
    first = jobs[0]
    checkpoint = first.run.checkpoint
    process = attempts.begin([first], WANDB_MODE="offline")
    while not checkpoint.is_file():
        assert process.is_alive()
        time.sleep(0.01)
    attempts.kill_all(process)
    process.join()
    again = attempts.begin([first], WANDB_MODE="offline")
    again.join()
    assert again.exitcode == 0, (folders.results / "log.txt").read_text()
    assert len(attempts.beginnings(folders.results)) == 2
    (log,) = folders.results.rglob("*.wandb")
    points = attempts.logged(log)
    assert [sum(name in names for names in points) for name in ("val_top1", "test_top1")] == [4, 1]
