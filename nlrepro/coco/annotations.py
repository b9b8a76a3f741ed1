"""COCO's annotation files, read whole and checked, as the objects of COCO's own API (pycocotools)."""

import io
import json
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from nlrepro.files import BadInput
from nlrepro.spec import COCO_CLASSES, Target

FILES: dict[Target, str] = {"boxes": "instances", "keypoints": "person_keypoints"}
ARCHIVE = "annotations_trainval2017.zip"
KEYPOINTS = 17  # of a person, each x, y and whether it is visible
FIELDS = ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation")


def api() -> tuple[ModuleType, ModuleType, ModuleType]:
    """pycocotools' coco, cocoeval and mask.

    Raises:
        BadInput: it is not installed.
    """
    try:
        from pycocotools import coco, cocoeval, mask
    except ImportError:
        raise BadInput("COCO's annotations need pycocotools, which is not installed: pip install pycocotools") from None
    return coco, cocoeval, mask


def silently(do: Any, *arguments: Any) -> Any:
    """What a function returns, without what it prints: pycocotools tells each of its steps."""
    with redirect_stdout(io.StringIO()):
        return do(*arguments)


def indexed(content: dict[str, Any]) -> Any:
    """A pycocotools `COCO` of these images, annotations and categories."""
    found = silently(api()[0].COCO)
    found.dataset = content
    silently(found.createIndex)
    return found


def annotations(root: Path, split: str, kind: Target) -> Any:
    """The `COCO` of `<root>/annotations/{instances,person_keypoints}_<split>2017.json`.

    Raises:
        BadInput: pycocotools or the file is missing, or the file is damaged, empty, or of other categories than the net's.
    """
    path = root / "annotations" / f"{FILES[kind]}_{split}2017.json"
    api()
    content = read(path)
    for name in ("images", "annotations", "categories"):
        rows = content.get(name)
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "id" in row for row in rows):
            raise BadInput(f"{path} has no list of {name} with ids; it is none of COCO's files of objects: {again()}")
        if not rows:
            raise BadInput(f"{path} has no {name}: there is nothing to learn or to test; {again()}")
        if len({row["id"] for row in rows}) < len(rows):
            raise BadInput(f"{path} has two {name} of one id; {again()}")
    check(content, kind, path)
    return indexed(content)


def again() -> str:
    return f"unpack {ARCHIVE} again (from https://cocodataset.org/#download)"


def read(path: Path) -> dict[str, Any]:
    """
    Raises:
        BadInput: no such file, or no JSON.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(
            f"no file {path}: unpack {ARCHIVE} (from https://cocodataset.org/#download) and point --data at the folder that "
            "holds annotations/, train2017/ and val2017/"
        ) from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}; check its permissions") from None
    except ValueError as error:  # of JSON, or of UTF-8
        raise BadInput(f"{path} is damaged or cut off ({error}); {again()}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds a {type(content).__name__} where COCO has images, annotations and categories; {again()}")
    return content


def check(content: dict[str, Any], kind: Target, path: Path) -> None:
    """
    Raises:
        BadInput: an image or an annotation is not as COCO's format has it, the first is named; or a category has no place.
    """
    for row in content["images"]:
        if lacking := [name for name in ("file_name", "height", "width") if name not in row]:
            raise BadInput(f"{path}: the image {row['id']} lacks {lacking[0]}; {again()}")
    categories = {row["id"] for row in content["categories"]}
    if strange := categories - {*range(1, COCO_CLASSES[kind])}:
        raise BadInput(
            f"{path} has the category {min(strange, key=str)!r}; COCO's {FILES[kind]} have numbers from 1 to "
            f"{COCO_CLASSES[kind] - 1}, and so has the net; is it of another data set?"
        )
    images = {row["id"]: row for row in content["images"]}
    for row in content["annotations"]:
        if reason := flaw(row, kind, images, categories):
            raise BadInput(f"{path}: the annotation {row['id']} {reason}; {again()}")


def flaw(row: dict[str, Any], kind: Target, images: Iterable[Any], categories: set[Any]) -> str | None:
    """What is wrong with an annotation; of id 0 COCO's evaluation would take each match for a miss."""
    people = ("keypoints", "num_keypoints") if kind == "keypoints" else ()
    if lacking := [name for name in (*FIELDS, *people) if name not in row]:
        return f"lacks {lacking[0]}"
    if not isinstance(row["id"], int) or row["id"] < 1:
        return "has no whole number of at least 1 as its id"
    if row["image_id"] not in images:
        return f"is of the image {row['image_id']}, which the file does not list"
    if row["category_id"] not in categories:
        return f"is of the category {row['category_id']}, which the file does not list"
    for name, length in (("bbox", 4), ("keypoints", 3 * KEYPOINTS if people else 0)):
        if length and not numbers(row[name], length):
            return f"has a {name} that is not {length} numbers"
    return None


def numbers(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length and all(isinstance(x, int | float) for x in value)
