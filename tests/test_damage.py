"""Damaged files: each is named in one line, with what is wrong and what to do."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from attempts import cut_off_at, lasting
from conftest import command, smoke_run

from nlrepro.files import BadInput
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.run import Folders
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


def damage(path: Path) -> None:
    """Zero its second half, as a bad disk does: it is as long as it was, and readable."""
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(len(content) - half))


def test_a_damaged_record_is_named_and_made_anew(folders: Folders) -> None:
    run, where = smoke_run(C2D, folders), ("--results", folders.results)
    before, path = run.finished(), run.record_path
    assert before
    damage(path)
    listed = command("list", "2a", *SMOKE, *where)
    made = command("run", C2D, *SMOKE, "--data", folders.data, *where)
    for done in (listed, made):
        assert done.status == 0, done.err
        assert (done.out + done.err).count(f"the record {path} is damaged: ") == 1
    assert "0 (damaged), 1\n" in listed.out
    after = run.finished()
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


def test_a_damaged_net_of_a_parent_is_named_and_made_anew(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    short, long = (smoke_run(key, folders) for key in (C2D, f"{C2D}-long"))
    net, good = short.weights, short.weights.read_bytes()
    long.record_path.unlink()
    damage(net)
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
        damage(path)
    else:
        state = torch.load(path, weights_only=True)
        other = {"state_dict": {"net.fc.bias": torch.zeros(2)}} if lacks == "its net" else {}
        torch.save({name: value for name, value in state.items() if name != lacks} | other, path)
    capsys.readouterr()
    record, expected = train(run), replace(run, folders=replace(run.folders, results=swept)).finished()
    assert expected
    out = capsys.readouterr().out
    assert f"the checkpoint {path} is damaged" in out
    assert " from step 0 of 4" in out
    assert lasting(record) == lasting(expected)
