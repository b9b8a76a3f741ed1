"""The generated scenes of Tables 5 and 6: what the drawing promises, the tree in COCO's layout, and what readers make of it."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from nlrepro.coco import making
from nlrepro.coco.data import Objects, for_training, tree
from nlrepro.coco.evaluation import MEASURES, Measure, detections, precision
from nlrepro.coco.layout import Digit, Layout, Scenes, layout, patch
from nlrepro.coco.making import make
from nlrepro.coco.scenes import INK, draw, scene, thing, told
from nlrepro.coco.strokes import keypoints
from nlrepro.data.synthetic import Box, digit_images, random_of
from nlrepro.files import BadInput, exclusive
from nlrepro.spec import Target

PLAIN = Scenes(
    seed=1,
    images={"train": 5, "val": 3, "test": 3},
    size=64,
    digits=(0, 1, 2, 3, 4, 7),
    digit=(8, 12),
    card=6,
    objects=(3, 6),
    far=20.0,
    tint=15.0,
    noise=8.0,
    hidden=0.0,
    twins=False,
)
TWINS = replace(PLAIN, objects=(4, 6), hidden=0.5, twins=True)
CASES: list[tuple[Target, Measure]] = [(kind, measure) for kind, measures in MEASURES.items() for measure in measures]
MANY = range(40)
both = pytest.mark.parametrize("task", [PLAIN, TWINS], ids=["plain", "twins"])


def layouts(task: Scenes, split: str = "train") -> list[Layout]:
    return [layout(task, split, index) for index in MANY]


@both
def test_a_scene_is_a_function_of_settings_split_and_index(task: Scenes) -> None:
    once, again = scene(task, "train", 3), scene(task, "train", 3)
    assert once.picture.shape == (64, 64, 3)
    np.testing.assert_array_equal(once.picture, again.picture)
    for first, second in zip(once.things, again.things, strict=True):
        assert (first.category, first.box) == (second.category, second.box)
        np.testing.assert_array_equal(first.mask, second.mask)
        np.testing.assert_array_equal(first.keypoints, second.keypoints)
    for other in (scene(task, "train", 4), scene(task, "val", 3), scene(replace(task, seed=2), "train", 3)):
        assert (other.picture != once.picture).mean() > 0.5  # background and noise too


def test_no_handwriting_of_one_split_is_in_another() -> None:
    drawn = {
        split: {digit.strokes.tobytes() for found in layouts(PLAIN, split) for digit in found.digits} for split in PLAIN.images
    }
    for split, strokes in drawn.items():
        images = (digit_images(number, split, side) for number in PLAIN.digits for side in range(8, 13))
        assert strokes <= {image.tobytes() for some in images for image in some}
    assert not drawn["train"] & drawn["val"]
    assert not drawn["train"] & drawn["test"]
    assert not drawn["val"] & drawn["test"]


@both
def test_the_cards_ink_decides_all_categories_and_nothing_else(task: Scenes) -> None:
    other = {"red": "green", "green": "red"}
    for index, found in enumerate(layouts(task)):
        swapped = found._replace(ink=other[found.ink])
        assert {digit.ink for digit in found.digits} == {"red", "green"}
        categories = [{category for _, category in told(task, each)} for each in (found, swapped)]
        assert categories == ([{1}, {2}] if found.ink == "red" else [{2}, {1}])
        pictures = [draw(task, each, random_of(task, "any", index)) for each in (found, swapped)]
        x, y, side = found.card
        differs = (pictures[0] != pictures[1]).any(2)
        assert differs[y : y + side, x : x + side].all()
        assert differs.sum() == side**2


@both
def test_no_digit_tells_the_cards_ink(task: Scenes) -> None:
    """Whichever digit is asked: its ink is the card's in half of the scenes."""
    found = [layout(task, "train", index) for index in range(200)]
    asked: list[Callable[[Layout], Digit]] = [
        lambda each: each.digits[0],
        lambda each: each.digits[-1],
        lambda each: min(each.digits, key=lambda digit: digit.square.distance(each.card)),
        lambda each: max(each.digits, key=lambda digit: digit.square.side),
        lambda each: max(each.digits, key=lambda digit: sum(digit.ink == other.ink for other in each.digits)),
    ]
    for ask in asked:
        assert 0.38 < np.mean([ask(each).ink == each.ink for each in found]) < 0.62
    assert 0.38 < np.mean([each.ink == "red" for each in found]) < 0.62


