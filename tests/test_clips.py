"""Clips of real videos: which frames, how large, which part of them."""

from pathlib import Path

import av
import numpy as np
import pytest

from nlrepro.config import Clips, Profile, Real
from nlrepro.data.crops import ClipSample, Crop, cropped, scaled, training_crops, view_crops
from nlrepro.data.decoding import frames
from nlrepro.data.kinetics.clips import FileClips
from nlrepro.data.kinetics.facts import Facts, examine
from nlrepro.data.videos import ClipDataset, Tree, decoded
from nlrepro.files import BadInput

REAL = Real(train_sides=(256, 320), test_side=256, devices=8, precise_batches=2)


def facts(frames: int, fps: float = 30.0) -> Facts:
    return Facts(video="a/b.mp4", bytes=1, mtime_ns=1, frames=frames, fps=fps, seconds=1.0, width=64, height=48)


def clips(*found: Facts, frames: int = 4, stride: int = 2) -> FileClips:
    tree = Tree(folder=Path(), classes=("a",), videos=tuple(f.video for f in found), labels=(0,) * len(found))
    return FileClips(tree, found, Clips(frames=frames, stride=stride, classes=1, anywhere=True))


def test_a_clip_lies_where_it_is_asked() -> None:
    found = clips(facts(20))
    assert found.wanted(facts(20), 0.0) == [0, 2, 4, 6]
    assert found.wanted(facts(20), 1.0) == [13, 15, 17, 19]
    assert found.wanted(facts(20), 0.5) == [6, 8, 10, 12]


def test_a_repeated_last_frame_over_a_key_frame_is_read_right(tmp_path: Path) -> None:
    """The frame before a key frame is read too: the list that is read is then as long as the one that is wanted, and another."""
    path = tmp_path / "keys.mp4"
    with av.open(str(path), "w") as container:
        keys = {"g": "6", "keyint_min": "6", "sc_threshold": "0"}
        stream = container.add_stream("libx264", rate=30, options=keys)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(9):
            picture = np.full((48, 64, 3), 20 + 20 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        assert [packet.is_keyframe for packet in container.demux(video=0)].index(True, 1) == 6
    found = frames(path, [4, 6, 8, 8], 64, 48).mean((1, 2, 3))
    assert found == pytest.approx([frames(path, [i], 64, 48).mean() for i in (4, 6, 8, 8)], abs=1)


def test_a_source_of_60_frames_a_second_gives_the_times_of_one_of_30() -> None:
    assert clips().wanted(facts(40, 59.94), 0.0) == [0, 4, 8, 12]
    assert clips().wanted(facts(40, 25.0), 0.0) == [0, 2, 4, 6]


def test_a_short_video_repeats_its_last_frame() -> None:
    assert clips().wanted(facts(5), 1.0) == [0, 2, 4, 4]


@pytest.mark.parametrize(("size", "expected"), [((1920, 1080), (455, 256)), ((1080, 1920), (256, 455)), ((100, 100), (256, 256))])
def test_the_shorter_side_becomes_what_is_asked(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert scaled(*size, 256) == expected


def test_a_crop_lies_where_it_is_asked() -> None:
    frames = np.arange(6 * 8, dtype=np.uint8).reshape(1, 6, 8, 1).repeat(3, 3)
    assert cropped(frames, Crop(6, 6, 0.0, 0.0))[0, 0, 0, 0] == 0
    assert cropped(frames, Crop(6, 6, 1.0, 1.0))[0, 0, 0, 0] == 2
    assert cropped(frames, Crop(6, 2, 1.0, 1.0))[0, -1, -1, 0] == 47
    assert cropped(frames, Crop(6)).shape == (1, 6, 8, 3)
    assert cropped(frames, Crop(6, flip=True))[0, 0, 0, 0] == 7


def test_training_crops_are_the_papers_and_go_on_from_any_clip() -> None:
    def first(number: int, of: int) -> list[Crop]:
        found = training_crops(REAL, 224, seed=3, first=number)
        return [next(found) for _ in range(of)]

    many = first(0, 400)
    assert {crop.side for crop in many} <= set(range(256, 321))
    assert min(f.side for f in many) < 260 < 316 < max(f.side for f in many)
    assert {crop.size for crop in many} == {224}
    assert 150 < sum(crop.flip for crop in many) < 250
    assert first(7, 5) == many[7:12]


def test_the_text_tests_whole_frames_and_the_release_three_crops() -> None:
    assert view_crops(REAL, release=False) == [Crop(256)]
    three = view_crops(REAL, release=True)
    assert [(f.size, f.x) for f in three] == [(256, 0.0), (256, 0.5), (256, 1.0)]


@pytest.mark.parametrize(("frames", "stride"), [(4, 1), (3, 2), (10, 1)])
def test_clips_from_files_are_those_from_the_cache(data: Path, smoke: Profile, tmp_path: Path, frames: int, stride: int) -> None:
    tree = Tree.index(data / "smoke" / "val", 6)
    kind = Clips(frames=frames, stride=stride, classes=7, anywhere=True)
    asked = [ClipSample(video, where, Crop(smoke.data.size)) for video in range(4) for where in (0.0, 0.3, 0.5, 1.0)]
    cached = ClipDataset(tree, kind, decoded(tree, smoke.data, tmp_path)).__getitems__(asked)
    files = FileClips(tree, [examine(tree.folder, video) for video in tree.videos], kind).__getitems__(asked)
    assert files[0].equal(cached[0])
    assert files[1].equal(cached[1])


def test_a_video_that_is_gone_is_named() -> None:
    with pytest.raises(BadInput, match=r"cannot read a/b.mp4.*data check"):
        clips(facts(20)).clip(ClipSample(0, 0.0, Crop(48)))
