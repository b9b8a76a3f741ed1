"""COCO 2017 as it is unpacked, `annotations/`, `train2017/`, `val2017/`: images, and targets to learn from.

All rows of an annotation file are checked before the first image is read; what is left out is counted in
`CocoSplit.notes`. As in torchvision's recipe, training leaves out crowds, boxes without area, and images that
have nothing else or too few visible keypoints. A test leaves out nothing of an image that is there: COCO's
own evaluation ignores what must not count.
"""

import io
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import torch
from PIL import ExifTags, Image
from pydantic import BaseModel, Discriminator, Field, Tag, ValidationError
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.ops import box_convert, clip_boxes_to_image
from torchvision.transforms.functional import to_tensor

from nlrepro.data.order import ImageSample
from nlrepro.files import BadInput, names_in
from nlrepro.processes import parallel_map, progress_bar
from nlrepro.record import share
from nlrepro.spec import COCO_CLASSES, Target, explain

FILES: dict[Target, str] = {"boxes": "instances", "keypoints": "person_keypoints"}
UNPACK = "unpack annotations_trainval2017.zip again (from https://cocodataset.org/#download)"
KEYPOINTS = 17  # of a person, each x, y and visibility
# The number of each keypoint's mirror image: the nose's own, then pairs of left and right.
FLIPPED_KEYPOINTS = [0, *(i + 1 if i % 2 else i - 1 for i in range(1, KEYPOINTS))]
VISIBLE = 10  # keypoints that the people of an image must show for training, torchvision's rule
THIN = 1  # pixels; in torchvision's recipe an image whose boxes are all this narrow or low teaches nothing
TURN = ExifTags.Base.Orientation  # 1, where it is there: as stored
FARTHEST = 1e5  # pixels; pycocotools needs memory for each pixel along a polygon

Row = dict[str, Any]  # of an annotation file
Objects = dict[str, Tensor]  # a target of torchvision's detectors

AtLeastOne = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=1, le=FARTHEST)]
Coordinate = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST)]
Extent = Annotated[float, Field(ge=0, le=FARTHEST)]
Polygon = Annotated[list[Coordinate], Field(min_length=2)]  # x, y, x, y ...


class CategoryRow(BaseModel, strict=True, allow_inf_nan=False):
    """What is read of a row. Other fields may be there; the row itself is used, not this copy."""

    id: int


class ImageRow(CategoryRow):
    file_name: str
    height: Side
    width: Side


class AnnotationRow(CategoryRow):
    id: AtLeastOne  # COCO's evaluation takes a match with number 0 for a miss
    image_id: int
    category_id: int
    bbox: Annotated[tuple[Coordinate, Coordinate, Extent, Extent], Field(strict=False)]  # a list in JSON
    area: Annotated[float, Field(ge=0, le=FARTHEST**2)]  # COCO's evaluation passes over others
    iscrowd: Literal[0, 1] | bool


class RunLengths(BaseModel, strict=True):
    """A mask as lengths of runs along columns: COCO's crowds, and all generated masks in compressed form."""

    size: Annotated[list[Side], Field(min_length=2, max_length=2)]  # height, width
    counts: Annotated[str, Field(min_length=1)] | list[Annotated[int, Field(ge=0)]]


class BoxesRow(AnnotationRow):
    segmentation: Annotated[
        Annotated[list[Polygon], Field(min_length=1), Tag("polygons")]
        | Annotated[RunLengths, Tag("run lengths")],
        Discriminator(lambda value: "run lengths" if isinstance(value, dict) else "polygons"),
    ]


class KeypointsRow(AnnotationRow):
    keypoints: Annotated[list[Coordinate], Field(min_length=3 * KEYPOINTS, max_length=3 * KEYPOINTS)]
    num_keypoints: Annotated[int, Field(ge=0, le=KEYPOINTS)]


ANNOTATION_ROW: dict[Target, type[AnnotationRow]] = {"boxes": BoxesRow, "keypoints": KeypointsRow}


def pycocotools() -> tuple[ModuleType, ModuleType, ModuleType]:
    """Its modules coco, cocoeval and mask; `BadInput` where it is not installed."""
    try:
        from pycocotools import coco, cocoeval, mask
    except ImportError:
        raise BadInput("COCO's annotations need pycocotools; `pip install pycocotools`") from None
    return coco, cocoeval, mask


