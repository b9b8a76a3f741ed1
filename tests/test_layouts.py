"""Datasets as they are published: small trees of real files, with the faults that such trees have."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from attempts import cut_off_at
from conftest import smoke_run
from films import film

from nlrepro.config import Profile
from nlrepro.data.layouts import Video, find_layout, held_out
from nlrepro.data.splits import check_videos, list_split, open_split, videos_seen
from nlrepro.files import BadInput
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.run import Folders, Run
from nlrepro.spec import RunSpec
from nlrepro.task import VIDEO
from nlrepro.train.loop import train

TEMPLATES = {"Holding [something]": "1", "Dropping [something] into [something]": "0"}


def write(path: Path, *lines: str, end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join([*lines, ""]).encode())


def plant(folder: Path, *videos: str, **how: str) -> None:
    """The first as a video, the others as links to it: a check reads each."""
    first = film(folder / videos[0], frames=12, **how)
    for video in videos[1:]:
        (folder / video).parent.mkdir(parents=True, exist_ok=True)
        (folder / video).hardlink_to(first)


def ucf101(root: Path) -> None:
    """Two classes, whose numbers skip one, and Windows' line ends; groups 8 to 11 train, 1 and 2 test."""
    names = {
        label: [f"{label}/v_{label}_g{g:02}_c{c:02}.avi" for g in (8, 9, 10, 11, 1, 2) for c in (1, 2)]
        for label in ("YoYo", "Archery")
    }
    lists, numbers = root / "ucfTrainTestlist", {"Archery": 1, "YoYo": 3}
    write(lists / "classInd.txt", "1 Archery", "3 YoYo", end="\r\n")
    train = [f"{video} {numbers[label]}" for label, videos in names.items() for video in videos[:8]]
    write(lists / "trainlist01.txt", *train, end="\r\n")
    write(lists / "testlist01.txt", *(video for videos in names.values() for video in videos[8:]), end="\r\n")
    plant(root / "UCF-101", *(video for videos in names.values() for video in videos), codec="mpeg4")


def hmdb51(root: Path) -> None:
    """Classes with spaces in their words, names with signs; lists in a folder of their own."""
    for label in ("brush_hair", "wave"):
        names = [f"#2(Rad)_film{i // 2}!_{label}_u_nm_np1_ba_goo_{i}.avi" for i in range(8)]
        marks = [1, 1, 1, 1, 2, 2, 0, 0]
        lines = [f"{name} {mark} " for name, mark in zip(names, marks, strict=True)]
        write(root / f"testTrainMulti_7030_splits/{label}_test_split1.txt", *lines)
        plant(root / "hmdb51_org" / label, *names, codec="mpeg4")


def ssv2(root: Path) -> None:
    write(
        root / "labels/labels.json", json.dumps({key.translate(BRACKETS): n for key, n in TEMPLATES.items()})
    )
    for name, first in {"train": 10, "validation": 50}.items():
        rows = [{"id": str(first + i), "template": [*TEMPLATES][i % 2], "label": "."} for i in range(6)]
        write(root / f"labels/{name}.json", json.dumps(rows))
    plant(
        root / "20bn-something-something-v2",
        *(f"{i}.webm" for i in (*range(10, 16), *range(50, 56))),
        codec="vp9",
    )


BRACKETS = {ord("["): "", ord("]"): ""}


def lists(root: Path) -> None:
    """As PySlowFast's and as mmaction2's."""
    names = [f"clips/a video {i}.mp4" for i in range(9)]
    write(root / "train.csv", *(f"{name} {i % 2}" for i, name in enumerate(names[:6])))
    write(root / "my_test_list_videos.txt", *(f"{name},{i % 2}" for i, name in enumerate(names[6:])))
    plant(root, *names)


TREES = {"UCF-101": ucf101, "HMDB-51": hmdb51, "Something-Something V2": ssv2, "lists of your own": lists}


@pytest.fixture
def small(real: Profile) -> Profile:
    """Of two classes, with a test split."""
    return replace(
        real, clips={kind: replace(clips, test="test", classes=2) for kind, clips in real.clips.items()}
    )


