"""Charades' files: tables and videos as they are unpacked, what is wrong with them, and the labels of clips and videos."""

from pathlib import Path

import numpy as np
import pytest
import torch
from charades_tree import TRAIN, as_real, charades, smoke, table
from films import film

from nlrepro.charades.annotations import Action, annotations, row
from nlrepro.charades.layout import shelf
from nlrepro.charades.splits import ActionSplits
from nlrepro.charades.videos import ActionClips, opened
from nlrepro.data.crops import ClipSample, Crop
from nlrepro.files import BadInput
from nlrepro.spec import ActionSpec, Part, Split

CROP = Crop(40, 32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return charades(tmp_path / "charades")


def test_actions_are_read_as_the_official_files_have_them(tmp_path: Path) -> None:
    found = annotations(table(tmp_path, "train", TRAIN), 157)
    assert found["AAAAA"] == (Action(92, 0.0, 0.2), Action(147, 0.5, 1.3))
    assert found["BBBBB"] == ()
    assert list(found) == list(TRAIN)
    assert row(found["AAAAA"]) == TRAIN["AAAAA"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ({"A": "c157 0.00 1.00"}, "the video A has the unknown class c157; there are c000 to c156"),
        ({"A": "c01 0.00 1.00"}, "the video A has the action 'c01 0.00 1.00'; expected a class, a begin and an end"),
        ({"A": "c001 0.00"}, "the video A has the action 'c001 0.00'; expected"),
        ({"A": "c001 0.00 1.00 2.00"}, "the video A has the action"),
        ({"A": "c001 zero 1.00"}, "the video A has the action"),
        ({"A": "c001 0.00 nan"}, "the video A has the action"),
        ({"A": "", "../B": ""}, "an id is of letters, digits, - or _, got '../B'"),
        ({"": ""}, "an id is of letters, digits, - or _, got ''"),
        ({}, "lists no videos"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(tmp_path: Path, rows: dict[str, str], told: str) -> None:
    path = table(tmp_path, "val", rows)
    with pytest.raises(BadInput, match=told) as error:
        annotations(path, 157)
    assert str(path) in str(error.value)


def test_a_table_without_the_columns_or_with_a_video_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"lacks the column actions; expected id, actions, got id, scene"):
        annotations(table(tmp_path, "train", TRAIN, ["id", "scene"]), 157)
    path = table(tmp_path, "train", {"A": ""})
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")
    with pytest.raises(BadInput, match="has the video A twice"):
        annotations(path, 157)
    path.write_bytes(b"")
    with pytest.raises(BadInput, match="cannot read"):
        annotations(path, 157)
    path.unlink()
    with pytest.raises(BadInput, match=r"no file .*Charades_v1_train.csv: unpack Charades.zip"):
        annotations(path, 157)


def test_train_and_val_share_a_folder_and_each_has_its_own_videos(root: Path) -> None:
    found = shelf(root, "val", 157)
    assert found.folder == root / "Charades_v1_480"
    assert found.ids("train") == ["AAAAA", "BBBBB", "BROKE"]
    assert found.ids("val") == ["EMPTY", "VVVVV", "WWWWW"]
    assert found.notes("val") == ()
    assert found.notes("train") == ("1 of 4 videos of Charades_v1_train.csv have no file and are left out",)


def test_the_videos_may_have_their_first_size(root: Path) -> None:
    (root / "Charades_v1_480").rename(root / "Charades_v1")
    assert shelf(root, "train", 157).folder == root / "Charades_v1"


def test_what_is_wrong_with_the_folder_is_told(root: Path) -> None:
    with pytest.raises(BadInput, match="no folder Charades_vu17_test_480 or Charades_vu17_test in"):
        shelf(root, "test", 157)
    table(root, "val", {"VVVVV": "", "AAAAA": ""})
    with pytest.raises(BadInput, match=r"Charades_v1_train.csv and Charades_v1_test.csv both list the video AAAAA"):
        shelf(root, "train", 157)
    table(root, "val", {"NONE1": ""})
    with pytest.raises(BadInput, match=r"has none of the videos of Charades_v1_test.csv; expected .*<id>.mp4"):
        shelf(root, "train", 157)


def test_labels_of_the_test_are_read_where_they_are_known(root: Path) -> None:
    for video in ("XXXXX", "YYYYY"):
        film(root / "Charades_vu17_test_480" / f"{video}.mp4", frames=10)
    held_back = shelf(root, "test", 157)
    assert held_back.ids("test") == ["XXXXX", "YYYYY"]
    assert held_back.listed == {"test": {}}
    table(root, "test", {"XXXXX": "c003 0.00 1.00"})
    assert shelf(root, "test", 157).ids("test") == ["XXXXX"]


def clips(root: Path, parts: list[Part], *, training: bool) -> ActionClips:
    return ActionClips(opened(as_real(smoke()), parts[0], root, 1), parts, 157, training=training)


def test_broken_videos_are_left_out_and_counted(root: Path) -> None:
    videos = opened(as_real(smoke()), "train", root, 1)
    assert videos.ids == ("AAAAA", "BBBBB", "EMPTY", "VVVVV", "WWWWW")
    missing, broken = videos.notes("train")
    assert "1 of 4 videos" in missing
    assert broken.startswith("1 videos of train cannot be used and are left out, such as BROKE: ")
    assert videos.notes("val") == ()
    for video in videos.ids:
        (root / "Charades_v1_480" / f"{video}.mp4").write_bytes(b"no video")
    with pytest.raises(BadInput, match=r"none of the 6 videos in .* can be used; the first: "):
        opened(as_real(smoke()), "train", root, 1)


def test_training_takes_all_videos_and_a_test_those_with_actions(root: Path) -> None:
    assert clips(root, ["train"], training=True).ids == ["AAAAA", "BBBBB"]
    assert clips(root, ["train", "val"], training=True).ids == ["AAAAA", "BBBBB", "EMPTY", "VVVVV", "WWWWW"]
    assert clips(root, ["val"], training=False).ids == ["VVVVV", "WWWWW"]


def test_a_training_clip_has_the_actions_that_go_on_in_it_and_a_test_video_all_of_its_own(root: Path) -> None:
    """The video has 40 frames at 30 a second, a clip 8: the first ends at 0.27 s, the last begins at 1.07 s."""
    training = clips(root, ["train"], training=True)
    pixels, labels = training.__getitems__([ClipSample(0, where, CROP) for where in (0.0, 0.4, 1.0)] + [ClipSample(1, 0.0, CROP)])
    assert pixels.shape == (4, 8, 32, 32, 3)
    assert [set(of.nonzero().flatten().tolist()) for of in labels] == [{92}, {147}, {147}, set()]
    _, labels = clips(root, ["val"], training=False).__getitems__([ClipSample(1, where, CROP) for where in (0.0, 1.0)])
    assert [set(of.nonzero().flatten().tolist()) for of in labels] == [{0, 156}, {0, 156}]


def test_a_clip_is_of_the_video_that_its_label_is_of(root: Path) -> None:
    """The second video of val is the fifth of the folder."""
    film(root / "Charades_v1_480/WWWWW.mp4", frames=10, size=(64, 64))
    held = clips(root, ["val"], training=False)
    whole, _ = held.__getitems__([ClipSample(1, 0.0, Crop(64))])
    assert held.ids[1] == "WWWWW"
    assert whole.shape[2:4] == (64, 64)


@pytest.mark.parametrize(("split", "trained"), [("train/val", 2), ("trainval/test", 5)])
def test_each_split_is_trained_and_tested_on_its_own_videos(root: Path, split: Split, trained: int) -> None:
    profile = as_real(smoke())
    film(root / "Charades_vu17_test_480/XXXXX.mp4")
    splits = ActionSplits(ActionSpec(split=split), profile, root, profile.recipe, 0)
    assert len(splits.train_dataloader().dataset) == trained  # type: ignore[arg-type]
    assert splits.val_dataloader().dataset.ids == ["VVVVV", "WWWWW"]  # type: ignore[attr-defined]
    tested = splits.test_dataloader().dataset.ids  # type: ignore[attr-defined]
    assert tested == (["VVVVV", "WWWWW"] if split == "train/val" else ["XXXXX"])
    assert len(splits.notes) == 2


def test_generated_videos_are_read_from_the_cache_with_the_actions_of_their_times(charades_data: Path) -> None:
    profile = smoke()
    videos = opened(profile, "train", charades_data, 1)
    held = ActionClips(videos, ["train", "val"], 12, training=True)
    assert len(held) == 40
    pixels, labels = held.__getitems__([ClipSample(39, 0.0), ClipSample(39, 1.0)])
    assert held.ids[39] == "val00015"
    number = videos.ids.index("val00015")
    np.testing.assert_array_equal(pixels[0].numpy(), videos.clips.frames[number, 0:31:2])  # type: ignore[union-attr]
    np.testing.assert_array_equal(pixels[1].numpy(), videos.clips.frames[number, 1:32:2])  # type: ignore[union-attr]
    actions = videos.shelf.listed["val"]["val00015"]
    assert set(labels[0].nonzero().flatten().tolist()) == {action.label for action in actions}
    assert torch.equal(labels[0], labels[1])
