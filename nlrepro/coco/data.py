"""COCO 2017 as it is unpacked: `annotations/`, `train2017/`, `val2017/`; its images, and the targets that the nets learn from.

What can be used is decided before anything is trained or tested, counted, and told in `Tree.notes`. As in torchvision's recipe,
training leaves out crowds, boxes without area, and images that have nothing else or too few visible keypoints; a test leaves out
nothing of an image that is there, for COCO's own evaluation knows what to ignore.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.functional import to_tensor

from nlrepro.coco.annotations import KEYPOINTS, annotations
from nlrepro.files import BadInput
from nlrepro.spec import Target

Row = dict[str, Any]  # an annotation, as COCO has it
VISIBLE = 10  # keypoints that the people of an image must show for training, torchvision's rule
THIN = 1  # pixels; of an image with no box wider and higher than this, torchvision's recipe learns nothing


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A split: its folder of images, its annotations, the ids of the images to use, and what is odd about it, in words."""

    folder: Path
    kind: Target
    coco: Any  # pycocotools' COCO
    images: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def listed(self) -> int:
        return len(self.coco.imgs)

    def rows(self, image: int) -> list[Row]:
        return list(self.coco.imgToAnns.get(image, ()))  # imgToAnns would remember what it was asked for


def tree(root: Path, split: str, kind: Target) -> Tree:
    """The images of a split that have a file; `split` is "train", "val", or of generated trees (making.py) "test".

    Raises:
        BadInput: pycocotools, the annotations or all images are missing, or the annotations are damaged.
    """
    coco = annotations(root, split, kind)
    folder = root / f"{split}2017"
    files = set(os.listdir(folder)) if folder.is_dir() else set()
    images = tuple(sorted(image for image, row in coco.imgs.items() if row["file_name"] in files))
    if not images:
        raise BadInput(f"none of the {len(coco.imgs):,} images of {split}2017 is in {folder}; unpack {folder.name}.zip there")
    missing = len(coco.imgs) - len(images)
    notes = (f"{missing:,} of {len(coco.imgs):,} images have no file in {folder} and are left out",) if missing else ()
    return Tree(folder=folder, kind=kind, coco=coco, images=images, notes=notes)


def for_training(whole: Tree) -> Tree:
    """The images that something can be learned from.

    Raises:
        BadInput: there is none.
    """
    images = tuple(image for image in whole.images if teaches(whole.rows(image), whole.kind))
    if not images:
        raise BadInput(f"no image in {whole.folder} has an annotation to learn {whole.kind} from")
    rows = [row for image in whole.images for row in whole.rows(image)]
    counted = {
        "images with nothing to learn from": len(whole.images) - len(images),
        "crowds": sum(bool(row["iscrowd"]) for row in rows),
        "boxes without area": sum(min(row["bbox"][2:]) <= 0 for row in rows),
    }
    notes = (f"{number:,} {what} are left out" for what, number in counted.items() if number)
    return replace(whole, images=images, notes=(*whole.notes, *notes))


def teaches(rows: Sequence[Row], kind: Target) -> bool:
    """Whether an image with these annotations is used in training."""
    single = [row for row in rows if not row["iscrowd"]]
    seen = sum(row["num_keypoints"] for row in single) if kind == "keypoints" else VISIBLE
    return seen >= VISIBLE and any(min(row["bbox"][2:]) > THIN for row in single)


def picture(whole: Tree, image: int) -> Tensor:
    """(3, H, W), values from 0 to 1; not turned by EXIF, for neither are the annotations.

    Raises:
        BadInput: the file is missing, damaged, or of another size than the annotations say.
    """
    row = whole.coco.imgs[image]
    path = whole.folder / row["file_name"]
    try:
        with Image.open(path) as file:
            found: Tensor = to_tensor(file.convert("RGB"))  # (3, H, W)
    except (OSError, SyntaxError, ValueError) as error:  # the three that Pillow raises on damaged files
        reason = "is no image" if isinstance(error, UnidentifiedImageError) else f"is missing or damaged ({error})"
        raise BadInput(f"{path} {reason}; unpack {whole.folder.name}.zip again") from None
    if found.shape[1:] != (row["height"], row["width"]):
        sizes = f"{found.shape[2]}x{found.shape[1]} where the annotations say {row['width']}x{row['height']}"
        raise BadInput(f"{path} is {sizes}; is it of another release?")
    return found


def target(whole: Tree, image: int) -> dict[str, Tensor]:
    """Of N objects: boxes (N, 4) as x1, y1, x2, y2 in the image, labels (N,), and masks (N, H, W) or keypoints (N, 17, 3).

    Raises:
        BadInput: a segmentation is none.
    """
    size = whole.coco.imgs[image]
    rows = [row for row in whole.rows(image) if not row["iscrowd"]]
    boxes = torch.tensor([row["bbox"] for row in rows], dtype=torch.float32).view(-1, 4)  # (N, 4) as x, y, width, height
    boxes[:, 2:] += boxes[:, :2]  # (N, 4)
    limits = torch.tensor([size["width"], size["height"]] * 2)
    boxes = boxes.clamp(min=torch.zeros(4), max=limits)  # (N, 4)
    solid = (boxes[:, 2:] > boxes[:, :2]).all(1)  # (N,)
    rows = [row for row, good in zip(rows, solid.tolist(), strict=True) if good]
    found = {"boxes": boxes[solid], "labels": torch.tensor([row["category_id"] for row in rows], dtype=torch.int64)}
    if whole.kind == "keypoints":
        points = torch.tensor([row["keypoints"] for row in rows], dtype=torch.float32)
        return found | {"keypoints": points.view(-1, KEYPOINTS, 3)}
    masks = [mask(whole, row) for row in rows]
    return found | {"masks": torch.stack(masks) if masks else torch.zeros(0, size["height"], size["width"], dtype=torch.uint8)}


def mask(whole: Tree, row: Row) -> Tensor:
    """(H, W), 1 where the object is.

    Raises:
        BadInput: the segmentation is no polygons and no run lengths.
    """
    try:
        return torch.from_numpy(whole.coco.annToMask(row))
    except Exception as error:  # of pycocotools' C code, any
        raise BadInput(f"the annotation {row['id']} of {whole.folder.name} has a damaged segmentation ({error})") from None


class Objects(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """The images of a tree with their targets; errors as of `picture` and `target`."""

    def __init__(self, whole: Tree) -> None:
        self.tree = whole

    def __len__(self) -> int:
        return len(self.tree.images)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        image = self.tree.images[index]
        return picture(self.tree, image), target(self.tree, image)
