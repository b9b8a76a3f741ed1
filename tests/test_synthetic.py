"""The videos of Table 2: what each kind promises, in the drawn pixels and in the files that are read back."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nlrepro.config import VideoKind, load_profile
from nlrepro.data.decode import read_generated
from nlrepro.data.synthetic import drawing
from nlrepro.data.synthetic.card_videos import (
    card_video,
    kind_of,
    pretraining_image,
    sample_squares,
    sample_times,
    tags,
    video_path,
)
from nlrepro.data.synthetic.drawing import INKS, random_generator
from nlrepro.data.synthetic.write import encode_small
from nlrepro.files import BadInput

MINI = load_profile("mini").generator
KINDS: tuple[VideoKind, ...] = tuple(MINI.kinds)
MANY = range(60)


@pytest.mark.parametrize("kind", KINDS)
def test_places_are_as_the_kind_says(kind: VideoKind) -> None:
    for index in MANY:
        card, own, other = sample_squares(MINI, kind, random_generator(MINI, kind, index))
        assert all(square.inside(MINI.size) for square in (card, own, other))
        assert other.clear_of(own)
        assert other.clear_of(card)
        if kind in ("near", "outside-near"):
            assert card.clear_of(own, by=0)
            assert not card.clear_of(own, by=1)
        elif kind == "later":
            assert card.distance(own) <= 1
        else:  # the other digit is far from the card too: the place gives nothing away
            assert min(card.distance(own), card.distance(other)) >= MINI.far


@pytest.mark.parametrize("kind", KINDS)
def test_times_are_as_the_kind_says(kind: VideoKind) -> None:
    first, last = MINI.shown
    for index in MANY:
        card, digits = sample_times(MINI, kind, random_generator(MINI, kind, index))
        assert first <= digits.start < digits.stop <= last
        assert 0 <= card.start < card.stop <= MINI.frames
        if kind in ("near", "far"):
            assert digits.start <= card.start < card.stop <= digits.stop
        else:
            gap = max(card.start - digits.stop, digits.start - card.stop)
            assert gap >= 2  # frames, so that no pool bridges it
        assert kind.startswith("outside") == (card.stop <= first or card.start >= last)


def test_outside_of_a_short_clip_the_card_touches_its_digit_which_is_there_again() -> None:
    quiet, (first, last) = replace(MINI, noise=0.0, kinds={"outside-near": 1.0}), MINI.shown
    for index in MANY:
        frames, _, kind = card_video(quiet, "val", index)
        red, green, _ = frames.astype(int).transpose(3, 0, 1, 2)  # (T, H, W) each
        inked = np.abs(red - green) > 60  # (T, H, W)
        outer = np.concatenate([inked[: first - 1], inked[last + 1 :]])  # (T, H, W)
        shown = outer[outer.any((1, 2))]
        assert kind == "outside-near"
        assert len(shown) == 3
        assert (shown.sum((1, 2)) > MINI.card**2 + 10).all()  # the card and a digit
        assert len({frame.tobytes() for frame in inked[first:last]}) == 2  # the digits, and nothing


def test_kinds_come_in_their_shares_and_each_digit_is_a_label() -> None:
    paths = [video_path(MINI, "val", index) for index in range(600)]
    counts = Counter(map(kind_of, paths))
    assert {kind: counts[kind] / 600 for kind in MINI.kinds} == pytest.approx(MINI.kinds, abs=0.06)
    assert {path.split("/")[1] for path in paths} == set(map(str, MINI.digits))
    for index in range(20):
        _, label, kind = card_video(MINI, "val", index)
        assert paths[index] == f"val/{label}/{index:05d}-{kind}.mp4"
    assert kind_of("petting_cat/abc.mp4") == ""


def test_the_label_is_the_digit_in_the_cards_ink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen at the painter, which knows no label: two digits of two inks, and last the card."""
    inks: list[str] = []
    digits: list[int] = []
    image = drawing.random_digit_image
    monkeypatch.setattr(drawing, "paint", lambda frames, coverage, ink, square: inks.append(ink))
    monkeypatch.setattr(
        drawing, "random_digit_image", lambda digit, *rest: digits.append(digit) or image(digit, *rest)
    )
    for index in range(20):
        inks.clear()
        digits.clear()
        label = card_video(MINI, "val", index)[1]
        assert sorted(inks[:2]) == sorted(INKS)
        assert label == str(digits[inks[:2].index(inks[-1])])


def test_settings_without_room_are_refused() -> None:
    with pytest.raises(BadInput, match="no room for two digits of 12 px and a card of 10 px, far, in 48 px"):
        sample_squares(replace(MINI, far=60.0), "far", random_generator(MINI, "val", 0))


def test_stills_show_what_their_tags_say() -> None:
    """No tag: no colour. Green or red pixels appear where, and only where, a tag of that ink is set."""
    quiet = replace(MINI, noise=0.0, tint=0.0)
    for index in MANY:
        frame, present = pretraining_image(quiet, "val", index)
        red, green, _ = frame.astype(int).transpose(2, 0, 1)  # (H, W) each
        names = [name for name, there in zip(tags(quiet), present, strict=True) if there]
        assert (red - green > 60).any() == any(name.endswith("red") for name in names)
        assert (green - red > 60).any() == any(name.endswith("green") for name in names)


def test_inks_survive_the_video_file(tmp_path: Path) -> None:
    clean = replace(MINI, noise=0.0)
    for index in range(10):
        frames = card_video(clean, "val", index)[0]
        (tmp_path / "video.mp4").write_bytes(encode_small(frames, clean.crf))
        decoded = read_generated(tmp_path / "video.mp4", MINI.size, MINI.frames)
        inked = np.abs(frames[..., 0].astype(int) - frames[..., 1]) > 60  # (T, H, W)
        error = np.abs(decoded.astype(int) - frames)[inked].mean()
        assert error < 8  # of 255: about 4; with chroma subsampling 15 to 26