@pytest.mark.parametrize(("name", "plant_tree"), TREES.items())
def test_a_published_tree_is_recognised_checked_and_opened(
    tmp_path: Path,
    small: Profile,
    capsys: pytest.CaptureFixture[str],
    name: str,
    plant_tree: Callable[[Path], None],
) -> None:
    """All its splits, that share a folder and so an index; validation is held out of training by group."""
    plant_tree(tmp_path)
    for _ in range(2):  # the second check must keep what the first has found of each split
        check_videos(small, tmp_path, tmp_path / "cache", 1)
    printed = capsys.readouterr().out
    assert printed.startswith(f"layout: {name}\n")
    assert ("skips the numbers 2" in printed) == (name == "UCF-101")
    trees = {
        split: open_split(tmp_path, split, tmp_path / "cache", 2, small.real)[0]
        for split in ("train", "val", "test")
    }
    videos = [video for tree in trees.values() for video in tree.videos]
    assert (
        len(videos)
        == len({*videos})
        == {"UCF-101": 24, "HMDB-51": 12}.get(name, 9 if name == "lists of your own" else 12)
    )
    assert all(set(tree.labels) == {0, 1} for tree in trees.values())
    groups = {split: {video.rpartition("_c")[0] for video in tree.videos} for split, tree in trees.items()}
    if name == "UCF-101":
        assert not groups["train"] & groups["val"]
        assert len(groups["val"]) == 2
    assert videos_seen(RunSpec(), replace(small, data=replace(small.data, root=".")), tmp_path)


@pytest.mark.parametrize(
    "name", ["UCF-101", *(pytest.param(name, marks=pytest.mark.rare) for name in [*TREES][1:])]
)
def test_a_run_on_a_published_tree_that_was_cut_off_goes_on(
    tmp_path: Path, small: Profile, swept: Path, name: str
) -> None:
    """From the files to the record, with a net of another dataset to start from."""
    TREES[name](tmp_path / "data")
    check_videos(small, tmp_path / "data", tmp_path / "data/cache", 1)
    start = tmp_path / "nets/r50-c2d.pt"
    start.parent.mkdir()
    start.write_bytes(smoke_run("r50-c2d", Folders(results=swept)).weights.read_bytes())
    records = []
    for results in (tmp_path / "undisturbed", tmp_path / "cut off"):
        folders = Folders(data=tmp_path / "data", results=results)
        profile = replace(small, start=str(start.parent), anchors=("elsewhere 83.9",))
        run = Run(task=VIDEO, spec=RunSpec(), profile=profile, seed=0, folders=folders)
        if records:
            with pytest.raises(RuntimeError, match="the power is gone"):
                train(replace(run, module=cut_off_at(3, VideoClassifier)))
        records.append(train(run))
    one, other = records
    assert one.net == other.net
    assert (one.tested, one.views, one.data) == (len(one.ranks), 6, other.data)
    assert one.tested == one.listed == {"UCF-101": 8, "HMDB-51": 4, "lists of your own": 3}.get(name, 6)
    assert one.data
    assert one.notes == ("elsewhere 83.9",)


def test_class_numbers_are_those_of_the_lists(tmp_path: Path, small: Profile) -> None:
    ssv2(tmp_path)
    tree, listed, notes = list_split(tmp_path, "test", small.real, 2)
    assert tree.classes == ("Dropping something into something", "Holding something")
    assert dict(zip(tree.videos, tree.labels, strict=True))["50.webm"] == 1
    assert (listed, notes) == (6, [])
    with pytest.raises(BadInput, match="2 classes where the profile says 174"):
        list_split(tmp_path, "test", small.real, 174)