def index_annotations(content: Row) -> Any:
    """A pycocotools `COCO` of these images, annotations and categories."""
    coco, *_ = pycocotools()
    with redirect_stdout(io.StringIO()):  # it prints each of its steps
        indexed = coco.COCO()
        indexed.dataset = content
        indexed.createIndex()
    return indexed


def read_annotations(root: Path, split: str, kind: Target) -> Any:
    """The `COCO` of `<root>/annotations/{instances,person_keypoints}_<split>2017.json`."""
    pycocotools()
    path = root / "annotations" / f"{FILES[kind]}_{split}2017.json"
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        advice = "point --data at the folder that holds annotations/, train2017/ and val2017/"
        raise BadInput(f"cannot read {path}: {error.strerror}; {UNPACK}, and {advice}") from None
    except (ValueError, RecursionError) as error:  # of JSON, or of UTF-8
        raise BadInput(f"{path} is damaged or cut off ({error}); {UNPACK}") from None
    models: dict[str, type[CategoryRow]] = {"images": ImageRow, "categories": CategoryRow}
    for name, model in {**models, "annotations": ANNOTATION_ROW[kind]}.items():
        check_rows(content.get(name) if isinstance(content, dict) else None, model, f"{path}, {name}")
    check_references(content, kind, path)
    return index_annotations(content)


def check_rows(rows: Any, model: type[CategoryRow], place: str) -> None:
    """Refuse no rows, one that does not fit the model, and two of one id; errors begin with `place`."""
    if not isinstance(rows, list) or not rows:
        raise BadInput(f"{place}: there is no list of rows, so nothing to learn or to test; {UNPACK}")
    for number, row in enumerate(rows):
        try:
            model.model_validate(row)
        except ValidationError as error:
            name = f"id {row['id']!r}" if isinstance(row, dict) and "id" in row else f"row {number}"
            raise BadInput(f"{place}, {name}: {explain(error)}; {UNPACK}") from None
    number, times = Counter(row["id"] for row in rows).most_common(1)[0]
    if times > 1:
        raise BadInput(f"{place}: {times} rows have the id {number}; {UNPACK}")


def check_references(content: Row, kind: Target, path: Path) -> None:
    """Refuse categories that the net has no place for, and annotations that do not fit their image."""
    sizes = {row["id"]: (row["width"], row["height"]) for row in content["images"]}
    categories, last = {row["id"] for row in content["categories"]}, COCO_CLASSES[kind] - 1
    if unknown := categories - set(range(1, last + 1)):
        numbers = f"COCO's {FILES[kind]} have numbers from 1 to {last}, and so has the net"
        raise BadInput(f"{path} has the category {min(unknown)}; {numbers}; is it of another data set?")
    for row in content["annotations"]:
        (x, y, w, h), (width, height), fault = row["bbox"], sizes.get(row["image_id"], (0, 0)), ""
        if not width:
            fault = f"image_id: the file has no image {row['image_id']}"
        elif row["category_id"] not in categories:
            fault = f"category_id: the file has no category {row['category_id']}"
        elif x > width or y > height or x + w < 0 or y + h < 0:
            fault = f"bbox: it lies outside of the image's {width}x{height}"
        elif kind == "boxes" and (reason := mask_fault(row["segmentation"], width, height)):
            fault = f"segmentation: {reason}"
        if fault:
            raise BadInput(f"{path}, annotations, id {row['id']}: {fault}; {UNPACK}")


def mask_fault(mask: Any, width: int, height: int) -> str:
    """Why a segmentation that fits its model does not fit its image; empty if it does."""
    if isinstance(mask, list):
        if len(mask[0]) < 6:  # of 4, for pycocotools a box
            return "its first polygon must have 3 points or more"
        for polygon in mask:
            if len(polygon) % 2:
                return f"a polygon has {len(polygon)} numbers, no even count of x and y"
        return ""
    if mask["size"] != [height, width]:  # whose overlap with any detection is nothing for pycocotools
        return f"a mask of {mask['size'][1]}x{mask['size'][0]} in an image of {width}x{height}"
    if isinstance(mask["counts"], list):
        pixels = sum(mask["counts"])
        return f"its runs cover {pixels} pixels of {height * width}" if pixels != height * width else ""
    try:
        pycocotools()[2].decode(mask)
    except ValueError as error:
        return str(error)
    return ""


