"""Clips: trees of videos and their cache, which frames a clip has, how large, and which part of them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from films import film

from nlrepro.config import Clips, Generator, Profile, Real, Sampling
from nlrepro.data import clips as clips_module
from nlrepro.data.clips import (
    SAMPLINGS,
    CachedClips,
    ClipSample,
    Crop,
    FileClips,
    Tree,
    cropped,
    decoded,
    scaled,
    view_crops,
    view_starts,
)
from nlrepro.data.decode import read_generated
from nlrepro.data.facts import Facts, examine
from nlrepro.files import BadInput

REAL = Real(train_sides=(256, 320), test_side=256, devices=8, precise_batches=2)
GOLDEN = Path(__file__).parent / "golden" / "sampling.txt"
LINES = [line for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]


def kind(frames: int, stride: int) -> Clips:
    return Clips(frames=frames, stride=stride, classes=1, anywhere=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four videos of two classes, of 10 frames."""
    folder = tmp_path / "root" / "train"
    for video in ("b/0.mp4", "b/1.mp4", "a/0.mp4", "a/1.mp4"):
        film(folder / video, frames=10, size=(32, 32))
    return folder


def test_a_tree_is_sorted_and_a_wrong_one_is_named(folder: Path, tmp_path: Path) -> None:
    tree = Tree.scan(folder, 2)
    assert tree.classes == ("a", "b")
    assert tree.videos == ("a/0.mp4", "a/1.mp4", "b/0.mp4", "b/1.mp4")
    assert tree.labels == (0, 0, 1, 1)
    with pytest.raises(BadInput, match=r"/train has 2 class folders where the profile says 3"):
        Tree.scan(folder, 3)
    with pytest.raises(BadInput, match=r"no folder .*/nowhere"):
        Tree.scan(tmp_path / "nowhere", 2)
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"no videos in .*/empty"):
        Tree.scan(tmp_path / "empty", 1)


def test_a_generated_tree_has_exactly_the_generators_videos(
    data: Path, smoke: Profile, tmp_path: Path
) -> None:
    generator = smoke.generator
    assert isinstance(generator, Generator)
    videos = Tree.scan(data / "smoke" / "test", 6, generator).videos
    assert len(videos) == generator.videos["test"]
    for video in (*videos[1:], "0/stray.mp4"):
        path = tmp_path / "test" / video
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"video")
    with pytest.raises(BadInput, match=r"test holds 0/stray.mp4, which is no generated video"):
        Tree.scan(tmp_path / "test", 6, generator)
    path.unlink()
    with pytest.raises(BadInput, match=f"test has {len(videos) - 1} of the {len(videos)} videos"):
        Tree.scan(tmp_path / "test", 6, generator)


