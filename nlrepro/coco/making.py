"""The generated scenes (scenes.py) as a folder laid out as COCO 2017 is unpacked, so that they are read as COCO is.

    annotations/instances_<split>2017.json         categories 1 "red-card" and 2 "green-card", masks as compressed run lengths
    annotations/person_keypoints_<split>2017.json  the same objects, all of category 1 "person", with 17 keypoints
    <split>2017/000000000001.png ...
    scenes.json, checksums_<split>.json            the settings, and what tells damaged files

A keypoint has COCO's name of its number; what it is in a digit, strokes.py tells. What is missing or damaged is made and what is
there kept.
"""

import io
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from nlrepro.coco.annotations import FILES, api
from nlrepro.coco.scenes import Thing, scene
from nlrepro.config import Scenes
from nlrepro.data.synthetic import INKS
from nlrepro.files import BadInput, exclusive, write_atomic
from nlrepro.processes import Map, parallel_map, progress_bar

Row = dict[str, Any]  # as COCO has it
NOTE = "scenes.json"
LICENSE = {"id": 1, "name": "optdigits: CC BY 4.0", "url": "https://archive.ics.uci.edu/dataset/80"}
PARTS = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
NAMES = ["nose", *(f"{side}_{part}" for part in PARTS for side in ("left", "right"))]
PERSON = {"id": 1, "name": "person", "supercategory": "person", "keypoints": NAMES, "skeleton": []}
CARD = tuple(f"{ink}-card" for ink in INKS)
NAMED = {"card ink": CARD, "own ink": (*(f"{ink}-digit" for ink in INKS), *CARD)}  # categories, by what is told


def make(task: Scenes, root: Path, jobs: int) -> None:
    """Write what is missing or damaged below `root`, in `jobs` processes, with a progress bar. A second process waits.

    Raises:
        BadInput: `root` holds images of other settings, or real ones; the settings leave no room; or pycocotools is missing.
    """
    api()
    settings, note = json.dumps(task.recorded, indent=1), root / NOTE
    with exclusive(root.with_name(f".{root.name}.lock"), f"makes the images in {root}"):
        if not (note.is_file() and note.read_text() == settings):
            if note.exists() or (root / "annotations").exists():
                raise BadInput(f"{root} holds images of other settings, or others than generated ones; remove it or name another")
            write_atomic(note, settings)
        with parallel_map(jobs) as each:
            for split in task.images:
                if not whole(root, split):
                    write_split(task, root, split, each)


def whole(root: Path, split: str) -> bool:
    """Whether the files of a split are as the last `make` left them."""
    try:
        checksums = TypeAdapter(dict[str, int]).validate_json((root / f"checksums_{split}.json").read_bytes())
        return all(crc32((root / file).read_bytes()) == checksum for file, checksum in checksums.items())
    except (OSError, ValidationError):
        return False


def write_split(task: Scenes, root: Path, split: str, each: Map) -> None:
    """Draw all images of a split and write those that are not there as they should be; then the annotations."""
    files: dict[str, int] = {}
    images: list[Row] = []
    rows: list[Row] = []
    write = partial(write_image, task=task, root=root, split=split)
    drawn = each(write, range(task.images[split]))
    for image, checksum, found in progress_bar(drawn, total=task.images[split], desc=f"{root / folder(split)}", unit=" images"):
        files[f"{folder(split)}/{image['file_name']}"] = checksum
        images.append(image)
        rows += [{"id": len(rows) + i, "image_id": image["id"], **row} for i, row in enumerate(found, 1)]
    for name, content in contents(task, images, rows).items():
        file = f"annotations/{name}_{folder(split)}.json"
        files[file] = put(root / file, json.dumps(content).encode())
    write_atomic(root / f"checksums_{split}.json", json.dumps(files, indent=0))


def folder(split: str) -> str:
    return f"{split}2017"


def write_image(index: int, *, task: Scenes, root: Path, split: str) -> tuple[Row, int, list[Row]]:
    """Write an image; returns its row, its checksum, and the rows of its objects, without ids."""
    picture, things = scene(task, split, index)
    name = f"{index + 1:012d}.png"
    Image.fromarray(picture).save(content := io.BytesIO(), "png")
    checksum = put(root / folder(split) / name, content.getvalue())
    image = {"id": index + 1, "file_name": name, "width": task.size, "height": task.size, "license": 1}
    return image, checksum, [row(thing) for thing in things]


def put(path: Path, content: bytes) -> int:
    """Write a file, unless it has this content already; returns its checksum."""
    if not (path.is_file() and path.read_bytes() == content):
        write_atomic(path, content, sync=False)
    return crc32(content)


def row(thing: Thing) -> Row:
    """The fields of both files."""
    runs = api()[2].encode(np.asfortranarray(thing.mask, np.uint8))
    return {
        "category_id": thing.category,
        "bbox": list(thing.box),
        "area": int(thing.mask.sum()),
        "iscrowd": 0,
        "segmentation": {"size": runs["size"], "counts": runs["counts"].decode()},
        "keypoints": [round(value, 2) for value in thing.keypoints.flatten().tolist()],
        "num_keypoints": int((thing.keypoints[:, 2] > 0).sum()),
    }


def contents(task: Scenes, images: list[Row], rows: list[Row]) -> dict[str, Row]:
    """The two annotation files of a split by the beginnings of their names."""
    common = {"info": {"description": "generated scenes of nlrepro"}, "licenses": [LICENSE], "images": images}
    named = [{"id": number, "name": name, "supercategory": "thing"} for number, name in enumerate(NAMED[task.categories], 1)]
    boxes = [{name: value for name, value in row.items() if "keypoints" not in name} for row in rows]
    people = [row | {"category_id": PERSON["id"]} for row in rows]
    return {
        FILES["boxes"]: common | {"annotations": boxes, "categories": named},
        FILES["keypoints"]: common | {"annotations": people, "categories": [PERSON]},
    }