@dataclass(frozen=True, kw_only=True)
class CocoSplit:
    """The images of a split to use, and what is left out of it, in words."""

    folder: Path
    kind: Target
    coco: Any  # pycocotools' COCO of the whole split
    images: tuple[int, ...]  # ids
    notes: tuple[str, ...] = ()

    @property
    def listed(self) -> int:
        return len(self.coco.imgs)

    def rows(self, image: int) -> list[Row]:
        """The annotations of an image."""
        return list(self.coco.imgToAnns.get(image, ()))  # imgToAnns[image] would add an entry


def open_split(root: Path, split: str, kind: Target) -> CocoSplit:
    """The images of a split that have a file; `split` is "train", "val", or of generated images "test".

    Raises:
        BadInput: pycocotools, the annotations or all images are missing, or the annotations are damaged.
    """
    coco = read_annotations(root, split, kind)
    folder = root / f"{split}2017"
    files = set(names_in(folder)) if folder.is_dir() else set()
    images = tuple(sorted(image for image, row in coco.imgs.items() if row["file_name"] in files))
    missing = [row["file_name"] for row in coco.imgs.values() if row["file_name"] not in files]
    listed = len(coco.imgs)
    if not images:
        raise BadInput(f"none of the {listed:,} images is in {folder}; unpack {folder.name}.zip there")
    counts = f"{len(missing):,} of {listed:,} images have no file in {folder}"
    notes = [f"{counts} and are left out, such as {name!r}" for name in missing[:1]]
    return CocoSplit(folder=folder, kind=kind, coco=coco, images=images, notes=tuple(notes))


def training_images(split: CocoSplit) -> CocoSplit:
    """The split with those of its images that a net can learn from.

    Raises:
        BadInput: there is none.
    """
    images = tuple(image for image in split.images if is_trainable(split.rows(image), split.kind))
    if not images:
        raise BadInput(f"no image in {split.folder} has an annotation to learn {split.kind} from")
    rows = [row for image in split.images for row in split.rows(image)]
    counts = {
        "images with nothing to learn from": len(split.images) - len(images),
        "crowds": sum(bool(row["iscrowd"]) for row in rows),
        "boxes without area": sum(min(row["bbox"][2:]) <= 0 for row in rows),
    }
    notes = (f"{number:,} {what} are left out" for what, number in counts.items() if number)
    return replace(split, images=images, notes=(*split.notes, *notes))


def is_trainable(rows: Sequence[Row], kind: Target) -> bool:
    """Whether an image with these annotations is used in training."""
    single = [row for row in rows if not row["iscrowd"]]
    visible = sum(row["num_keypoints"] for row in single) if kind == "keypoints" else VISIBLE
    return visible >= VISIBLE and any(min(row["bbox"][2:]) > THIN for row in single)


def read_image(split: CocoSplit, image_id: int) -> Tensor:
    """(3, H, W), values from 0 to 1; not rotated by EXIF, as neither are the annotations.

    Raises:
        BadInput: the file is missing, damaged, of another size than annotated, or has more bits than 8.
    """
    row = split.coco.imgs[image_id]
    path = split.folder / row["file_name"]
    size = row["width"], row["height"]
    try:
        with Image.open(path) as file:
            fault = ""
            if file.size != size:
                turned = (
                    " before its EXIF turns it, which is not done" if file.getexif().get(TURN, 1) > 1 else ""
                )
                listed = "{}x{}, in the annotations {}x{}".format(*file.size, *size)
                fault = f"is {listed}{turned}; is it of another release?"
            elif file.mode.startswith(("I", "F")):  # Pillow makes it white, or black
                fault = f"has more than 8 bits a pixel (Pillow's mode {file.mode}); save it with 8"
            if fault:
                raise BadInput(f"{path} {fault}")
            return to_tensor(file.convert("RGB"))  # (3, H, W)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's
        advice = f"unpack {split.folder.name}.zip again"
        raise BadInput(f"{path} is missing, damaged or no image ({error}); {advice}") from None


