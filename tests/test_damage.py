"""Damaged and stray files: each is told in one line that says what is wrong and what to do, and stops nothing else."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from attempts import cut_off_at
from conftest import evaluation

from ablations.__main__ import main
from ablations.registry import TABLES
from nlrepro import evaluation as evaluations
from nlrepro import record as records
from nlrepro.config import Profile
from nlrepro.data.generate import make
from nlrepro.data.videos import Tree, decoded
from nlrepro.files import BadInput
from nlrepro.spec import RunSpec
from nlrepro.sweep.jobs import Job
from nlrepro.sweep.launch import sweep
from nlrepro.sweep.slurm import queue
from nlrepro.sweep.status import FAILED, QUEUED, failure, queued, state
from nlrepro.train.runner import execute
from nlrepro.trial import Folders

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


def half_zeroed(path: Path) -> None:
    """What a bad disk gives: as long as it was, and readable."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))


def short_and_long(results: Path, data: Path, smoke: Profile) -> tuple[Job, Job]:
    """A run, and one that starts from it."""
    folders = Folders(data=data, results=results)
    return TABLES.job(C2D, 0, smoke, folders), TABLES.job(f"{C2D}-long", 0, smoke, folders)


@pytest.mark.parametrize("how", ["cut off", "empty", "garbage", "half zeroed", "of another net"])
def test_a_damaged_net_of_a_parent_is_told_and_made_anew(
    results: Path, data: Path, smoke: Profile, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    short, long = short_and_long(results, data, smoke)
    net, good = short.run.weights, short.run.weights.read_bytes()
    long.run.record_path.unlink()
    if how == "half zeroed":
        half_zeroed(net)
    elif how == "of another net":
        shutil.copy(TABLES.job("r101-c2d", 0, smoke, Folders(results=results)).run.weights, net)
    else:
        net.write_bytes({"cut off": good[:5000], "empty": b"", "garbage": b"PK\x03\x04" * 500}[how])
    assert short.run.finished() is None
    with pytest.raises(BadInput, match=rf"^{C2D}-long starts from {C2D}: the net {net} is damaged: .*; `sweep` makes it anew$"):
        execute(long)
    if how != "half zeroed":  # a run takes long: once is enough
        return
    capfd.readouterr()
    sweep([short, long], 1)
    out = capfd.readouterr().out
    assert out.count(f"the net {net} is damaged") == 1
    assert "2 runs: 0 recorded, 2 to do" in out
    assert net.read_bytes() == good
    assert long.run.finished()


@pytest.mark.parametrize(
    "lacks", ["curve", "random", "state_dict", "callbacks", "loops", "all but itself", "its half", "its net"]
)
def test_a_damaged_checkpoint_is_told_and_the_run_begins_anew(
    swept: Path, data: Path, smoke: Profile, tmp_path: Path, lacks: str, capfd: pytest.CaptureFixture[str]
) -> None:
    short, _ = short_and_long(tmp_path, data, smoke)
    with pytest.raises(RuntimeError, match="the power is gone"):
        execute(replace(short, build=partial(cut_off_at(3), short.run.spec)))
    path = short.run.checkpoint
    state = torch.load(path, weights_only=True)
    if lacks == "its half":
        half_zeroed(path)
    elif lacks == "all but itself":
        torch.save([1, 2], path)
    else:
        other = {"state_dict": {"net.fc.bias": torch.zeros(2)}} if lacks == "its net" else {}
        torch.save({name: value for name, value in state.items() if name != lacks} | other, path)
    capfd.readouterr()
    found = execute(short)
    out = capfd.readouterr().out
    assert f"the checkpoint {path} is damaged" in out
    assert " from step 0 of 4" in out
    expected = records.read(records.record_path(swept, "smoke", C2D, 0))
    assert (found.metrics, found.curve) == (expected.metrics, expected.curve)


@pytest.mark.parametrize("how", ["cut off", "empty", "garbage", "half zeroed", "another's"])
def test_a_damaged_cache_is_told_and_decoded_again(
    data: Path, smoke: Profile, tmp_path: Path, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    tree = Tree.index(data / "smoke" / "val", 6)
    first = decoded(tree, smoke.data, tmp_path).copy()
    (path,) = tmp_path.glob("*.npy")
    good = path.read_bytes()
    if how == "half zeroed":
        half_zeroed(path)
    elif how == "another's":
        decoded(Tree.index(data / "smoke" / "test", 6), smoke.data, tmp_path)
        shutil.copy(next(tmp_path.glob("smoke-test-*.npy")), path)
    else:
        path.write_bytes({"cut off": good[:5000], "empty": b"", "garbage": b"\x93NUMPY\x01\x00garbage" * 9}[how])
    capfd.readouterr()
    assert np.array_equal(decoded(tree, smoke.data, tmp_path), first)
    assert f"{path} is damaged or of an earlier version; its videos are decoded again" in capfd.readouterr().out
    assert path.read_bytes() == good


def test_a_tree_that_lacks_a_generated_video_or_has_another_trains_nothing(
    data: Path, smoke: Profile, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data / "smoke", tmp_path / "data" / "smoke")
    folder = tmp_path / "data" / "smoke" / "train"
    victim = sorted(folder.glob("*/*.mp4"))[5]
    where = (*SMOKE, "--data", tmp_path / "data", "--results", tmp_path / "results")
    commands = (("run", C2D, *where), ("sweep", "2a", "--seeds", "0", "--jobs", "1", *where))
    stray = victim.with_name("abc.mp4")
    shutil.copy(victim, stray)
    for words in commands:
        status, lines = say(capfd, *words)
        assert (status, lines[-1]) == (
            2,
            f"error: {folder} holds {stray.relative_to(folder)}, which is no generated video; remove it",
        )
    stray.unlink()
    victim.unlink()
    for words in commands:
        status, lines = say(capfd, *words)
        assert status == 2
        assert f"{folder} has 31 videos where the profile's generator says 32; `data make` makes what is missing" in lines[-1]
    assert not list((tmp_path / "results").rglob("*.json"))


def test_making_videos_repairs_damaged_ones(smoke: Profile, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert smoke.generator
    few = replace(smoke.generator, videos={"val": 6})
    make(few, tmp_path, 1)
    paths = sorted((tmp_path / "val").glob("*/*.mp4"))
    good = [path.read_bytes() for path in paths]
    for number, content in enumerate((good[0][:-20] + bytes(20), good[1][:200], b"", b"garbage")):
        paths[number].write_bytes(content)
    capfd.readouterr()
    make(few, tmp_path, 1)
    assert [path.read_bytes() for path in paths] == good
    assert f"4 of the videos in {tmp_path} are damaged and made anew" in capfd.readouterr().out
    (tmp_path / "checksums.json").write_bytes(b"garbage")  # of earlier versions there is none: videos are decoded
    paths[0].write_bytes(good[0][:200])
    make(few, tmp_path, 1)
    assert [path.read_bytes() for path in paths] == good
    before = {path: path.stat().st_mtime_ns for path in paths}
    make(few, tmp_path, 1)
    assert {path: path.stat().st_mtime_ns for path in paths} == before
