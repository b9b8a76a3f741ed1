"""`Detector`: Mask R-CNN or Keypoint R-CNN (Tables 5 and 6), its data, and COCO's own evaluation.

Average precision is COCO's own code (pycocotools' COCOeval) on its own annotations. Thus crowds are ignored,
at most 100 detections of an image count (20 for keypoints), and a keypoint's tolerance is COCO's.
torchmetrics' MeanAveragePrecision calls the same code for boxes and masks, but has no keypoints, and takes
dense masks, which it makes into annotations again.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from nlrepro.config import DetectionRecipe, Profile
from nlrepro.data.coco import (
    CocoImages,
    CocoSplit,
    index_annotations,
    open_split,
    pycocotools,
    training_images,
)
from nlrepro.data.order import WORKERS, ImageTrainSampler, Loader, eval_images
from nlrepro.files import BadInput, write_atomic
from nlrepro.learners.learner import Learner, Result, RunData, gathered
from nlrepro.nets.nonlocal_block import NonLocalBlock
from nlrepro.nets.rcnn import detector, load_imagenet
from nlrepro.run import Run
from nlrepro.spec import DetectionSpec, Target
from nlrepro.task import detection_of

# An image's id, its pixels (3, H, W) or the reason why there are none, and its target
Batch = Sequence[tuple[int, Tensor | str, dict[str, Tensor]]]
Measure = Literal["box", "mask", "kp"]  # the names of the paper's columns
MEASURES: dict[Target, tuple[Measure, ...]] = {"boxes": ("box", "mask"), "keypoints": ("box", "kp")}
IOU_TYPES: dict[Measure, str] = {"box": "bbox", "mask": "segm", "kp": "keypoints"}  # COCOeval's
Detection = dict[str, Any]  # of one image, in COCO's format of results
LIKELY = 0.5  # that a pixel is of the object, above which the mask has it; torchvision's
TEST_BATCH = 8  # generated images; the real ones are of all sizes, and are tested one by one


class DetectionData(RunData):
    """The images of a run. A validation looks at the recipe's number of images, the test at all."""

    @property
    def generated(self) -> bool:
        return self.run.spec.kind in detection_of(self.profile).scenes

    def split(self, name: str) -> CocoSplit:
        return open_split(self.run.root, name, self.run.spec.kind)

    @property
    def workers(self) -> int:
        return 0 if self.generated else WORKERS

    def train_dataloader(self) -> Loader:
        split = training_images(self.split("train"))
        self.notes += split.notes
        flip = detection_of(self.profile).flip
        sampler = ImageTrainSampler(items=len(split.images), flip=flip, **self.training)
        return Loader(CocoImages(split, training=True), sampler, self.workers)

    def val_dataloader(self) -> Loader:
        split = self.split("val")
        return self.test_loader(replace(split, images=split.images[: self.recipe.validate_videos]))

    def test_dataloader(self) -> Loader:
        split = self.split(detection_of(self.profile).test)
        self.notes += split.notes
        return self.test_loader(replace(split, images=split.images[: self.at_most]))

    def test_loader(self, split: CocoSplit) -> Loader:
        sampler = eval_images(len(split.images), TEST_BATCH if self.generated else 1, **self.place)
        return Loader(CocoImages(split, training=False), sampler, self.workers)


class CocoEvaluator:
    """COCO's average precision of boxes, and of masks or keypoints."""

    def __init__(self, kind: Target) -> None:
        self.measures = MEASURES[kind]

    def begin(self, dataset: CocoImages, views: int) -> None:
        self.split = dataset.split
        self.images: list[int] = []
        self.broken: list[str] = []
        self.detections: dict[Measure, list[Detection]] = {measure: [] for measure in self.measures}
        self.kept: dict[Measure, Path] = {}  # where the detections of a test are to be written

    def update(self, outputs: Sequence[Mapping[str, Tensor]], targets: Sequence[int]) -> None:
        """What a net of torchvision gives for images, and the ids of these."""
        for image, output in zip(targets, outputs, strict=True):
            self.images.append(image)
            for measure, items in self.detections.items():
                items += detections(image, output, measure)

    def compute(self) -> Result:
        """What the images cannot show is left out of the metrics; before these, detections are kept."""
        images, broken = sorted(gathered(self.images)), gathered(self.broken)
        detections = {measure: gathered(items) for measure, items in self.detections.items()}
        for measure, path in self.kept.items():
            try:
                write_atomic(path, json.dumps(detections[measure], default=bytes.decode))
                print(f"the detections are in {path}, in COCO's format of results", flush=True)
            except BadInput as error:
                print(f"the detections are not kept: {error}", flush=True)
        metrics = {}
        for measure, items in detections.items():
            for name, value in average_precision(self.split.coco, images, items, measure).items():
                metrics[f"{measure}_{name}"] = round(value, 4)
        first = f"{len(broken):,} images cannot be used and are left out, such as: "
        notes = (first + broken[0],) if broken else ()
        return Result(metrics=metrics, tested=len(images), notes=notes)