def read_target(split: CocoSplit, image_id: int) -> Objects:
    """Of N objects: boxes (N, 4) as x1, y1, x2, y2, labels (N,), and masks (N, H, W) or keypoints (N, 17, 3).

    Crowds and boxes without area are left out; boxes end where the image does.
    """
    size = split.coco.imgs[image_id]
    rows = [row for row in split.rows(image_id) if not row["iscrowd"]]
    boxes = torch.tensor([row["bbox"] for row in rows], dtype=torch.float32).view(-1, 4)  # (N, 4): x, y, w, h
    boxes = box_convert(boxes, "xywh", "xyxy")  # (N, 4)
    boxes = clip_boxes_to_image(boxes, (size["height"], size["width"]))  # (N, 4)
    solid = (boxes[:, 2:] > boxes[:, :2]).all(1)  # (N,)
    rows = [row for row, good in zip(rows, solid.tolist(), strict=True) if good]
    labels = torch.tensor([row["category_id"] for row in rows], dtype=torch.int64)  # (N,)
    objects = {"boxes": boxes[solid], "labels": labels}
    if split.kind == "keypoints":
        points = torch.tensor([row["keypoints"] for row in rows], dtype=torch.float32)
        return objects | {"keypoints": points.view(-1, KEYPOINTS, 3)}
    masks = torch.zeros(len(rows), size["height"], size["width"], dtype=torch.uint8)  # (N, H, W)
    for mask, row in zip(masks, rows, strict=True):
        mask[:] = torch.from_numpy(split.coco.annToMask(row))
    return objects | {"masks": masks}


def flip(pixels: Tensor, objects: Objects) -> tuple[Tensor, Objects]:
    """Left for right: pixels (3, H, W), and boxes, masks and keypoints of the objects."""
    width, flipped = pixels.shape[2], dict(objects)
    flipped["boxes"] = objects["boxes"][:, [2, 1, 0, 3]]  # (N, 4): a left side becomes a right one
    flipped["boxes"][:, ::2] = width - flipped["boxes"][:, ::2]
    if "masks" in objects:
        flipped["masks"] = objects["masks"].flip(2)  # (N, H, W)
    if "keypoints" in objects:
        x, y, visible = objects["keypoints"][:, FLIPPED_KEYPOINTS].unbind(2)  # (N, 17) each
        x = (width - x) * (visible > 0)  # those that are not labelled stay at 0
        flipped["keypoints"] = torch.stack([x, y, visible], 2)  # (N, 17, 3)
    return pixels.flip(2), flipped


class CocoImages(Dataset[tuple[int, Tensor | str, Objects]]):
    """The images of a split: id, pixels (3, H, W), and target, in a test {}.

    An image that cannot be read stops the training; in a test the reason stands in place of its pixels.
    """

    def __init__(self, split: CocoSplit, training: bool) -> None:
        self.split, self.training = split, training

    def __len__(self) -> int:
        return len(self.split.images)

    def __getitem__(self, sample: ImageSample) -> tuple[int, Tensor | str, Objects]:
        image = self.split.images[sample.image]
        if not self.training:
            try:
                return image, read_image(self.split, image), {}
            except BadInput as error:
                return image, str(error), {}
        pixels, objects = read_image(self.split, image), read_target(self.split, image)
        return (image, *(flip(pixels, objects) if sample.mirrored else (pixels, objects)))


open_once = lru_cache(maxsize=1)(open_split)  # a process reads the annotations once: COCO's are 450 MB


def check_images(root: Path, split: str, kind: Target, processes: int) -> None:
    """Read every image and target of a split, and print what cannot be used.

    Raises:
        BadInput: the split is missing or damaged, or none of its images can be used.
    """
    opened = open_once(root, split, kind)
    with parallel_map(processes) as each:
        faults = each(partial(image_fault, root, split, kind), opened.images)
        bar = progress_bar(faults, total=len(opened.images), desc=f"images of {split}")
        reasons = [fault for fault in bar if fault]
    usable = share(len(opened.images) - len(reasons), opened.listed, "images")
    print(f"{FILES[kind]}, {split}: {usable} can be used", *opened.notes, *reasons, sep="\n  ")
    if len(reasons) == len(opened.images):
        raise BadInput(f"none of the images of {split} in {root} can be used, the first: {reasons[0]}")


def image_fault(root: Path, split: str, kind: Target, image_id: int) -> str:
    """Why an image or its target cannot be used; empty if nothing is wrong."""
    opened = open_once(root, split, kind)
    try:
        read_image(opened, image_id), read_target(opened, image_id)
    except BadInput as error:
        return str(error)
    return ""
