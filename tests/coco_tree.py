"""A tiny COCO 2017 in its usual folders: three images of 96x64, the third with crowds alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 96, 64
PERSON, DOG = 1, 18


def annotation(number: int, image: int, category: int, *box: float, **other: Any) -> dict[str, Any]:
    """A rectangle that fills its box."""
    x, y, width, height = box
    polygon = [x, y, x + width, y, x + width, y + height, x, y + height]
    row = {"id": number, "image_id": image, "category_id": category, "bbox": list(box), "iscrowd": 0}
    return row | {"area": width * height, "segmentation": [polygon]} | other


def crowd(number: int, image: int, category: int, *box: int) -> dict[str, Any]:
    """A rectangle as run lengths along columns, of zeros first."""
    x, y, width, height = box
    counts = [x * HEIGHT + y, *[height, HEIGHT - height] * width]
    counts[-1] += HEIGHT * WIDTH - sum(counts)
    runs = {"counts": counts, "size": [HEIGHT, WIDTH]}
    return annotation(number, image, category, *box, iscrowd=1, segmentation=runs)


def points(x: float, y: float, width: float, height: float, seen: int = 17) -> dict[str, Any]:
    """Keypoints on a diagonal of a box, the first of them visible."""
    flat = [[x + width * i / 17, y + height * i / 17, 2] if i < seen else [0, 0, 0] for i in range(17)]
    return {"keypoints": [value for point in flat for value in point], "num_keypoints": seen}


INSTANCES = [
    annotation(1, 1, PERSON, 4, 6, 40, 50),
    annotation(2, 1, DOG, 50, 20, 30, 24, area=360, segmentation=[[50, 20, 80, 20, 50, 44]]),  # a triangle
    crowd(3, 2, PERSON, 0, 0, 60, 64),
    annotation(4, 2, PERSON, 62, 10, 30, 44),
    crowd(6, 3, DOG, 8, 8, 20, 20),
]
FLAT = annotation(5, 2, DOG, 10, 10, 0, 20)
PEOPLE = [
    INSTANCES[0] | points(4, 6, 40, 50),
    INSTANCES[2] | points(0, 0, 60, 64, seen=0),
    INSTANCES[3] | points(62, 10, 30, 44, seen=9),
]


def content(rows: list[dict[str, Any]], categories: dict[int, str]) -> dict[str, Any]:
    images = [{"id": i, "file_name": f"{i:012d}.jpg", "width": WIDTH, "height": HEIGHT} for i in (1, 2, 3)]
    named = [{"id": number, "name": name} for number, name in categories.items()]
    return {"info": {}, "images": images, "annotations": rows, "categories": named}


def make(root: Path) -> Path:
    """Both splits, alike but for the box without width."""
    random = np.random.default_rng(0)
    (root / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        (root / f"{split}2017").mkdir()
        for i in (1, 2, 3):
            pixels = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"{split}2017" / f"{i:012d}.jpg")
        rows = [*INSTANCES, *[FLAT] * (split == "train")]
        write(root, split, "instances", content(rows, {PERSON: "person", DOG: "dog"}))
        write(root, split, "person_keypoints", content(PEOPLE, {PERSON: "person"}))
    return root


def write(root: Path, split: str, name: str, file: Any) -> None:
    (root / "annotations" / f"{name}_{split}2017.json").write_text(json.dumps(file))
