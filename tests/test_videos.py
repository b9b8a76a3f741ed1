"""Video trees, decoding and the cache: what is damaged is named, what is decoded is what was encoded."""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from films import audio

from nlrepro.config import Clips, Generator, Profile
from nlrepro.data.generate import encode
from nlrepro.data.kinetics.survey import check_generated
from nlrepro.data.videos import ClipDataset, Tree, decode, decoded
from nlrepro.files import BadInput


@pytest.fixture
def task(smoke: Profile) -> Generator:
    assert smoke.generator
    return smoke.generator


def stripes(task: Generator, frames: int) -> npt.NDArray[np.uint8]:
    """A video in which place and time can be told from the colour."""
    t, y, x = np.mgrid[:frames, : task.size, : task.size]
    return np.stack([40 + 15 * t, 60 + 120 * (x >= task.size // 2), 60 + 120 * (y >= task.size // 2)], -1).astype(np.uint8)


@pytest.fixture
def video(task: Generator, tmp_path: Path) -> Path:
    path = tmp_path / "video.mp4"
    path.write_bytes(encode(stripes(task, 10), task))
    return path


def test_decoded_colours_are_near_the_generated_ones(task: Generator, video: Path) -> None:
    found, expected = decode(video, task.size, 10).astype(int), stripes(task, 10).astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 4
    assert np.abs(found - expected)[:, 3:5, 3:5].max() < 10  # away from the edges


def test_frames_come_in_their_order(task: Generator, video: Path) -> None:
    assert np.all(np.diff(decode(video, task.size, 10)[..., 0].mean((1, 2))) > 10)


@pytest.mark.parametrize("size", [20, 28, 64, 100, 224])
def test_a_video_is_scaled_to_the_size_asked_for(task: Generator, video: Path, size: int) -> None:
    found = decode(video, size, 3).astype(int)
    assert found.shape == (3, size, size, 3)
    place = ((np.arange(size) + 0.5) / size * task.size).astype(int)
    expected = stripes(task, 3).astype(int)[:, place][:, :, place]
    assert np.median(np.abs(found - expected)) < 4


def test_unusable_videos_are_named_with_the_reason(task: Generator, tmp_path: Path, video: Path) -> None:
    whole = video.read_bytes()
    unusable = {
        "zero-byte": (b"", "is empty"),
        "truncated": (whole[: len(whole) // 2], "cannot"),
        "cut-at-the-end": (whole[:-100], "cannot"),
        "text": (b"not a video\n" * 50, "cannot read"),
        "audio-only": (audio(), "cannot read"),
        "too-short": (encode(stripes(task, 3), task), "has 3 frames, a clip needs 4"),
    }
    for name, (content, words) in unusable.items():
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(content)
        with pytest.raises(BadInput) as caught:
            decode(path, task.size, 4)
        text = str(caught.value)
        assert str(path) in text, name
        assert words in text, (name, text)
        assert "replace or remove it" in text
        assert len(text.splitlines()) == 1, (name, text)


def test_a_missing_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nowhere.mp4"):
        decode(tmp_path / "nowhere.mp4", 32, 1)


def tree(folder: Path, task: Generator, classes: tuple[str, ...] = ("b", "a"), videos: int = 2, frames: int = 10) -> Path:
    """<folder>/<class>/<n>.mp4; videos differ in brightness."""
    for i, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for n in range(videos):
            (folder / name / f"{n}.mp4").write_bytes(encode(stripes(task, frames) // (1 + i + 2 * n), task))
    return folder


def test_an_index_is_sorted_and_skips_what_is_no_video(task: Generator, tmp_path: Path) -> None:
    folder = tree(tmp_path / "root" / "train", task)
    (folder / "a" / "notes.txt").write_text("")
    (folder / "a" / ".half.mp4.x8").write_text("")
    (folder / "a" / ".0.mp4").write_text("")
    (folder / "list.csv").write_text("")
    index = Tree.index(folder, 2)
    assert index.classes == ("a", "b")
    assert index.videos == ("a/0.mp4", "a/1.mp4", "b/0.mp4", "b/1.mp4")
    assert index.labels == (0, 0, 1, 1)


def test_a_wrong_tree_is_named_with_what_is_expected(task: Generator, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no folder .*/nowhere; .*--data"):
        Tree.index(tmp_path / "nowhere", 2)
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"no videos in .*/empty; expected .*/empty/<class>/<video>"):
        Tree.index(tmp_path / "empty", 1)
    folder = tree(tmp_path / "train", task)
    with pytest.raises(BadInput, match=r"/train has 2 class folders where the profile says 3"):
        Tree.index(folder, 3)


def test_the_cache_is_made_once_and_anew_when_a_video_changes(
    task: Generator, smoke: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = tree(tmp_path / "root" / "train", task), tmp_path / "cache"
    first = decoded(Tree.index(folder, 2), smoke.data, cache)
    index = Tree.index(folder, 2)
    assert first.shape == (4, 10, 32, 32, 3)
    for i, name in enumerate(index.videos):
        assert np.array_equal(first[i], decode(folder / name, 32, 10))
    assert [path.suffix for path in cache.glob("[!.]*")] == [".npy"]

    with monkeypatch.context() as patch:
        patch.setattr("nlrepro.data.videos.fill", None)  # a second decoding would call it
        assert np.array_equal(decoded(Tree.index(folder, 2), smoke.data, cache), first)
    (folder / "a" / "1.mp4").write_bytes(encode(255 - stripes(task, 10), task))
    second = decoded(Tree.index(folder, 2), smoke.data, cache)
    assert np.array_equal(second[[0, 2, 3]], first[[0, 2, 3]])
    assert not np.array_equal(second[1], first[1])


def test_a_cache_read_is_read_only(task: Generator, smoke: Profile, tmp_path: Path) -> None:
    array = decoded(Tree.index(tree(tmp_path / "root" / "train", task), 2), smoke.data, tmp_path / "cache")
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bad_video_leaves_no_cache(task: Generator, smoke: Profile, tmp_path: Path, jobs: int) -> None:
    folder, cache = tree(tmp_path / "root" / "train", task), tmp_path / "cache"
    (folder / "b" / "1.mp4").write_bytes(b"text")
    with pytest.raises(BadInput, match=r"b/1.mp4"):
        decoded(Tree.index(folder, 2), smoke.data, cache, jobs)
    assert list(cache.glob("[!.]*")) == []


def test_a_cache_folder_that_cannot_be_written_is_named(task: Generator, smoke: Profile, tmp_path: Path) -> None:
    folder = tree(tmp_path / "root" / "train", task)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"cannot write .*file"):
        decoded(Tree.index(folder, 2), smoke.data, tmp_path / "file" / "cache")


@pytest.mark.parametrize(("frames", "stride"), [(4, 1), (3, 2), (10, 1)])
def test_a_clip_lies_where_it_is_asked(task: Generator, tmp_path: Path, frames: int, stride: int) -> None:
    index = Tree.index(tree(tmp_path / "train", task), 2)
    videos = np.arange(4 * 10, dtype=np.uint8).reshape(4, 10, 1, 1, 1)  # a frame's value is 10 video + time
    clips = ClipDataset(index, Clips(frames=frames, stride=stride, classes=2, anywhere=True), videos)
    latest = 10 - (frames - 1) * stride - 1
    for where, first in ((0.0, 0), (1.0, latest), (0.5, round(latest / 2))):
        assert clips.clip(2, where).ravel().tolist() == [20 + first + stride * i for i in range(frames)]
    batch, labels = clips.__getitems__([(3, 0.0, None), (0, 1.0, None)])
    assert batch.shape == (2, frames, 1, 1, 1)
    assert labels.tolist() == [1, 0]
    assert batch[0].ravel().tolist()[0] == 30
    assert len(clips) == 4


def test_videos_shorter_than_a_clip_are_refused(task: Generator, tmp_path: Path) -> None:
    index = Tree.index(tree(tmp_path / "train", task), 2)
    with pytest.raises(BadInput, match=r"have 10 frames, a clip needs 11"):
        ClipDataset(index, Clips(frames=6, stride=2, classes=2, anywhere=True), np.zeros((4, 10, 1, 1, 1), np.uint8))


def test_check_names_every_unusable_video(data: Path, smoke: Profile, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(data / "smoke", tmp_path / "smoke")
    bad = [path for split in ("train", "test") for path in sorted((tmp_path / "smoke" / split).glob("*/*.mp4"))[3:5]]
    for path in bad:
        path.write_bytes(b"")
    with pytest.raises(BadInput) as caught:
        check_generated(smoke, tmp_path / "smoke", 1)
    out = capfd.readouterr().out
    assert all(str(path) in out for path in bad)
    assert out.count(".mp4") == len(bad)
    assert "train: 30 of 32" in out
    assert str(caught.value).startswith("4 videos")
    assert "\n" not in str(caught.value)


def test_check_names_a_missing_folder(smoke: Profile, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder"):
        check_generated(smoke, tmp_path, 1)
