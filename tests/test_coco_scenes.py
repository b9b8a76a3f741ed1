"""The scenes of Tables 5 and 6: what the drawing promises, and what COCO's readers make of the files."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from nlrepro.config import Scenes, load_profile
from nlrepro.data.coco import open_split, read_image, read_target, training_images
from nlrepro.data.synthetic.drawing import random_generator
from nlrepro.data.synthetic.scenes import (
    INK,
    Layout,
    annotate,
    annotated_objects,
    digit_keypoints,
    render_layout,
    render_scene,
    sample_layout,
)
from nlrepro.files import BadInput
from nlrepro.spec import Target

SCENES = load_profile("coco-smoke").detection.scenes
PLAIN, TWINS = SCENES["boxes"], SCENES["keypoints"]
MANY = range(40)
both = pytest.mark.parametrize("settings", [PLAIN, TWINS], ids=["plain", "twins"])


def layouts(settings: Scenes) -> list[Layout]:
    return [sample_layout(settings, "train", index) for index in MANY]


@both
def test_the_cards_ink_decides_all_categories_and_nothing_else(settings: Scenes) -> None:
    """With "own ink" each object has the category of its ink, and the card is one."""
    number, other = {"red": 1, "green": 2}, {"red": "green", "green": "red"}
    for index, layout in enumerate(layouts(settings)):
        assert {digit.ink for digit in layout.digits} == {"red", "green"}
        pair = layout, layout._replace(ink=other[layout.ink])
        for each in pair:
            categories = [category for _, category in annotated_objects(settings, each)]
            assert categories == [number[each.ink]] * len(layout.digits)
        noise = [random_generator(settings, "any", index) for _ in pair]
        first, second = map(partial(render_layout, settings), pair, noise)
        x, y, side = layout.card
        changed = (first != second).any(2)  # (H, W)
        assert changed[y : y + side, x : x + side].all()
        assert changed.sum() == side**2

        *digits, (card, of_card) = annotated_objects(replace(settings, categories="own ink"), layout)
        assert [category for _, category in digits] == [number[digit.ink] for digit in layout.digits]
        assert (of_card, annotate(card, of_card, settings.size).box) == (
            2 + number[layout.ink],
            (x, y, side, side),
        )


@both
def test_all_lies_inside_clear_and_far_from_the_card_in_all_numbers_and_sides(settings: Scenes) -> None:
    """And whichever digit is asked: its ink is the card's in half of the scenes."""
    many = [sample_layout(settings, "train", index) for index in range(200)]
    low, high = settings.objects
    assert {len(layout.digits) for layout in many} == {*range(low, high + 1)}
    low, high = settings.digit
    assert {digit.square.side for layout in many for digit in layout.digits} == {*range(low, high + 1)}
    assert {digit.number for layout in many for digit in layout.digits} == set(settings.digits)
    for layout in many:
        squares = [digit.square for digit in layout.digits]
        assert all(square.inside(settings.size) for square in (layout.card, *squares))
        assert all(square.clear_of(other) for i, square in enumerate(squares) for other in squares[:i])
        assert all(layout.card.distance(square) >= settings.far for square in squares)
    nearest = [min(each.digits, key=lambda digit: digit.square.distance(each.card)) for each in many]
    largest = [max(each.digits, key=lambda digit: digit.square.side) for each in many]
    first, last = [each.digits[0] for each in many], [each.digits[-1] for each in many]
    for digits in (first, last, nearest, largest):
        assert 0.38 < np.mean([d.ink == layout.ink for d, layout in zip(digits, many, strict=True)]) < 0.62


