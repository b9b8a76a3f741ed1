"""COCO's folders: what is read of them, what is left out and counted, and which kind of damage is refused."""

import io
import json
import os
import sys
from collections.abc import Callable
from errno import EACCES
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import coco_tree
import pytest
import torch
from coco_tree import HEIGHT, INSTANCES, PEOPLE, WIDTH, annotation
from PIL import ExifTags, Image

from nlrepro.data.coco import (
    FILES,
    CocoImages,
    is_trainable,
    open_split,
    read_image,
    read_target,
    training_images,
)
from nlrepro.data.order import ImageSample
from nlrepro.files import BadInput
from nlrepro.spec import Target

Change = Callable[[dict[str, Any]], Any]  # of an annotation file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return coco_tree.make(tmp_path / "coco")


def change(root: Path, how: Change, kind: Target = "boxes") -> None:
    """Write an annotation file of val again, with a change."""
    file = json.loads((root / "annotations" / f"{FILES[kind]}_val2017.json").read_text())
    how(file)
    coco_tree.write(root, "val", FILES[kind], file)


def first(**fields: Any) -> Change:
    """Give the first annotation other fields."""
    return lambda file: file["annotations"][0].update(fields)


def runs(counts: list[int] | str, height: int = HEIGHT, width: int = WIDTH) -> dict[str, Any]:
    """A mask as run lengths."""
    return {"size": [height, width], "counts": counts}


def test_objects_and_their_masks(root: Path) -> None:
    split = training_images(open_split(root, "train", "boxes"))
    assert split.images == (1, 2)
    pixels, target = read_image(split, 1), read_target(split, 1)
    assert pixels.shape == (3, HEIGHT, WIDTH)
    assert 0 <= pixels.min() < 0.1 < 0.9 < pixels.max() <= 1
    assert target["boxes"].tolist() == [[4, 6, 44, 56], [50, 20, 80, 44]]
    assert target["labels"].tolist() == [1, 18]
    assert target["masks"].dtype == torch.uint8
    rectangle = torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8)
    rectangle[6:56, 4:44] = 1
    assert torch.equal(target["masks"][0], rectangle)
    assert target["masks"][1].sum().item() == pytest.approx(360, rel=0.1)
    assert (target["masks"][1][20, 50], target["masks"][1][40, 78]) == (1, 0)
    neither_crowd_nor_flat_box = [[62, 10, 92, 54]]
    assert read_target(split, 2)["boxes"].tolist() == neither_crowd_nor_flat_box
    Image.new("L", (WIDTH, HEIGHT), 128).save(split.folder / "000000000001.jpg")  # gray images have colours
    torch.testing.assert_close(read_image(split, 1), torch.full((3, HEIGHT, WIDTH), 128 / 255))


def test_people_have_keypoints_and_an_image_without_objects_an_empty_target(root: Path) -> None:
    boxes, people = open_split(root, "train", "boxes"), open_split(root, "train", "keypoints")
    target = read_target(people, 1)
    assert target.keys() == {"boxes", "labels", "keypoints"}
    assert target["labels"].tolist() == [1]
    assert target["keypoints"].shape == (1, 17, 3)
    assert target["keypoints"].flatten().tolist() == pytest.approx(PEOPLE[0]["keypoints"])
    shapes = {name: tuple(tensor.shape) for name, tensor in read_target(boxes, 3).items()}
    assert shapes == {"boxes": (0, 4), "labels": (0,), "masks": (0, HEIGHT, WIDTH)}
    assert read_target(people, 3)["keypoints"].shape == (0, 17, 3)


def test_what_is_left_out_is_counted(root: Path) -> None:
    notes = training_images(open_split(root, "train", "boxes")).notes
    crowds = ("2 crowds are left out", "1 boxes without area are left out")
    assert notes == ("1 images with nothing to learn from are left out", *crowds)
    (root / "train2017" / "000000000002.jpg").unlink()
    split = open_split(root, "train", "boxes")
    assert (split.images, split.listed) == ((1, 3), 3)
    counts = f"1 of 3 images have no file in {root / 'train2017'}"
    assert split.notes == (f"{counts} and are left out, such as '000000000002.jpg'",)


