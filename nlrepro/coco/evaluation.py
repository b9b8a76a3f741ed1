"""COCO's average precision of boxes, masks and keypoints, by COCO's own code (pycocotools' COCOeval) on its own annotations.

Thus crowds are ignored, at most 100 detections of an image count (20 for keypoints), and a keypoint's tolerance is COCO's.
torchmetrics' MeanAveragePrecision calls the same code for boxes and masks, but has no keypoints, and takes dense masks, which it
makes into annotations again.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic.dataclasses import dataclass
from torch import Tensor

from nlrepro.coco.annotations import api, indexed, silently
from nlrepro.record import STRICT
from nlrepro.spec import Target

Measure = Literal["box", "mask", "kp"]  # the names of the paper's columns
MEASURES: dict[Target, tuple[Measure, ...]] = {"boxes": ("box", "mask"), "keypoints": ("box", "kp")}
WORDS: dict[Measure, str] = {"box": "bbox", "mask": "segm", "kp": "keypoints"}  # COCOeval's
Detection = dict[str, Any]  # of one image, in COCO's format of results
LIKELY = 0.5  # that a pixel is of the object, above which the mask has it; torchvision's


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Precision:
    """Percent: the mean over overlaps from 0.5 to 0.95, and at 0.5 and 0.75; None where the images show nothing to find."""

    ap: float | None
    ap50: float | None
    ap75: float | None


def precision(coco: Any, images: Sequence[int], detections: Sequence[Detection], measure: Measure) -> Precision:
    """Of all detections in these images, which have only the fields of this measure (`detections`)."""
    results = [{**item} for item in detections]  # loadRes writes into them
    found = silently(coco.loadRes, results) if results else indexed(coco.dataset | {"annotations": []})
    test = api()[1].COCOeval(coco, found, WORDS[measure])
    test.params.imgIds = list(images)
    for step in (test.evaluate, test.accumulate, test.summarize):
        silently(step)
    ap, ap50, ap75 = (None if value < 0 else 100 * float(value) for value in test.stats[:3])
    return Precision(ap=ap, ap50=ap50, ap75=ap75)


def detections(image: int, output: Mapping[str, Tensor], measure: Measure) -> Iterator[Detection]:
    """What a net of torchvision says of one image, as COCO's results.

    Each measure has fields of its own: COCO's API takes an object's area, by which it is small or large, from the first it meets.
    """
    fields = {"box": boxes, "mask": masks, "kp": keypoints}[measure]
    labels, scores = output["labels"].tolist(), output["scores"].tolist()
    for label, score, field in zip(labels, scores, fields(output), strict=True):
        yield {"image_id": image, "category_id": label, "score": score, **field}


def boxes(output: Mapping[str, Tensor]) -> Iterator[Detection]:
    """(N, 4) as x1, y1, x2, y2 -> x, y, width, height."""
    for x1, y1, x2, y2 in output["boxes"].tolist():
        yield {"bbox": [x1, y1, x2 - x1, y2 - y1]}


def masks(output: Mapping[str, Tensor]) -> Iterator[Detection]:
    """(N, 1, H, W) -> run lengths, along columns."""
    for mask in (output["masks"][:, 0] > LIKELY).cpu().numpy().astype(np.uint8):  # (H, W)
        yield {"segmentation": api()[2].encode(np.asfortranarray(mask))}


def keypoints(output: Mapping[str, Tensor]) -> Iterator[Detection]:
    """(N, 17, 3) -> x, y, visible, x, y, visible ..."""
    for points in output["keypoints"].flatten(1).tolist():
        yield {"keypoints": points}