def test_files_that_are_missing_are_counted(tmp_path: Path, small: Profile) -> None:
    ucf101(tmp_path)
    (tmp_path / "UCF-101/YoYo/v_YoYo_g01_c01.avi").unlink()
    tree, listed, notes = list_split(tmp_path, "test", small.real)
    assert (len(tree.videos), listed) == (7, 8)
    assert notes[1].startswith("1 of 8 listed videos have no file")
    assert notes[1].endswith("such as YoYo/v_YoYo_g01_c01.avi")


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        (
            "trainlist01",
            "YoYo/v_YoYo_g01_c01.avi 3",
            "g01_c01.avi is in train as 'YoYo' and in test as 'YoYo'; keep",
        ),
        ("trainlist01", "YoYo/v_YoYo_g12_c01.avi 2", "line 17: .* contradicts classInd.txt, which says 3"),
        (
            "trainlist01",
            "YoYa/v_YoYa_g12_c01.avi",
            "line 17: .* contradicts classInd.txt, which says a class of it",
        ),
        ("classInd", "YoYo 3", "line 3: expected a new NUMBER CLASS, got 'YoYo 3'"),
        ("classInd", "4 YoYo", "line 3: expected a new NUMBER CLASS"),
        ("testlist01", "YoYo/v_\x07.avi", "line 9: .* signs that cannot be printed"),
    ],
)
def test_lists_that_contradict_each_other_are_named(
    tmp_path: Path, small: Profile, name: str, line: str, words: str
) -> None:
    ucf101(tmp_path)
    with (tmp_path / f"ucfTrainTestlist/{name}.txt").open("a") as file:
        file.write(line)
    with pytest.raises(BadInput, match=words):
        list_split(tmp_path, "train", small.real)


def test_groups_in_several_splits_are_told_of(tmp_path: Path, small: Profile) -> None:
    hmdb51(tmp_path)
    path = tmp_path / "testTrainMulti_7030_splits/wave_test_split1.txt"
    path.write_text(path.read_text().replace("goo_1.avi 1", "goo_1.avi 2"))
    notes = list_split(tmp_path, "train", small.real)[2]
    assert notes == [
        "1 groups have videos in several splits, such as #2(Rad)_film0!:"
        " what a net is tested on is like what it has seen"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "frames/yoga_1 163 1",
            "expected a path that ends in .*'frames/yoga_1 163 1'; lists of decoded frames",
        ),
        ("a.mp4", "expected a path that ends in .* and a number, got 'a.mp4'"),
        ("a.mp4 0", "no video of the split 'train' is there; 1 of 1 listed videos have no file"),
        ("clips/a video 7.mp4 0", "is in test as '1' and in train as '0'; keep one"),
        ("clips/a video 0.mp4 5", "6 classes where the profile says 2"),
    ],
)
def test_lists_of_another_kind_are_refused(tmp_path: Path, small: Profile, text: str, words: str) -> None:
    lists(tmp_path)
    write(tmp_path / "train.csv", text)
    with pytest.raises(BadInput, match=words):
        list_split(tmp_path, "train", small.real, 2)


def test_lists_may_have_a_prefix_and_no_split_twice(tmp_path: Path, small: Profile) -> None:
    lists(tmp_path / "data")
    (tmp_path / "data/clips").rename(tmp_path / "clips")
    assert small.real
    moved = replace(small.real, prefix="..")
    assert len(list_split(tmp_path / "data", "test", moved)[0].videos) == 3
    write(tmp_path / "data/val.txt", "clips/a video 0.mp4 0")
    with pytest.raises(BadInput, match=r"in (val|train) as .* and in (val|train)"):
        list_split(tmp_path / "data", "val", moved)
    write(tmp_path / "data/other_train.txt", "x.mp4 0")
    with pytest.raises(BadInput, match=r"two lists of train: other_train.txt and train.csv; keep one"):
        find_layout(tmp_path / "data")


def test_kinetics_tables_are_no_lists(tmp_path: Path) -> None:
    for text in ("label,youtube_id,split", ""):
        write(tmp_path / "train.csv", text)
        (tmp_path / "train").mkdir(exist_ok=True)
        assert find_layout(tmp_path).name == "Kinetics"


def test_a_folder_without_a_known_layout_shows_what_each_needs(tmp_path: Path) -> None:
    write(tmp_path / "videos/a.mp4")
    with pytest.raises(
        BadInput, match=r"no layout.* UCF-101: UCF-101/<Class>.* HMDB-51: .*; Something.* Kinetics"
    ):
        find_layout(tmp_path)


def test_a_tenth_of_the_groups_of_each_class_is_held_out_and_of_a_lone_group_nothing() -> None:
    videos = [
        Video(f"{label}{g}.avi", label, f"{label}{g}")
        for label, n in {"a": 40, "b": 1, "c": 5}.items()
        for g in range(n)
    ]
    held = held_out(videos)
    assert [sum(group[0] == label for group in held) for label in "abc"] == [4, 0, 1]
    assert held == held_out(videos[::-1])
