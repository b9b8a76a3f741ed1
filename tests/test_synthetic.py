"""The generated task: what the kinds of videos promise, seen in the drawn pixels and in the files that decord decodes."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nlrepro.config import Generator, Kind, load_profile
from nlrepro.data import synthetic
from nlrepro.data.generate import encode, made, make
from nlrepro.data.synthetic import card_video, digit_images, kind_of, places, pretraining_image, random_of, tags, times
from nlrepro.data.videos import decode
from nlrepro.files import BadInput

TASK = load_profile("mini").generator
assert TASK
KINDS: tuple[Kind, ...] = tuple(TASK.kinds)
MANY = range(60)


@pytest.fixture
def task() -> Generator:
    assert TASK
    return TASK


def test_a_video_is_a_function_of_settings_split_and_index(task: Generator) -> None:
    once, again = card_video(task, "train", 3), card_video(task, "train", 3)
    np.testing.assert_array_equal(once[0], again[0])
    assert once[1:] == again[1:]
    assert (card_video(task, "val", 3)[0] != once[0]).any()
    assert (card_video(replace(task, seed=6), "train", 3)[0] != once[0]).any()


def test_no_digit_image_of_one_split_is_in_another() -> None:
    images = {fold: {image.tobytes() for image in digit_images(3, fold, 8)} for fold in ("train", "val", "test")}
    assert not images["train"] & images["val"]
    assert not images["train"] & images["test"]
    assert not images["val"] & images["test"]


@pytest.mark.parametrize("kind", KINDS)
def test_places_are_as_the_kind_says(task: Generator, kind: Kind) -> None:
    for index in MANY:
        card, its, other = places(task, kind, random_of(task, kind, index))
        assert all(box.inside(task.size) for box in (card, its, other))
        assert other.clear_of(its)
        assert other.clear_of(card)
        if kind == "near":
            assert card.clear_of(its, by=0)
            assert not card.clear_of(its, by=1)
        elif kind == "later":
            assert card.distance(its) <= 1
        else:  # the other digit is as far from the card as its own: the place tells nothing
            assert min(card.distance(its), card.distance(other)) >= task.far


@pytest.mark.parametrize("kind", KINDS)
def test_times_are_as_the_kind_says(task: Generator, kind: Kind) -> None:
    first, last = task.shown
    for index in MANY:
        when, visible = times(task, kind, random_of(task, kind, index))
        gap = max(when.start - visible.stop, visible.start - when.stop)
        assert first <= visible.start < visible.stop <= last
        assert 0 <= when.start < when.stop <= task.frames
        if kind in ("near", "far"):
            assert visible.start <= when.start < when.stop <= visible.stop
        else:
            assert gap >= 2  # frames, so that no pool bridges it
        assert (kind == "outside") == (when.stop <= first or when.start >= last)


def test_kinds_come_in_their_shares_and_each_digit_is_a_label(task: Generator) -> None:
    drawn = [card_video(task, "val", index)[1:] for index in range(600)]
    found = Counter(kind for _, kind in drawn)
    for kind, share in task.kinds.items():
        assert found[kind] / 600 == pytest.approx(share, abs=0.06)
    assert {name for name, _ in drawn} == set(map(str, task.digits))


def test_the_label_is_the_digit_in_the_cards_ink(monkeypatch: pytest.MonkeyPatch, task: Generator) -> None:
    """Seen at the painter, which knows no label: two digits of two inks, then the card."""
    painted: list[str] = []
    whose: list[int] = []
    digit_image = synthetic.digit_image
    monkeypatch.setattr(synthetic, "paint", lambda frames, coverage, ink, box: painted.append(ink))
    monkeypatch.setattr(
        synthetic, "digit_image", lambda task, digit, *rest: whose.append(digit) or digit_image(task, digit, *rest)
    )
    for index in range(20):
        painted.clear()
        whose.clear()
        name = card_video(task, "val", index)[1]
        assert sorted(painted[:2]) == sorted(synthetic.INKS)
        assert name == str(whose[painted[:2].index(painted[2])])


def test_a_task_without_room_is_refused(task: Generator) -> None:
    with pytest.raises(BadInput, match="no room for two digits of 8 px and a card of 6 px, far, in 32 px"):
        places(replace(task, far=60.0), "far", random_of(task, "val", 0))


def test_stills_show_what_their_tags_say(task: Generator) -> None:
    """No tag: no colour. Green or red pixels appear where, and only where, a tag of that ink is set."""
    quiet = replace(task, noise=0.0, tint=0.0)
    for index in MANY:
        frame, shown = pretraining_image(quiet, "val", index)
        strong = frame.astype(int)
        red, green = (strong[..., 0] - strong[..., 1] > 60).any(), (strong[..., 1] - strong[..., 0] > 60).any()
        names = {name for name, there in zip(tags(quiet), shown, strict=True) if there}
        assert red == any(name.endswith("red") for name in names)
        assert green == any(name.endswith("green") for name in names)


def test_inks_survive_the_video_file(task: Generator, tmp_path: Path) -> None:
    clean = replace(task, noise=0.0)
    for index in range(10):
        frames = card_video(clean, "val", index)[0]
        (tmp_path / "video.mp4").write_bytes(encode(frames, clean))
        found = decode(tmp_path / "video.mp4", task.size, task.frames)
        inked = np.abs(frames[..., 0].astype(int) - frames[..., 1]) > 60  # (T, H, W)
        assert np.abs(found.astype(int) - frames)[inked].mean() < 8  # of 255: about 4; with chroma subsampling 15 to 26


def test_missing_videos_are_made_and_strangers_left_alone(task: Generator, tmp_path: Path) -> None:
    few = replace(task, videos={"val": 4})
    make(few, tmp_path / "few", 1)
    paths = sorted((tmp_path / "few/val").glob("*/*.mp4"))
    assert {kind_of(str(path)) for path in paths} <= set(KINDS)
    content = paths[0].read_bytes()
    paths[0].write_bytes(b"")  # as a loss of power leaves it
    (paths[0].parent / "abc.mp4").write_bytes(b"of a stranger")
    make(few, tmp_path / "few", 1)
    assert paths[0].read_bytes() == content
    assert made(tmp_path / "few/val") == set(range(4))


def test_videos_of_other_settings_are_refused(task: Generator, tmp_path: Path) -> None:
    make(replace(task, videos={"val": 1}), tmp_path / "few", 1)
    with pytest.raises(BadInput, match="remove that folder and run `data make` again"):
        make(replace(task, videos={"val": 1}, noise=9.0), tmp_path / "few", 1)