def test_training_takes_images_with_enough_to_learn_from_and_a_test_all(root: Path) -> None:
    thin, thick = annotation(1, 1, 1, 0, 0, 1, 30), annotation(1, 1, 1, 0, 0, 2, 2)
    assert not is_trainable([thin], "boxes")
    assert is_trainable([thin, thick], "boxes")
    people = open_split(root, "train", "keypoints")
    assert training_images(people).images == (1,)  # nine points are too few
    assert is_trainable(2 * people.rows(2), "keypoints")
    change(root, lambda file: file.update(annotations=[INSTANCES[4]]))
    split = open_split(root, "val", "boxes")
    assert split.images == (1, 2, 3)
    with pytest.raises(BadInput, match=r"no image in .*val2017 has an annotation to learn boxes from"):
        training_images(split)


def encoded(mode: str, width: int, height: int, kind: str = "png", **how: Any) -> bytes:
    Image.new(mode, (width, height)).save(file := io.BytesIO(), kind, **how)
    return file.getvalue()


def test_a_broken_image_stops_training_and_is_noted_in_a_test(root: Path) -> None:
    path = root / "val2017" / "000000000001.jpg"
    content, split = path.read_bytes(), open_split(root, "val", "boxes")
    (exif := Image.Exif())[ExifTags.Base.Orientation] = 6
    upright = f"is {HEIGHT}x{WIDTH}, in the annotations {WIDTH}x{HEIGHT}"
    for bad, words in {
        content[: len(content) // 2]: "is missing, damaged or no image .*truncated",
        b"no image": "is missing, damaged or no image",
        encoded("RGB", HEIGHT, WIDTH): f"{upright}; is it of another release",
        encoded("RGB", HEIGHT, WIDTH, exif=exif): f"{upright} before its EXIF turns it",
        encoded("1", 30000, 20000): "is missing, damaged or no image .*exceeds limit",
        encoded("I;16", WIDTH, HEIGHT): "has more than 8 bits a pixel",
        encoded("F", WIDTH, HEIGHT, "tiff"): "has more than 8 bits a pixel",
    }.items():
        path.write_bytes(bad)
        with pytest.raises(BadInput, match=f"000000000001.jpg {words}"):
            CocoImages(split, training=True)[ImageSample(0)]
    path.unlink()
    assert "is missing, damaged" in str(CocoImages(split, training=False)[ImageSample(0)][1])
    image, pixels, target = CocoImages(split, training=False)[ImageSample(1)]
    assert isinstance(pixels, torch.Tensor)
    assert (image, target) == (2, {})


@pytest.mark.parametrize("kind", FILES)
def test_a_mirrored_image_has_mirrored_objects(root: Path, kind: Target) -> None:
    images = CocoImages(open_split(root, "val", kind), training=True)
    (_, plain, before), (_, mirrored, after) = images[ImageSample(1)], images[ImageSample(1, mirrored=True)]
    assert torch.equal(mirrored, plain.flip(2))
    assert after["boxes"].tolist() == [[WIDTH - 92, 10, WIDTH - 62, 54]]
    if kind == "boxes":
        assert torch.equal(after["masks"], before["masks"].flip(2))
    else:
        x, y, visible = before["keypoints"][0, 1].tolist()
        assert after["keypoints"][0, 2].tolist() == [WIDTH - x, y, visible]  # the left eye is the right one
        assert not after["keypoints"][0, 9:].any()  # they are not labelled


@pytest.mark.parametrize(
    ("kind", "how", "words"),
    [
        ("boxes", lambda file: file.pop("categories"), "categories: there is no list of rows"),
        ("boxes", lambda file: file.update(annotations=[]), "annotations: there is no list of rows"),
        ("boxes", lambda file: file.update(images=[7]), "images, row 0: .*got 7"),
        ("boxes", lambda file: file["images"].append(file["images"][0]), "images: 2 rows have the id 1"),
        ("boxes", lambda file: file["images"][1].pop("width"), "images, id 2: width: Field required"),
        ("boxes", lambda file: file["categories"].append({"id": 91}), "category 91; .* from 1 to 90,"),
        ("keypoints", lambda file: file["categories"].append({"id": 2}), "category 2; .* from 1 to 1,"),
        ("boxes", first(id=0), "annotations, id 0: id: .*greater than or equal to 1"),
        ("boxes", first(image_id=9), "id 1: image_id: the file has no image 9"),
        ("boxes", first(category_id=19), "id 1: category_id: the file has no category 19"),
        ("boxes", first(area=float("nan")), "id 1: area: .*finite"),
        ("boxes", first(iscrowd=None), "id 1: iscrowd.*: .*got None"),
        ("boxes", first(area=-3), "id 1: area: .*greater than or equal to 0, got -3"),
        ("boxes", first(area=None), "id 1: area: .*got None"),
        ("boxes", first(category_id=[1]), r"id 1: category_id: .*got \[1\]"),
        ("boxes", first(bbox=[1, 2, 3]), r"id 1: bbox.3: Field required, got \[1, 2, 3\]"),
        ("boxes", first(bbox=[1, 2, -3, 4]), "id 1: bbox.2: .*greater than or equal to 0, got -3"),
        ("boxes", first(bbox=[97, 2, 3, 4]), "id 1: bbox: it lies outside of the image's 96x64"),
        ("boxes", first(bbox=None), "id 1: bbox: .*got None"),
        ("boxes", first(bbox=[1, 2, 3, "4"]), "id 1: bbox.3: .*got '4'"),
        ("boxes", first(segmentation=[]), r"id 1: segmentation.polygons: .*got \[\]"),
        ("boxes", first(segmentation=[[]]), r"id 1: segmentation.polygons.0: .*got \[\]"),
        ("boxes", first(segmentation=None), "id 1: segmentation.polygons: .*got None"),
        (
            "boxes",
            first(segmentation=[[None] * 60]),
            r"id 1: .*polygons.0.2: .*got None; and 57 more; unpack",
        ),
        (
            "boxes",
            first(segmentation=[[1, 2, 30, 4, 5, 60, 7]]),
            "id 1: segmentation: a polygon has 7 numbers",
        ),
        ("boxes", first(segmentation=[[1, 2, 30, 40]]), "id 1: segmentation: its first polygon"),
        ("boxes", first(segmentation=[[1, 2, 1e9, 4, 5, 6]]), "id 1: segmentation.polygons.0.2: .*to 100000"),
        ("boxes", first(segmentation={"counts": [9]}), "id 1: segmentation.run lengths.size: Field required"),
        (
            "boxes",
            first(segmentation=runs([6144], 96, 64)),
            "segmentation: a mask of 64x96 in an image of 96x64",
        ),
        ("boxes", first(segmentation=runs([6154])), "id 1: segmentation: its runs cover 6154 pixels of 6144"),
        ("boxes", first(segmentation=runs([])), "id 1: segmentation: its runs cover 0 pixels of 6144"),
        ("boxes", first(segmentation=runs("abc!!")), "id 1: segmentation: Invalid RLE mask representation"),
        ("keypoints", first(keypoints=[0] * 50), "id 1: keypoints: .*at least 51 items"),
        ("keypoints", first(num_keypoints=18), "id 1: num_keypoints: .*less than or equal to 17"),
    ],
)
def test_damaged_rows_are_refused_with_their_field(root: Path, kind: Target, how: Change, words: str) -> None:
    change(root, how, kind)
    with pytest.raises(BadInput, match=f"{FILES[kind]}_val2017.json.* {words}"):
        open_split(root, "val", kind)


def test_odd_but_readable_annotations_are_taken(root: Path) -> None:
    """Boxes beyond the image, other fields, whole numbers, true and false, second polygons of two points."""
    odd = {"bbox": [-3, 50, 200, 40], "iscrowd": False, "area": 3, "score": "x"}
    change(root, first(**odd, segmentation=[[50, 20, 80, 20, 50, 44], [1.5, 2, 3, 4]]))
    target = read_target(open_split(root, "val", "boxes"), 1)
    assert target["boxes"][0].tolist() == [0, 50, WIDTH, HEIGHT]
    assert target["masks"].shape == (2, HEIGHT, WIDTH)


def test_files_that_are_missing_or_no_json_are_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / "annotations" / "instances_val2017.json"
    for content in (b'{"images": [', b"\xff\xfe", b"[]", 100_000 * b"["):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=f"{path}(,| is damaged)"):
            open_split(root, "val", "boxes")
    path.unlink()
    with pytest.raises(BadInput, match=f"cannot read {path}: .*; unpack annotations_trainval2017.zip again"):
        open_split(root, "val", "boxes")
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", Mock(side_effect=PermissionError(EACCES, "denied", f"{root}/val2017")))
        with pytest.raises(BadInput, match=f"cannot read {root}/val2017: "):
            open_split(root, "val", "keypoints")
    (root / "val2017").rename(root / "elsewhere")
    with pytest.raises(BadInput, match=r"none of the 3 images is in .*; unpack val2017.zip there"):
        open_split(root, "val", "keypoints")
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(BadInput, match="pip install pycocotools"):
        open_split(root, "train", "boxes")