@both
def test_all_lies_inside_clear_and_far_from_the_card(task: Scenes) -> None:
    for found in layouts(task):
        boxes = [digit.square for digit in found.digits]
        assert task.objects[0] <= len(boxes) <= task.objects[1]
        assert all(8 <= box.side <= 12 for box in boxes)
        assert all(box.inside(64) for box in (found.card, *boxes))
        assert all(box.clear_of(other) for i, box in enumerate(boxes) for other in boxes[:i])
        assert all(found.card.distance(box) >= 20 for box in boxes)


def test_all_numbers_of_digits_and_sides_occur() -> None:
    found = layouts(PLAIN)
    assert {len(each.digits) for each in found} == {3, 4, 5, 6}
    assert {digit.square.side for each in found for digit in each.digits} == {8, 9, 10, 11, 12}
    assert {digit.number for each in found for digit in each.digits} == set(PLAIN.digits)
    assert {len(each.digits) for each in layouts(replace(TWINS, objects=(3, 7)))} == {4, 6}


@both
def test_boxes_enclose_masks_and_keypoints(task: Scenes) -> None:
    for index in MANY:
        for found in scene(task, "train", index).things:
            x, y, width, height = found.box
            rows, columns = np.nonzero(found.mask)
            assert (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1) == (x, x + width, y, y + height)
            square = found.digit.square
            inside = found.mask[square.y : square.y + square.side, square.x : square.x + square.side]
            np.testing.assert_array_equal(inside, found.digit.strokes > INK)
            labelled = found.keypoints[found.keypoints[:, 2] > 0]
            assert len(labelled) >= 6
            assert (labelled[:, :2] > (x, y)).all()
            assert (labelled[:, :2] < (x + width, y + height)).all()
            assert not found.keypoints[found.keypoints[:, 2] == 0].any()


def test_keypoints_of_a_letter_l() -> None:
    """Eight pixels of a side, a pixel a row and a column: an upright in columns 2 and 3, a foot in row 6 to column 5."""
    mask = np.zeros((8, 8), bool)
    mask[1:7, 2:4] = True
    mask[6, 4:6] = True
    hidden = np.zeros((8, 8), bool)
    hidden[:3] = True
    rows = [[0, 0, 0], [3, 1.5, 1], [3, 2.5, 1], [3, 3.5, 2], [3, 4.5, 2], [3, 5.5, 2], [4, 6.5, 2], [0, 0, 0]]
    columns = [[0, 0, 0], [0, 0, 0], [2.5, 4, 2], [3.5, 4, 2], [4.5, 6.5, 2], [5.5, 6.5, 2], [0, 0, 0], [0, 0, 0]]
    all_ink = [(12 * 3 + 4.5 + 5.5) / 14, (12 * 4 + 2 * 6.5) / 14, 2]
    np.testing.assert_allclose(keypoints(mask, hidden), [*rows, *columns, all_ink], rtol=1e-6)


@pytest.mark.parametrize("side", range(4, 17))
def test_keypoints_are_as_the_formula_says(side: int) -> None:
    """A loop over the formula, with rows of one or two pixels, or of none."""
    rng = np.random.default_rng(side)
    mask, hidden = rng.random((side, side)) < 0.3, rng.random((side, side)) < 0.5
    places: list[list[tuple[int, int]]] = [[] for _ in range(17)]
    for y in range(side):
        for x in range(side):
            if mask[y, x]:
                places[int((y + 0.5) * 8 / side)].append((x, y))
                places[8 + int((x + 0.5) * 8 / side)].append((x, y))
                places[16].append((x, y))
    for point, pixels in zip(keypoints(mask, hidden), places, strict=True):
        if not pixels:
            assert point.tolist() == [0, 0, 0]
            continue
        x, y = np.mean(pixels, axis=0) + 0.5
        np.testing.assert_allclose(point, [x, y, 1 if hidden[int(y), int(x)] else 2], rtol=1e-6)


def test_keypoints_lie_in_the_image_where_the_digit_does() -> None:
    digit = layout(PLAIN, "train", 0).digits[0]
    near = keypoints(digit.strokes > INK, digit.patch)
    far = thing(digit._replace(square=Box(30, 17, digit.square.side)), 1, 64).keypoints
    moved = near + np.where(near[:, 2:] > 0, (30, 17, 0), 0)
    np.testing.assert_allclose(far, moved)