def test_the_cache_is_made_once_and_anew_when_a_video_changes(
    folder: Path, smoke: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, tree = tmp_path / "cache", Tree.scan(folder, 2)
    first = decoded(tree, smoke.data, cache)
    assert first.shape == (4, 10, 48, 48, 3)
    for i, name in enumerate(tree.videos):
        assert np.array_equal(first[i], read_generated(folder / name, 48, 10))
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0
    with monkeypatch.context() as patch:
        patch.setattr(clips_module, "write_cache", None)  # a second decoding would call it
        assert np.array_equal(decoded(Tree.scan(folder, 2), smoke.data, cache), first)
    film(folder / "a" / "1.mp4", "mpeg4", frames=10, size=(32, 32))
    second = decoded(Tree.scan(folder, 2), smoke.data, cache)
    assert np.array_equal(second[[0, 2, 3]], first[[0, 2, 3]])
    assert not np.array_equal(second[1], first[1])


@pytest.mark.parametrize("damage", ["cut off", "empty", "another's", "without a checksum"])
def test_a_damaged_cache_is_named_and_decoded_anew(
    folder: Path, smoke: Profile, tmp_path: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    tree = Tree.scan(folder, 2)
    first = decoded(tree, smoke.data, tmp_path).copy()
    (path,) = tmp_path.glob("*.npy")
    content = path.read_bytes()
    damaged = {"cut off": content[: len(content) // 2], "empty": b"", "another's": content[:-1] + b"\1"}
    path.write_bytes(damaged.get(damage, content + b"\1\2\3\4"))
    if damage == "without a checksum":  # as earlier versions left them, with four bytes more
        path.with_name(f"{path.name}.sha256").unlink()
    assert np.array_equal(decoded(tree, smoke.data, tmp_path), first)
    assert f"{path} is damaged or of an earlier version" in capfd.readouterr().out
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "make", [lambda path: path.write_bytes(b"text"), lambda path: path.symlink_to("nowhere"), os.mkfifo]
)
def test_a_bad_video_leaves_no_cache(
    folder: Path, smoke: Profile, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    (folder / "b" / "1.mp4").unlink()
    make(folder / "b" / "1.mp4")
    with pytest.raises(BadInput, match=r"b/1.mp4"):
        decoded(Tree.scan(folder, 2), smoke.data, tmp_path / "cache", jobs=2)
    assert list((tmp_path / "cache").glob("[!.]*")) == []


@pytest.mark.parametrize(("frames", "stride"), [(4, 1), (3, 2), (10, 1)])
def test_clips_from_the_cache_are_those_from_files(
    data: Path, smoke: Profile, frames: int, stride: int
) -> None:
    tree, clips = Tree.scan(data / "smoke" / "val", 6), kind(frames, stride)
    crop = Crop(smoke.data.size)
    samples = [ClipSample(video, where, crop) for video in range(4) for where in (0.0, 0.3, 0.5, 1.0)]
    pixels = decoded(tree, smoke.data, data / "cache")
    cached, labels = CachedClips(tree, clips, pixels).__getitems__(samples)
    facts = [examine(tree.folder, video) for video in tree.videos[:4]]
    files, labels_of_files = FileClips(tree, facts, clips).__getitems__(samples)
    assert files.shape == (16, frames, 48, 64, 3)  # with their margin
    assert cached.shape == (16, frames, 48, 48, 3)
    difference = files[:, :, :, :48].int() - cached.int()
    assert difference.abs().max() <= 1  # of 255: decord may have read the cache
    assert labels.tolist() == labels_of_files.tolist() == [tree.labels[sample.video] for sample in samples]
    length = pixels.shape[1]
    with pytest.raises(BadInput, match=f"have {length} frames, a clip needs {length + 1}"):
        CachedClips(tree, kind(2, length), pixels)


def test_a_video_that_is_gone_is_named() -> None:
    facts = Facts(video="a.mp4", bytes=1, mtime_ns=1, frames=20, fps=30.0, width=64, height=48)
    tree = Tree(folder=Path("videos"), classes=("a",), videos=("a.mp4",), labels=(0,))
    with pytest.raises(BadInput, match=r"cannot read videos/a.mp4.*data check"):
        FileClips(tree, [facts], kind(4, 2)).clip(ClipSample(0, 0.0, Crop(48)))


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split(":")[0])
def test_clips_are_the_frames_of_the_table(line: str) -> None:
    case, numbers = line.split(": ")
    name, frames, fps, clip, j = case.split()
    sampling: Sampling = name  # type: ignore[assignment]
    where = view_starts(sampling, 10)[int(j)]
    indices = SAMPLINGS[sampling](int(frames), float(fps), kind(*map(int, clip.split("x"))), where)
    assert indices.tolist() == list(map(int, numbers.split()))


def test_a_crop_lies_where_it_is_asked_in_frames_whose_shorter_side_is_scaled() -> None:
    assert [scaled(*size, 256) for size in ((1920, 1080), (100, 100))] == [(455, 256), (256, 256)]
    frames = np.arange(6 * 8, dtype=np.uint8).reshape(1, 6, 8, 1).repeat(3, 3)
    assert cropped(frames, Crop(6, 6, 0.0, 0.0))[0, 0, 0, 0] == 0
    assert cropped(frames, Crop(6, 6, 1.0, 1.0))[0, 0, 0, 0] == 2
    assert cropped(frames, Crop(6, 2, 1.0, 1.0))[0, -1, -1, 0] == 47
    assert cropped(frames, Crop(6)).shape == (1, 6, 8, 3)
    assert cropped(frames, Crop(6, flip=True))[0, 0, 0, 0] == 7


def test_views_lie_from_the_first_to_the_last_place_and_one_in_the_middle() -> None:
    """The text tests whole frames, the release three crops."""
    assert {tuple(view_starts(sampling, 1)) for sampling in get_args(Sampling)} == {(0.5,)}
    assert (view_starts("paper", 3), view_starts("caffe2", 2)) == ([0, 0.5, 1], [0, 0.5])
    assert view_crops(REAL, release=False) == [Crop(256)]
    three = view_crops(REAL, release=True)
    assert [(crop.size, crop.x) for crop in three] == [(256, 0.0), (256, 0.5), (256, 1.0)]
