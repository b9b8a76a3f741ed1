"""Damaged and stray files: each is named in one line, with what is wrong and what to do."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from attempts import cut_off_at, lasting
from conftest import Finished, command, smoke_run

from nlrepro.files import BadInput
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.record import Record, read_records
from nlrepro.run import FAILED, QUEUED, Folders, Run
from nlrepro.train.loop import train

SMOKE = ("--profile", "smoke")
C2D = "r50-c2d"
pytestmark = pytest.mark.usefixtures("as_in_a_sweep")


@pytest.fixture
def folders(swept: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    """A copy of what a sweep has left, elsewhere than in the repository, which has published results."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(swept, tmp_path / "results")
    return Folders(data=data, results=tmp_path / "results")


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "another seed's":
        shutil.copy(path.with_name("seed1.json"), path)
    elif how == "half zeroed":  # what a bad disk gives: as long as it was, and readable
        path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    else:
        path.write_bytes(content[:100])


@pytest.mark.parametrize("how", ["cut off", "another seed's"])
def test_a_damaged_record_is_named_left_out_and_made_anew(folders: Folders, how: str) -> None:
    run, where = smoke_run(C2D, folders), ("--results", folders.results)
    before, path = run.record(), run.record_path
    others = [record for record in read_records(folders.results, "smoke") if record != before]
    damage(path, how)

    def damages(done: Finished, status: int) -> int:
        assert done.status == status, done.err
        return (done.out + done.err).count(f"the record {path} is damaged: ")

    assert read_records(folders.results, "smoke") == others
    listed = command("list", "2a", *SMOKE, *where)
    assert damages(listed, 0) == 1
    assert f"\n{C2D} " in listed.out
    assert "0 (damaged), 1\n" in listed.out
    for seeds in ("0,1", "1"):  # it may be one that was not asked for
        refused = command("publish", "2a", "--seeds", seeds, *SMOKE, *where)
        assert damages(refused, 2) == 1
        assert refused.err.startswith("error: not published: ")
    assert damages(command("run", C2D, *SMOKE, "--data", folders.data, *where), 0) == 1
    after = run.finished()
    assert before
    assert after
    assert lasting(after) == lasting(before)


def test_a_folder_in_the_place_of_a_record_is_named_before_anything_is_trained(folders: Folders) -> None:
    path = smoke_run(C2D, folders).record_path
    path.unlink()
    path.mkdir()
    done = command("run", C2D, *SMOKE, "--data", folders.data, "--results", folders.results)
    assert done.status == 2
    assert f"error: {path} is a folder; remove it: a record is to lie there" in done.err
    assert " from step " not in done.out


def test_stray_files_and_garbage_in_notes_are_survived(folders: Folders) -> None:
    run, words = smoke_run(C2D, folders), ("list", "2a", *SMOKE, "--results", folders.results)
    before = command(*words)
    for name in ("seed0_old.json", "seed-1.json", "seedx.json", "seed01.json", "notes.json"):
        shutil.copy(run.record_path, run.record_path.with_name(name))
    (run.folder.parent / "seed0-old").mkdir()
    assert command(*words) == before
    tried = replace(run, seed=7)
    tried.folder.mkdir()
    for content in (b"", b"\xff\x00garbage", b'{"job": 5}'):
        (tried.folder / QUEUED).write_bytes(content)
        assert (tried.queued(), tried.status({}).state) == (None, "missing")
        (tried.folder / FAILED).write_bytes(content)
        assert f"\nfailed: {C2D} seed 7: " in command(*words).out
        (tried.folder / FAILED).unlink()


def test_a_damaged_net_of_a_parent_is_named_and_made_anew(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    short, long = (smoke_run(key, folders) for key in (C2D, f"{C2D}-long"))
    net, good = short.weights, short.weights.read_bytes()
    long.record_path.unlink()
    damage(net, "half zeroed")
    assert short.finished() is None
    with pytest.raises(
        BadInput, match=rf"^{C2D}-long starts from {C2D}: the net {net} is damaged: .* is made anew$"
    ):
        train(long)
    capsys.readouterr()
    train(short)
    assert capsys.readouterr().out.count(f"the net {net} is damaged") == 1
    assert net.read_bytes() == good
    train(long)


@pytest.mark.parametrize("lacks", ["curve", "callbacks", "its half", "its net"])
def test_a_damaged_checkpoint_is_named_and_the_run_begins_anew(
    swept: Path, data: Path, tmp_path: Path, lacks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = smoke_run(C2D, Folders(data=data, results=tmp_path))
    with pytest.raises(RuntimeError, match="the power is gone"):
        train(replace(run, module=cut_off_at(3, VideoClassifier)))
    path = run.checkpoint
    if lacks == "its half":
        damage(path, "half zeroed")
    else:
        state = torch.load(path, weights_only=True)
        other = {"state_dict": {"net.fc.bias": torch.zeros(2)}} if lacks == "its net" else {}
        torch.save({name: value for name, value in state.items() if name != lacks} | other, path)
    capsys.readouterr()
    record, expected = train(run), as_swept(run, swept)
    out = capsys.readouterr().out
    assert f"the checkpoint {path} is damaged" in out
    assert " from step 0 of 4" in out
    assert lasting(record) == lasting(expected)


def as_swept(run: Run, swept: Path) -> Record:
    """The record of the run that a sweep has made."""
    record = replace(run, folders=replace(run.folders, results=swept)).finished()
    assert record
    return record