@both
def test_boxes_enclose_masks_and_keypoints(settings: Scenes) -> None:
    """As if no patch were there."""
    for layout in layouts(settings):
        for glyph in layout.digits:
            item = annotate(glyph, 1, settings.size)
            x, y, width, height = item.box
            rows, columns = np.nonzero(item.mask)
            assert (columns.min(), columns.max() + 1) == (x, x + width)
            assert (rows.min(), rows.max() + 1) == (y, y + height)
            left, top, side = glyph.square
            inside = item.mask[top : top + side, left : left + side]
            np.testing.assert_array_equal(inside, glyph.strokes > INK)
            labelled = item.keypoints[item.keypoints[:, 2] > 0, :2]
            assert len(labelled) >= 6
            assert ((labelled > (x, y)) & (labelled < (x + width, y + height))).all()
            assert not item.keypoints[item.keypoints[:, 2] == 0].any()


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_keypoints_are_means_of_rows_and_columns_and_of_all(scale: int) -> None:
    """Two pixels side by side in row 2, columns 1 and 2 of 8, and what is hidden ends between them."""
    mask, patch = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    mask[2, 1:3], patch[:, :2] = True, True
    square = np.ones((scale, scale), bool)
    points = digit_keypoints(np.kron(mask, square), np.kron(patch, square))
    expected = np.zeros((17, 3))
    expected[2] = expected[16] = 2 * scale, 2.5 * scale, 2
    expected[8 + 1] = 1.5 * scale, 2.5 * scale, 1
    expected[8 + 2] = 2.5 * scale, 2.5 * scale, 2
    np.testing.assert_allclose(points, expected, rtol=1e-6)


def test_half_of_the_digits_have_a_patch_of_background() -> None:
    quiet = replace(TWINS, noise=0.0, tint=0.0)
    many = layouts(quiet)
    assert 0.35 < np.mean([digit.patch.any() for layout in many for digit in layout.digits]) < 0.65
    for index, layout in enumerate(many):
        image = render_layout(quiet, layout, random_generator(quiet, "any", index)).astype(int)
        grey = np.ptp(image, axis=2) == 0  # (H, W)
        for digit in layout.digits:
            x, y, side = digit.square
            part = grey[y : y + side, x : x + side]
            assert part[digit.patch].all()
            assert not part[(digit.strokes > INK) & ~digit.patch].any()


def test_twins_share_a_handwriting_and_hide_a_third_to_a_half_from_opposite_sides() -> None:
    always, edges = replace(TWINS, hidden=1.0), set()
    for layout in layouts(always):
        for one, two in zip(layout.digits[::2], layout.digits[1::2], strict=True):
            assert (one.number, one.ink, one.square.side) == (two.number, two.ink, two.square.side)
            np.testing.assert_array_equal(one.strokes, two.strokes)
            assert one.square.distance(two.square) >= always.far
            assert not (one.patch & two.patch).any()
            for side, patch in ((digit.square.side, digit.patch) for digit in (one, two)):
                assert round(side / 3) <= patch.sum() / side <= side // 2
                edges |= {edge for edge in range(4) if np.rot90(patch, -edge)[0].all()}
    assert edges == {0, 1, 2, 3}
    assert not any(digit.patch.any() for layout in layouts(PLAIN) for digit in layout.digits)


def test_settings_that_leave_no_room_are_refused() -> None:
    for changes, words in (
        ({"objects": (1, 1)}, r"objects = \[1, 1\] has no number of at least 2"),
        ({"objects": (5, 5), "twins": True}, r"objects = \[5, 5\] has no even number of at least 4"),
        ({"far": 80.0}, "no room for . digits of up to 16 px and a card of 8 px in 64 px, far = 80.0"),
    ):
        with pytest.raises(BadInput, match=words):
            render_scene(replace(PLAIN, **changes), "train", 0)


@pytest.mark.parametrize("name", ["train", "test"])
@pytest.mark.parametrize("settings", SCENES)
@pytest.mark.parametrize("kind", ["boxes", "keypoints"])
def test_the_files_give_back_the_scenes(data: Path, name: str, settings: Target, kind: Target) -> None:
    split = training_images(open_split(data / f"coco-smoke-{settings}", name, kind))
    assert (len(split.images), split.notes) == (SCENES[settings].images[name], ())
    assert sorted(split.coco.anns) == [*range(1, len(split.coco.anns) + 1)]
    for index, image_id in enumerate(split.images):
        image, objects = render_scene(SCENES[settings], name, index)
        pixels, target = read_image(split, image_id), read_target(split, image_id)
        np.testing.assert_array_equal((255 * pixels).round().numpy().transpose(1, 2, 0), image)
        corners = [[x, y, x + width, y + height] for x, y, width, height in (item.box for item in objects)]
        assert target["boxes"].tolist() == corners
        if kind == "boxes":
            assert target["labels"].tolist() == [item.category for item in objects]
            np.testing.assert_array_equal(target["masks"].numpy(), [item.mask for item in objects])
        else:
            assert target["labels"].unique().tolist() == [1]
            expected = [item.keypoints for item in objects]
            np.testing.assert_allclose(target["keypoints"].numpy(), expected, atol=0.005)
