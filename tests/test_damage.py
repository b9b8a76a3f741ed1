"""Damaged and stray files: each is told in one line that says what is wrong and what to do, and stops nothing else."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from conftest import evaluation

from ablations.__main__ import main
from ablations.registry import TABLES
from nlrepro import evaluation as evaluations
from nlrepro import record as records
from nlrepro.profile import Profile
from nlrepro.run import Folders
from nlrepro.spec import RunSpec
from nlrepro.sweep.slurm import queue
from nlrepro.sweep.status import FAILED, QUEUED, failure, queued, state

SMOKE = ("--profile", "smoke")
C2D = "r50-c2d"
Said = tuple[int, list[str]]


@pytest.fixture
def results(swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what a sweep has left, elsewhere than in the repository, whose results/published is not looked at."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(swept, tmp_path / "results")
    return tmp_path / "results"


def say(capfd: pytest.CaptureFixture[str], *words: str | Path) -> Said:
    """Exit status of a command, and the lines that it prints."""
    capfd.readouterr()
    status = main([str(word) for word in words])
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    return status, (out + err).splitlines()


def damage(path: Path, how: str) -> None:
    """Make a record bad in one of the ways that happen."""
    whole = path.read_bytes()
    if how == "a folder":
        path.unlink()
        path.mkdir()
    elif how == "another seed's":
        shutil.copy(path.with_name("seed1.json"), path)
    elif how == "another key's":
        shutil.copy(path.parents[1] / "r101-c2d" / path.name, path)
    else:
        path.write_bytes({"cut off": whole[:100], "empty": b"", "garbage": b"\x00\xff\x93" * 50, "a number": b"3"}[how])


HOW = ("cut off", "a folder", "another key's")


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_record_is_told_and_left_out(capfd: pytest.CaptureFixture[str], results: Path, how: str) -> None:
    path = records.record_path(results, "smoke", C2D, 0)
    others = [record for record in records.read_all(results, "smoke") if (record.key, record.seed) != (C2D, 0)]
    damage(path, how)
    assert records.read_all(results, "smoke") == others
    status, lines = say(capfd, "list", *SMOKE, "--results", results)
    assert status == 0
    assert [line for line in lines if line.startswith(f"the record {path} is damaged: ") and "remove it; `sweep`" in line]
    (row,) = (line for line in lines if line.startswith(f"{C2D} "))
    assert row.endswith("0 (damaged), 1")


def test_a_report_tells_a_damaged_record_and_goes_on_without(capfd: pytest.CaptureFixture[str], results: Path) -> None:
    path = records.record_path(results, "smoke", C2D, 0)
    damage(path, "cut off")
    status, lines = say(capfd, "report", "2a", *SMOKE, "--results", results)
    assert status == 0
    assert sum(f"the record {path} is damaged" in line for line in lines) == 1
    assert set(pd.read_csv(results / "tables" / "smoke" / "table2a.csv")["seeds"]) == {1}


@pytest.mark.parametrize("how", ["cut off", "another seed's"])
def test_a_sweep_makes_a_damaged_record_anew(
    capfd: pytest.CaptureFixture[str], results: Path, swept: Path, data: Path, how: str
) -> None:
    path = records.record_path(results, "smoke", C2D, 0)
    damage(path, how)
    status, lines = say(capfd, "sweep", "2a", "--seeds", "0,1", "--jobs", "1", *SMOKE, "--data", data, "--results", results)
    assert status == 0
    assert sum(f"the record {path} is damaged" in line for line in lines) == 1
    assert "10 runs: 9 recorded, 1 to do, 1 at a time" in lines
    again, first = (records.read(records.record_path(folder, "smoke", C2D, 0)) for folder in (results, swept))
    assert (again.metrics, again.curve) == (first.metrics, first.curve)


def test_run_makes_a_damaged_record_anew(capfd: pytest.CaptureFixture[str], results: Path, data: Path) -> None:
    path = records.record_path(results, "smoke", C2D, 0)
    damage(path, "empty")
    status, lines = say(capfd, "run", C2D, *SMOKE, "--data", data, "--results", results)
    assert status == 0
    assert sum(f"the record {path} is damaged" in line for line in lines) == 1
    assert records.read(path).seed == 0


def test_a_folder_in_the_place_of_a_record_is_told_before_anything_is_trained(
    capfd: pytest.CaptureFixture[str], results: Path, data: Path
) -> None:
    path = records.record_path(results, "smoke", C2D, 0)
    damage(path, "a folder")
    status, lines = say(capfd, "run", C2D, *SMOKE, "--data", data, "--results", results)
    assert status == 2
    assert lines[-1] == f"error: {path} is a folder; remove it: a record is to lie there"
    assert not any(" from step " in line for line in lines)


@pytest.mark.parametrize("how", HOW)
def test_a_set_with_a_damaged_record_is_not_published(capfd: pytest.CaptureFixture[str], results: Path, how: str) -> None:
    path = records.record_path(results, "smoke", C2D, 0)
    damage(path, how)
    for seeds in ("0,1", "1"):  # it may be one that was not asked for
        status, lines = say(capfd, "publish", "2a", "--seeds", seeds, *SMOKE, "--results", results)
        assert status == 2
        (line,) = lines
        assert line.startswith("error: not published: ")
        assert f"the record {path} is damaged" in line
    assert not Path("results/published").exists()


def test_a_damaged_evaluation_is_told_and_left_out(capfd: pytest.CaptureFixture[str], results: Path, smoke: Profile) -> None:
    good = evaluations.write(evaluation(RunSpec(), smoke, "8x8", "0" * 24), results)
    bad = good.with_name("weights-caffe2-32x2-2024-01-.json")
    for content in (good.read_bytes()[:50], good.read_bytes()):  # the second is whole, but of other weights than its name says
        bad.write_bytes(content)
        assert [found.weights.variant for found in evaluations.read_all(results, "smoke")] == ["8x8"]
        status, lines = say(capfd, "list", *SMOKE, "--results", results)
        assert status == 0
        assert sum(f"the record {bad} is damaged" in line for line in lines) == 1
    status, lines = say(capfd, "publish", "2a", "--seeds", "0,1", *SMOKE, "--results", results)
    assert status == 2
    assert f"the record {bad} is damaged" in lines[-1]


def test_stray_files_and_folders_are_no_records(capfd: pytest.CaptureFixture[str], results: Path) -> None:
    path = records.record_path(results, "smoke", C2D, 0)
    before = say(capfd, "list", *SMOKE, "--results", results)
    for name in ("seed0_old.json", "seed-1.json", "seedx.json", "seed01.json", "notes.json"):
        shutil.copy(path, path.with_name(name))
    (path.parent / "seed0-old").mkdir()
    for name in ("seed0-old", "seed", "seed0 (copy)"):
        (results / "runs" / "smoke" / C2D / name).mkdir()
    assert say(capfd, "list", *SMOKE, "--results", results) == before
    status, lines = say(capfd, "publish", "2a", "--seeds", "0,1", *SMOKE, "--results", results)
    assert status == 0
    assert not any("damaged" in line for line in lines)


@pytest.mark.parametrize("content", [b"", b"\xff\x00garbage", b'{"job": 5}'])
def test_garbage_in_notes_of_a_try_is_survived(
    capfd: pytest.CaptureFixture[str], results: Path, smoke: Profile, content: bytes
) -> None:
    run = TABLES.job(C2D, 7, smoke, Folders(results=results)).run
    run.folder.mkdir()
    (run.folder / QUEUED).write_bytes(content)
    assert queued(run) is None
    assert state(run, queue()).name == "missing"
    (run.folder / FAILED).write_bytes(content)
    status, lines = say(capfd, "list", *SMOKE, "--results", results)
    assert status == 0
    assert [line for line in lines if line.startswith(f"failed: {C2D} seed 7: ")]
    assert failure(run)
