"""COCO's folders: what is read of them, what is left out and counted, and what is said of each kind of damage."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coco_tree
import pytest
import torch
from coco_tree import HEIGHT, INSTANCES, PEOPLE, WIDTH, annotation, points
from PIL import Image

from nlrepro.coco.data import Objects, for_training, picture, target, teaches, tree
from nlrepro.files import BadInput
from nlrepro.spec import Target


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return coco_tree.make(tmp_path / "coco")


def changed(root: Path, change: Callable[[dict[str, Any]], None], kind: str = "instances") -> None:
    """Write an annotation file of val again, with a change."""
    path = root / "annotations" / f"{kind}_val2017.json"
    found = json.loads(path.read_text())
    change(found)
    coco_tree.write(root, "val", kind, found)


def test_objects_and_their_masks(root: Path) -> None:
    objects = Objects(for_training(tree(root, "train", "boxes")))
    assert objects.tree.images == (1, 2)
    pixels, found = objects[0]
    assert pixels.shape == (3, HEIGHT, WIDTH)
    assert 0 <= pixels.min() < 0.1 < 0.9 < pixels.max() <= 1
    assert found["boxes"].tolist() == [[4, 6, 44, 56], [50, 20, 80, 44]]
    assert found["labels"].tolist() == [1, 18]
    assert found["masks"].dtype == torch.uint8
    rectangle = torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8)
    rectangle[6:56, 4:44] = 1
    assert torch.equal(found["masks"][0], rectangle)
    assert found["masks"][1].sum().item() == pytest.approx(360, rel=0.1)
    assert found["masks"][1][20, 50] == 1
    assert found["masks"][1][40, 78] == 0
    assert objects[1][1]["boxes"].tolist() == [[62, 10, 92, 54]]  # neither the crowd nor the box without width
    assert len(objects) == 2


def test_people_and_their_keypoints(root: Path) -> None:
    found = target(tree(root, "train", "keypoints"), 1)
    assert found["labels"].tolist() == [1]
    assert found["keypoints"].flatten().tolist() == pytest.approx(PEOPLE[0]["keypoints"])
    assert found["keypoints"].shape == (1, 17, 3)
    assert "masks" not in found


@pytest.mark.parametrize(("kind", "shapes"), [("boxes", {"masks": (0, HEIGHT, WIDTH)}), ("keypoints", {"keypoints": (0, 17, 3)})])
def test_an_image_without_objects_has_an_empty_target(root: Path, kind: Target, shapes: dict[str, tuple[int, ...]]) -> None:
    found = target(tree(root, "train", kind), 3)
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == {"boxes": (0, 4), "labels": (0,), **shapes}


def test_boxes_end_where_the_image_does(root: Path) -> None:
    changed(root, lambda found: found["annotations"][0].update(bbox=[-3, 50, 200, 40]))
    assert target(tree(root, "val", "boxes"), 1)["boxes"][0].tolist() == [0, 50, WIDTH, HEIGHT]


def test_what_is_left_out_is_counted(root: Path) -> None:
    (root / "train2017" / "000000000002.jpg").unlink()
    whole = tree(root, "train", "boxes")
    assert whole.images == (1, 3)
    assert whole.listed == 3
    assert whole.notes == (f"1 of 3 images have no file in {root / 'train2017'} and are left out",)
    assert for_training(whole).notes[1:] == ("1 images with nothing to learn from are left out", "1 crowds are left out")
    coco_tree.make(root / "whole")
    notes = for_training(tree(root / "whole", "train", "boxes")).notes
    assert notes[1:] == ("2 crowds are left out", "1 boxes without area are left out")
    people = for_training(tree(root / "whole", "train", "keypoints"))
    assert people.images == (1,)  # nine visible keypoints are too few


def test_what_an_image_teaches() -> None:
    thin, thick = annotation(1, 1, 1, 0, 0, 1, 30), annotation(1, 1, 1, 0, 0, 2, 2)
    assert not teaches([thin], "boxes")
    assert teaches([thin, thick], "boxes")
    assert not teaches([thick | {"iscrowd": 1}], "boxes")
    assert not teaches([], "boxes")
    assert not teaches([thick | points(0, 0, 2, 2, seen=5)], "keypoints")
    assert teaches([thick | points(0, 0, 2, 2, seen=5)] * 2, "keypoints")


def test_a_test_takes_images_without_objects_too(root: Path) -> None:
    assert tree(root, "val", "boxes").images == (1, 2, 3)
    assert tree(root, "val", "boxes").notes == ()


def test_gray_images_become_colours(root: Path) -> None:
    Image.new("L", (WIDTH, HEIGHT), 128).save(root / "val2017" / "000000000001.jpg")
    found = picture(tree(root, "val", "boxes"), 1)
    assert found.shape == (3, HEIGHT, WIDTH)
    assert found.unique().tolist() == pytest.approx([128 / 255])


def test_a_broken_image_is_told_with_what_to_do(root: Path) -> None:
    path = root / "val2017" / "000000000001.jpg"
    content, whole = path.read_bytes(), tree(root, "val", "boxes")
    Image.new("RGB", (WIDTH, HEIGHT - 1)).save(wrong := io.BytesIO(), "jpeg")
    damages: list[tuple[bytes, str]] = [
        (content[: len(content) // 2], "is missing or damaged .*truncated"),
        (b"no image", "is no image"),
        (b"", "is no image"),
        (wrong.getvalue(), f"is {WIDTH}x{HEIGHT - 1} where the annotations say {WIDTH}x{HEIGHT}; is it of another release"),
    ]
    for bad, words in damages:
        path.write_bytes(bad)
        with pytest.raises(BadInput, match=f"000000000001.jpg {words}"):
            picture(whole, 1)
    path.unlink()
    with pytest.raises(BadInput, match=r"is missing or damaged .*; unpack val2017.zip again"):
        picture(whole, 1)


Change = Callable[[dict[str, Any]], Any]
CHANGES: list[tuple[str, Change, str]] = [
    ("instances", lambda found: found.pop("categories"), "has no list of categories with ids"),
    ("instances", lambda found: found.update(images=[7]), "has no list of images with ids"),
    ("instances", lambda found: found.update(annotations=[]), "has no annotations: there is nothing to learn or to test"),
    ("instances", lambda found: found["images"].append(found["images"][0]), "has two images of one id"),
    ("instances", lambda found: found["images"][1].pop("width"), "the image 2 lacks width"),
    ("instances", lambda found: found["categories"].append({"id": 91}), "has the category 91; COCO's .* from 1 to 90"),
    ("person_keypoints", lambda found: found["categories"].append({"id": 2}), "has the category 2; COCO's .* from 1 to 1,"),
    ("instances", lambda found: found["annotations"][1].update(category_id=19), "the annotation 2 is of the category 19, which"),
    ("instances", lambda found: found["annotations"][1].update(image_id=9), "the annotation 2 is of the image 9, which"),
    ("instances", lambda found: found["annotations"][1].pop("area"), "the annotation 2 lacks area"),
    ("instances", lambda found: found["annotations"][1].update(bbox=[1, 2, 3]), "has a bbox that is not 4 numbers"),
    ("instances", lambda found: found["annotations"][1].update(id=0), "the annotation 0 has no whole number of at least 1"),
    ("person_keypoints", lambda found: found["annotations"][0].pop("num_keypoints"), "the annotation 1 lacks num_keypoints"),
    ("person_keypoints", lambda found: found["annotations"][0]["keypoints"].pop(), "has a keypoints that is not 51 numbers"),
]


@pytest.mark.parametrize(("kind", "change", "words"), CHANGES)
def test_damaged_annotations_are_told_with_what_to_do(root: Path, kind: str, change: Change, words: str) -> None:
    changed(root, change, kind)
    with pytest.raises(BadInput, match=f"{kind}_val2017.json.* {words}.*(unpack annotations_trainval2017.zip again|data set)"):
        tree(root, "val", "boxes" if kind == "instances" else "keypoints")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b'{"images": [', "is damaged or cut off"), (b"\xff\xfe", "is damaged"), (b"", "is damaged"), (b"[]", "holds a list where")],
)
def test_a_file_that_is_no_json_is_told(root: Path, content: bytes, words: str) -> None:
    (root / "annotations" / "instances_val2017.json").write_bytes(content)
    with pytest.raises(BadInput, match=f"instances_val2017.json {words}"):
        tree(root, "val", "boxes")


def test_what_is_missing_is_told(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r"no file .*instances_val2017.json: unpack annotations_trainval2017.zip .* point --data"):
        tree(tmp_path, "val", "boxes")
    for path in (root / "val2017").iterdir():
        path.unlink()
    for _ in range(2):
        with pytest.raises(BadInput, match=r"none of the 3 images of val2017 is in .*; unpack val2017.zip there"):
            tree(root, "val", "boxes")
        if (root / "val2017").is_dir():
            (root / "val2017").rmdir()
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(BadInput, match=r"pycocotools, which is not installed: pip install pycocotools"):
        tree(root, "val", "boxes")


def test_a_tree_without_objects_teaches_nothing(root: Path) -> None:
    changed(root, lambda found: found.update(annotations=[INSTANCES[4]]))
    with pytest.raises(BadInput, match=r"no image in .*val2017 has an annotation to learn boxes from"):
        for_training(tree(root, "val", "boxes"))


def test_a_damaged_segmentation_is_told(root: Path) -> None:
    changed(root, lambda found: found["annotations"][0].update(segmentation={"counts": 3}))
    with pytest.raises(BadInput, match="the annotation 1 of val2017 has a damaged segmentation"):
        target(tree(root, "val", "boxes"), 1)