def test_a_patch_hides_a_third_to_a_half_from_any_side() -> None:
    rng = np.random.default_rng(0)
    always = replace(PLAIN, hidden=1.0)
    for side in range(8, 13):
        for edge in range(4):
            hidden = [patch(always, side, edge, rng) for _ in range(30)]
            assert {np.rot90(each, -edge).any(1).sum() for each in hidden} == {*range(round(side / 3), side // 2 + 1)}
            assert all(np.rot90(each, -edge)[0].all() for each in hidden)
            assert all(each.any(1).all() or each.any(0).all() for each in hidden)
    edges = {
        (bool(p[0].all()), bool(p[:, 0].all()), bool(p[-1].all()), bool(p[:, -1].all()))
        for p in (patch(always, 8, e, rng) for e in range(4))
    }
    assert len(edges) == 4


def test_what_is_hidden_is_background_and_is_annotated_all_the_same() -> None:
    """The same scenes without patches have the same objects, but for the visibility of keypoints under patches."""
    hidden = 0
    quiet = replace(TWINS, noise=0.0, tint=0.0)
    for index in MANY:
        found = layout(quiet, "train", index)
        seen = found._replace(digits=tuple(digit._replace(patch=np.zeros_like(digit.patch)) for digit in found.digits))
        picture = draw(quiet, found, random_of(quiet, "any", index)).astype(int)
        grey = np.ptp(picture, axis=2) == 0
        for digit, whole in zip(found.digits, seen.digits, strict=True):
            part = np.s_[digit.square.y : digit.square.y + digit.square.side, digit.square.x : digit.square.x + digit.square.side]
            assert grey[part][digit.patch].all()
            assert not grey[part][(digit.strokes > INK) & ~digit.patch].any()
            one, two = thing(digit, 1, 64), thing(whole, 1, 64)
            assert (one.box, one.category) == (two.box, two.category)
            np.testing.assert_array_equal(one.mask, two.mask)
            np.testing.assert_array_equal(one.keypoints[:, :2], two.keypoints[:, :2])
            for (x, y, visible), whole_visible in zip(one.keypoints, two.keypoints[:, 2], strict=True):
                covered = visible and digit.patch[int(y) - digit.square.y, int(x) - digit.square.x]
                assert visible == (1 if covered else whole_visible)
            hidden += bool(digit.patch.any())
    assert 0.35 < hidden / sum(len(found.digits) for found in layouts(quiet)) < 0.65


def test_twins_share_a_handwriting_and_hide_opposite_sides() -> None:
    always = replace(TWINS, hidden=1.0)
    for found in layouts(always):
        for one, two in zip(found.digits[::2], found.digits[1::2], strict=True):
            assert (one.number, one.ink, one.square.side) == (two.number, two.ink, two.square.side)
            np.testing.assert_array_equal(one.strokes, two.strokes)
            assert one.square.distance(two.square) >= always.far
            assert one.patch.any()
            assert two.patch.any()
            assert not (one.patch & two.patch).any()
    for found in layouts(PLAIN):
        assert not any(digit.patch.any() for digit in found.digits)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objects": (1, 1)}, r"objects = \[1, 1\] has no number of at least 2; make it wider"),
        ({"objects": (5, 5), "twins": True}, r"objects = \[5, 5\] has no even number of at least 4; make it wider"),
        ({"far": 80.0}, r"no room for . digits of up to 12 px and a card of 6 px in 64 px, far = 80.0; make `size` larger"),
    ],
)
def test_settings_that_leave_no_room_are_told(changes: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        scene(Scenes(**asdict(PLAIN) | changes), "train", 0)


@pytest.fixture(scope="module", params=[PLAIN, TWINS], ids=["plain", "twins"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scenes, Path]:
    root = tmp_path_factory.mktemp("scenes") / "coco"
    make(request.param, root, 1)
    return request.param, root


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_tree_gives_back_the_scenes(made: tuple[Scenes, Path], split: str) -> None:
    task, root = made
    for kind in MEASURES:
        objects = Objects(for_training(tree(root, split, kind)))
        assert objects.tree.notes == ()
        assert len(objects) == task.images[split]
        for index, (pixels, found) in enumerate(objects):
            expected = scene(task, split, index)
            np.testing.assert_array_equal((255 * pixels).round().numpy().transpose(1, 2, 0), expected.picture)
            boxes = [[x, y, x + width, y + height] for x, y, width, height in (each.box for each in expected.things)]
            assert found["boxes"].tolist() == boxes
            if kind == "boxes":
                assert found["labels"].tolist() == [each.category for each in expected.things]
                np.testing.assert_array_equal(found["masks"].numpy(), [each.mask for each in expected.things])
            else:
                assert found["labels"].unique().tolist() == [1]
                np.testing.assert_allclose(found["keypoints"].numpy(), [each.keypoints for each in expected.things], atol=0.005)


@pytest.mark.parametrize(("kind", "measure"), CASES)
def test_the_truth_itself_has_100(made: tuple[Scenes, Path], kind: Target, measure: Measure) -> None:
    whole = tree(made[1], "val", kind)
    items = []
    for image, (_, found) in zip(whole.images, Objects(whole), strict=True):
        output = found | {"scores": torch.ones(len(found["labels"]))}
        if "masks" in found:
            output["masks"] = 0.9 * found["masks"][:, None]
        items += list(detections(image, output, measure))
    best = precision(whole.coco, whole.images, items, measure)
    assert [best.ap, best.ap50, best.ap75] == pytest.approx([100, 100, 100])


def test_the_files_are_cocos(made: tuple[Scenes, Path]) -> None:
    root = made[1]
    for name in ("instances", "person_keypoints"):
        content = json.loads((root / "annotations" / f"{name}_train2017.json").read_text())
        assert set(content) == {"info", "licenses", "images", "annotations", "categories"}
        api = COCO()
        api.dataset = content
        api.createIndex()
        for row in content["annotations"]:
            assert row["area"] == api.annToMask(row).sum()
        assert [row["id"] for row in content["annotations"]] == [*range(1, len(content["annotations"]) + 1)]
    assert (content["categories"][0]["name"], len(content["categories"][0]["keypoints"])) == ("person", 17)
    assert content["categories"][0]["keypoints"][:4] == ["nose", "left_eye", "right_eye", "left_ear"]
    for row in content["annotations"]:
        assert row["num_keypoints"] == sum(visible > 0 for visible in row["keypoints"][2::3])


def stamps(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_what_is_missing_or_damaged_is_made_and_the_rest_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "coco"
    make(PLAIN, root, 2)
    before, contents = stamps(root), {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with monkeypatch.context() as patched:
        patched.setattr(making, "write_split", None)  # nothing is drawn
        make(PLAIN, root, 1)
    assert stamps(root) == before
    images = sorted((root / "train2017").iterdir())
    images[0].unlink()
    images[1].write_bytes(images[1].read_bytes()[:-9])
    Image.new("RGB", (64, 64)).save(images[2])
    (root / "annotations" / "instances_val2017.json").write_text("{")
    (root / "checksums_test.json").write_text("{")
    make(PLAIN, root, 1)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == contents
    changed = {file for file, stamp in stamps(root).items() if stamp != before[file]}
    again = {"annotations/instances_val2017.json", *(f"checksums_{split}.json" for split in PLAIN.images)}
    assert changed == {str(image.relative_to(root)) for image in images[:3]} | again


def test_a_tree_that_was_cut_off_has_no_annotations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "coco"
    monkeypatch.setattr(making, "contents", None)
    with pytest.raises(TypeError):
        make(PLAIN, root, 1)
    assert len([*(root / "train2017").iterdir()]) == 5
    with pytest.raises(BadInput, match=r"no file .*instances_train2017.json"):
        tree(root, "train", "boxes")
    before = stamps(root)
    monkeypatch.undo()
    make(PLAIN, root, 1)
    assert tree(root, "train", "boxes").images == (1, 2, 3, 4, 5)
    assert before.items() <= stamps(root).items()


def test_other_settings_and_real_images_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "coco"
    few = replace(PLAIN, images={"val": 1})
    make(few, root, 1)
    before = stamps(root)
    with pytest.raises(
        BadInput, match=f"{root} holds images of other settings, or others than generated ones; remove it or name another"
    ):
        make(replace(few, noise=9.0), root, 1)
    (root / making.NOTE).unlink()
    with pytest.raises(BadInput, match="others than generated ones"):
        make(few, root, 1)
    del before[making.NOTE]
    assert stamps(root) == before


def test_a_second_process_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "coco"
    second = Thread(target=make, args=(replace(PLAIN, images={"val": 1}), root, 1))
    with exclusive(tmp_path / ".coco.lock", "holds it"):
        second.start()
        second.join(1.0)
        assert second.is_alive()
        assert not root.exists()
    second.join(60)
    assert "waiting: another process makes the images in" in capsys.readouterr().out
    assert tree(root, "val", "boxes").images == (1,)


def test_without_pycocotools_nothing_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(BadInput, match="pip install pycocotools"):
        make(PLAIN, tmp_path / "coco", 1)
    assert not (tmp_path / "coco").exists()


def test_of_things_each_has_the_category_of_its_own_ink_and_the_card_is_one() -> None:
    task = replace(PLAIN, told="things")
    for index in range(20):
        found, drawn = layout(task, "train", index), scene(task, "train", index)
        *digits, card = drawn.things
        assert [each.category for each in digits] == [1 if digit.ink == "red" else 2 for digit in found.digits]
        assert card.category == (3 if found.ink == "red" else 4)
        assert card.box == (found.card.x, found.card.y, found.card.side, found.card.side)
        assert (drawn.picture == scene(PLAIN, "train", index).picture).all()
