"""A run as a value: what it is equal to, where its files are, and which videos it sees."""

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import record

from nlrepro.config import Profile
from nlrepro.data.videos import Tree
from nlrepro.run import Run
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.trial import Folders

LONG = RunSpec(clip="long")


@pytest.fixture
def run(smoke: Profile, tmp_path: Path) -> Run:
    """Of long clips, hence with a parent; each split has one video of each class."""
    for split in ("train", "val", "test"):
        for name in range(smoke.clips["long"].classes):
            video = tmp_path / "data" / smoke.data.root / split / str(name) / "a.mp4"
            video.parent.mkdir(parents=True)
            video.write_bytes(b"video")
    return Run(spec=LONG, profile=smoke, seed=1, folders=Folders(data=tmp_path / "data", results=tmp_path))


def test_runs_are_equal_if_all_that_they_are_made_of_is(run: Run) -> None:
    assert len({run, replace(run)}) == 1
    assert len({run, replace(run, seed=2), replace(run, spec=RunSpec()), replace(run, folders=Folders())}) == 4
    assert run != replace(run, profile=replace(run.profile, dry_run=True))


def test_a_parent_differs_in_its_clips_alone(run: Run) -> None:
    assert run.parent == replace(run, spec=RunSpec())
    assert run.parent.parent is None


def test_files_of_other_settings_have_other_names_and_the_record_has_not(run: Run) -> None:
    other = replace(
        run, profile=replace(run.profile, geometry=replace(run.profile.geometry, width=run.profile.geometry.width + 1))
    )
    assert (other.folder, other.record_path) == (run.folder, run.record_path)
    assert not {other.weights, other.checkpoint} & {run.weights, run.checkpoint}


def test_a_record_is_fresh_if_settings_and_known_videos_are_the_same(run: Run) -> None:
    made = replace(record(run.key, 1, "0"), fingerprint=run.fingerprint)
    assert run.is_fresh(made)
    assert run.is_fresh(replace(made, videos=run.videos))
    assert not run.is_fresh(replace(made, videos="others"))
    assert run.has_settings_of(replace(made, videos="others"))
    assert replace(run, folders=Folders(data=Path("nowhere"))).is_fresh(replace(made, videos="others"))
    assert not run.is_fresh(replace(made, fingerprint="others"))


def test_many_runs_look_at_the_same_videos_once_and_see_when_one_goes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []
    index = Tree.index

    def count(folder: Path, classes: int) -> Tree:
        looked.append(folder)
        return index(folder, classes)

    monkeypatch.setattr(Tree, "index", count)
    runs = [
        replace(run, seed=seed, spec=replace(LONG, net=NetSpec(blocks=blocks))) for seed in (0, 1) for blocks in ("none", "res4")
    ]
    (before,) = {run.videos for run in runs}
    assert len(looked) == 3
    assert before not in (None, run.parent and run.parent.videos)
    next((run.folders.data / run.profile.data.root / "val").rglob("*.mp4")).rename(run.folders.data / "a.mp4")
    assert run.videos not in (None, before)
