"""Charades' files, real and generated: what is read, what is refused, and the labels of clips and videos."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from charades_tree import as_real, charades, smoke, table
from films import film
from torch import Tensor

from nlrepro.config import load_profile
from nlrepro.data.charades import GENERATED_FPS, ActionClips, load_videos, open_split, read_annotations
from nlrepro.data.clips import ClipSample, Crop
from nlrepro.data.synthetic.action_videos import layout_actions, render_layout, render_video, sample_layout
from nlrepro.data.synthetic.drawing import INKS, random_generator
from nlrepro.files import BadInput
from nlrepro.spec import Part

CROP = Crop(40, 32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return charades(tmp_path / "charades")


def clips(root: Path, parts: list[Part], *, training: bool) -> ActionClips:
    return ActionClips(load_videos(as_real(smoke()), parts[0], root, 1), parts, 157, training=training)


def classes_of(labels: Tensor) -> list[set[int]]:
    return [set(row.nonzero().flatten().tolist()) for row in labels]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,actions\nA,c157 0.00 1.00", "the video A has the unknown class c157; there are c000 to c156"),
        ("id,actions\nA,c01 0.00 1.00", "the video A has the action 'c01 0.00 1.00'; expected a class"),
        ("id,actions\nA,c001 0.00", "the video A has the action"),
        ("id,actions\nA,c001 0.00 nan", "the video A has the action"),
        ("id,actions\nA,c001 -1.00 2.00", "the video A has the action"),
        ("id,actions\nA,\nA,", "line 3: the video A has another row"),
        ("id,actions\nA,\nB", "line 3: 1 fields where the first line has 2; unpack Charades.zip again"),
        ("id,actions\nA,c001 0 1,c002 0 1", "line 2: 3 fields"),
        ('id,scene,actions\nA,"a\nb",\nB,"c,c001 0 1\nC,d,', "line 4: unexpected end of data"),
        ("id,actions\nA,\n,c001 0.00 1.00", "line 3: the id is empty"),
        ("id,actions\nA\0,c001 0.00 1.00", r"line 2: id 'A\\x00' has signs that cannot be printed"),
        ("id,actions\nÄ,", r"line 2: id '\\udcc4' has signs"),
        ("id,actions,id\nA,,B", "the column 'id' once, got 'id,actions,id'"),
        ("id,actions", "lists no videos"),
        ("id,scene\nA,Kitchen", "the column 'actions' once.*; unpack Charades.zip again"),
        (None, "No such file .*; unpack Charades.zip again .*--data"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "table.csv"
    if text:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match=f"^[^\n]*{path}[^\n]*{words}"):
        read_annotations(path, 157)


def test_what_does_no_harm_in_a_table_is_read(tmp_path: Path) -> None:
    """A byte order mark, Windows' line ends, an empty line, other columns' content, a moment as an action."""
    path = tmp_path / "table.csv"
    path.write_bytes(b'\xef\xbb\xbfid,x,x,actions\r\nA,"a, ""b""\n",\xe9\0,c001 0.00 0.00; \r\n\r\nB,,,\r\n')
    assert read_annotations(path, 157) == {"A": ((1, 0, 0),), "B": ()}


def test_actions_that_end_before_they_begin_are_left_out_and_counted(root: Path) -> None:
    """Charades_v1_train.csv has seven."""
    table(root, "train", {"AAAAA": "c001 1.30 0.00;c147 0.50 1.30", "BBBBB": "c002 0.20 0.10"})
    table(root, "val", {"VVVVV": "c003 2.00 1.00", "WWWWW": "c156 0.20 0.20"})
    training = clips(root, ["train"], training=True)
    assert training.videos.notes("train")[0] == (
        "2 actions of Charades_v1_train.csv end before they begin and are left out, such as one of AAAAA"
    )
    assert classes_of(training.labels(ClipSample(0, 1.0))[None]) == [{147}]
    assert clips(root, ["val"], training=False).ids == ["WWWWW"]
    table(root, "val", {"VVVVV": "c003 2.00 1.00", "WWWWW": ""})
    with pytest.raises(BadInput, match=r"no video of val in .*_480 can be used and has an action"):
        clips(root, ["val"], training=False)


def test_a_part_has_a_folder_and_videos_of_its_own_and_a_table_unless_it_is_held_back(root: Path) -> None:
    split = open_split(root, "val", 157)
    assert split.folder == root / "Charades_v1_480"
    assert split.ids("train") == ["AAAAA", "BBBBB", "BROKE"]
    assert split.ids("val") == ["EMPTY", "VVVVV", "WWWWW"]
    split.folder.rename(root / "Charades_v1")
    assert open_split(root, "train", 157).folder == root / "Charades_v1"
    with pytest.raises(BadInput, match="no folder Charades_vu17_test_480 or Charades_vu17_test in"):
        open_split(root, "test", 157)
    table(root, "val", {"AAAAA": ""})
    with pytest.raises(BadInput, match=r"_train.csv and Charades_v1_test.csv both list the video AAAAA"):
        open_split(root, "val", 157)
    table(root, "val", {"NONE1": ""})
    with pytest.raises(BadInput, match=r"has none of the videos of Charades_v1_test.csv"):
        open_split(root, "train", 157)

    for video in ("XXXXX", "YYYYY"):
        film(root / "Charades_vu17_test_480" / f"{video}.mp4", frames=10)
    held_back = open_split(root, "test", 157)
    assert (held_back.ids("test"), held_back.listed) == (["XXXXX", "YYYYY"], {"test": {}})
    assert clips(root, ["test"], training=False).held_back
    table(root, "test", {"XXXXX": "c003 0.00 1.00"})
    assert open_split(root, "test", 157).ids("test") == ["XXXXX"]


def test_broken_videos_are_left_out_and_counted(root: Path) -> None:
    videos = load_videos(as_real(smoke()), "train", root, 1)
    assert videos.ids == ("AAAAA", "BBBBB", "EMPTY", "VVVVV", "WWWWW")
    missing, broken = videos.notes("train")
    assert missing == "1 of 4 videos of Charades_v1_train.csv have no file and are left out, such as GONE1"
    assert broken.startswith("1 videos of train cannot be used and are left out, such as BROKE: ")
    assert videos.notes("val") == ()
    for video in videos.ids:
        (root / "Charades_v1_480" / f"{video}.mp4").write_bytes(b"no video")
    with pytest.raises(BadInput, match=r"none of the 6 videos in .* can be used; the first: "):
        load_videos(as_real(smoke()), "train", root, 1)


def test_training_takes_all_videos_and_a_test_those_with_actions_each_with_its_own(root: Path) -> None:
    """A test video has all of its actions, a training clip those that overlap it.

    Of 40 frames at 30 a second, clips of 8: the first ends at 0.27 s, the last begins at 1.07 s.
    """
    film(root / "Charades_v1_480/WWWWW.mp4", size=(64, 64))  # the fifth of the folder
    assert clips(root, ["train", "val"], training=True).ids == ["AAAAA", "BBBBB", "EMPTY", "VVVVV", "WWWWW"]
    training, tested = clips(root, ["train"], training=True), clips(root, ["val"], training=False)
    assert (training.ids, tested.ids) == (["AAAAA", "BBBBB"], ["VVVVV", "WWWWW"])
    samples = [*(ClipSample(0, where, CROP) for where in (0.0, 0.4, 1.0)), ClipSample(1, 0.0, CROP)]
    pixels, labels = training.__getitems__(samples)
    assert pixels.shape == (4, 8, 32, 32, 3)
    assert classes_of(labels) == [{92}, {147}, {147}, set()]
    pixels, labels = tested.__getitems__([ClipSample(1, where, Crop(64)) for where in (0.0, 1.0)])
    assert pixels.shape == (2, 8, 64, 64, 3)
    assert classes_of(labels) == [{0, 156}, {0, 156}]


# The generated videos


MINI = load_profile("charades-mini").actions.generator
LAYOUTS = [sample_layout(MINI, "train", index) for index in range(200)]


def test_a_video_has_digits_of_both_inks_and_a_card_in_each_half_all_clear_of_each_other() -> None:
    assert {len(layout.digits) for layout in LAYOUTS} == {3, 4}
    for layout in LAYOUTS:
        assert {item.ink for item in layout.digits.values()} == set(INKS)
        early, late = (card.frames for card in layout.cards)
        assert 0 <= early.start < early.stop <= 16 <= late.start < late.stop <= 32
        assert all(0 <= item.frames.start < item.frames.stop <= 32 for item in layout.digits.values())
        squares = [item.square for item in (*layout.cards, *layout.digits.values())]
        assert all(square.inside(MINI.size) for square in squares)
        assert all(a.clear_of(b) for i, a in enumerate(squares) for b in squares[:i])
    with pytest.raises(BadInput, match=r"no room for [34] digits of 20 px and two cards of 10 px in 48 px"):
        sample_layout(replace(MINI, digit=20), "train", 0)


def test_an_action_is_a_digit_in_a_cards_ink_while_it_is_visible() -> None:
    """And a digit alone does not decide: whatever its ink, each of its two classes holds half of the time."""
    held = {(ink, late): list[bool]() for ink in INKS for late in (0, 1)}
    for layout in LAYOUTS:
        expected = set()
        for digit, item in layout.digits.items():
            seconds = item.frames.start / GENERATED_FPS, item.frames.stop / GENERATED_FPS
            for late in (0, 1):
                held[item.ink, late].append(layout.cards[late].ink == item.ink)
                if layout.cards[late].ink == item.ink:
                    expected.add((2 * MINI.digits.index(digit) + late, *seconds))
        assert {tuple(action) for action in layout_actions(MINI, layout)} == expected
    assert all(0.4 < np.mean(values) < 0.6 for values in held.values())


def test_a_cards_ink_changes_nothing_but_the_cards_square_while_it_is_visible() -> None:
    layout = LAYOUTS[0]
    early, late = layout.cards
    swapped = layout._replace(cards=(early._replace(ink="red" if early.ink == "green" else "green"), late))
    noise = [random_generator(MINI, "any", 0) for _ in range(2)]
    first, second = map(partial(render_layout, MINI, "train"), (layout, swapped), noise)
    changed = (first != second).any(3)  # (T, H, W)
    expected = np.zeros_like(changed)
    x, y, side = early.square
    expected[early.frames, y : y + side, x : x + side] = True
    assert not (changed & ~expected).any()
    assert (changed & expected).sum() > 0.9 * expected.sum()


def test_generated_videos_are_read_back_with_their_actions(data: Path) -> None:
    profile = smoke()
    settings = profile.actions.generator
    videos = load_videos(profile, "train", data, 1)
    assert videos.ids == (*(f"train{i:05d}" for i in range(24)), *(f"val{i:05d}" for i in range(16)))
    dataset = ActionClips(videos, ["train", "val"], 12, training=True)
    pixels, labels = dataset.__getitems__([ClipSample(39, 0.0), ClipSample(39, 1.0)])
    frames = videos.clips.frames[videos.ids.index("val00015")]  # type: ignore[union-attr]
    np.testing.assert_array_equal(pixels.numpy(), [frames[0:31:2], frames[1:32:2]])
    (drawn, actions), (other, _) = (render_video(settings, "val", index) for index in (15, 14))
    assert np.abs(frames.astype(int) - drawn).mean() < 8 < np.abs(frames.astype(int) - other).mean()
    assert classes_of(labels) == [{action.label for action in actions}] * 2
    assert np.allclose(videos.split.listed["val"]["val00015"], actions, atol=0.006)
    tested = load_videos(profile, "test", data, 1)
    assert tested.ids == tuple(f"test{i:05d}" for i in range(16))
    assert not ActionClips(tested, ["test"], 12, training=False).held_back