def average_precision(
    coco: Any, images: Sequence[int], items: Sequence[Detection], measure: Measure
) -> dict[str, float]:
    """Percent: "ap", "ap50" and "ap75" of all detections in these images; empty without any object."""
    results = [{**item} for item in items]  # loadRes writes into them
    _, cocoeval, _ = pycocotools()
    with redirect_stdout(io.StringIO()):  # it prints each of its steps
        detected = coco.loadRes(results) if results else index_annotations(coco.dataset | {"annotations": []})
        test = cocoeval.COCOeval(coco, detected, IOU_TYPES[measure])
        test.params.imgIds = list(images)
        test.evaluate()
        test.accumulate()
        test.summarize()
    values = zip(("ap", "ap50", "ap75"), test.stats[:3], strict=True)
    return {name: 100 * float(value) for name, value in values if value >= 0}


def detections(image: int, output: Mapping[str, Tensor], measure: Measure) -> Iterator[Detection]:
    """A net's output for one image as COCO's results.

    Each measure has fields of its own: COCO's API takes an object's area, by which it is small or large, from
    the first it meets.
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
        yield {"segmentation": pycocotools()[2].encode(np.asfortranarray(mask))}


def keypoints(output: Mapping[str, Tensor]) -> Iterator[Detection]:
    """(N, 17, 3) -> x, y, visible, x, y, visible ..."""
    for points in output["keypoints"].flatten(1).tolist():
        yield {"keypoints": points}


class Detector(Learner):
    """A net of torchvision. The loss is torchvision's: of proposals, classes, boxes, masks or keypoints."""

    data_module: ClassVar[type[RunData]] = DetectionData
    curve_measure: ClassVar[str] = ""  # the AP of masks or of keypoints
    recipe: DetectionRecipe

    def __init__(self, spec: DetectionSpec, profile: Profile, devices: int = 1) -> None:
        super().__init__(profile, profile.recipe(spec.kind, devices))
        self.net, self.shipped = detector(spec, profile)
        blocks = [
            (name, module) for name, module in self.net.named_modules() if isinstance(module, NonLocalBlock)
        ]
        self.fresh = [f"{name}.{own}" for name, block in blocks for own, _ in block.named_parameters()]
        self.evaluator: CocoEvaluator = CocoEvaluator(spec.kind)
        self.curve_measure = f"{MEASURES[spec.kind][-1]}_ap"  # type: ignore[misc]  # of an instance

    def start(self, run: Run) -> dict[str, str]:
        """Small nets have been built of what they start from, as their frozen normalisation depends on it."""
        return {"start": self.shipped or load_imagenet(self.net, run.spec, run.folders.imagenet)}

    def loss(self, batch: Batch) -> Tensor:
        losses = self.net([pixels for _, pixels, _ in batch], [target for _, _, target in batch])
        return torch.stack(list(losses.values())).sum()

    def evaluate(self, batch: Batch) -> None:
        """Of the images that could be read."""
        self.evaluator.broken += [pixels for _, pixels, _ in batch if isinstance(pixels, str)]
        readable = [(image, pixels) for image, pixels, _ in batch if not isinstance(pixels, str)]
        outputs = self.net([pixels for _, pixels in readable]) if readable else []
        self.evaluator.update(outputs, [image for image, _ in readable])

    def on_test_epoch_start(self) -> None:
        """Keep the detections of all images, where these are real: a test of them takes long."""
        super().on_test_epoch_start()
        data: DetectionData = self.trainer.datamodule  # type: ignore[attr-defined]
        if self.trainer.is_global_zero and not (data.generated or data.at_most):
            for measure in self.evaluator.measures:
                name = f"detections-{measure}-{data.run.fingerprint}.json"
                self.evaluator.kept[measure] = data.folder / name

    def configure_optimizers(self) -> Any:
        """The recipe's; SGD's learning rate rises to its value in the recipe's first steps."""
        configured = super().configure_optimizers()
        if self.recipe.schedule == "steps" and self.recipe.warmup_steps:
            later, steps = configured["lr_scheduler"]["scheduler"], self.recipe.warmup_steps
            rise = torch.optim.lr_scheduler.LinearLR(configured["optimizer"], 1e-3, total_iters=steps)
            configured["lr_scheduler"]["scheduler"] = torch.optim.lr_scheduler.ChainedScheduler([rise, later])
        return configured
