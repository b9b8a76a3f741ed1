"""A test of given weights on val2017: COCO's average precision, and a JSON file of what was tested and how."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic.dataclasses import dataclass
from torch import nn

from nlrepro.coco.data import Tree, picture, tree
from nlrepro.coco.evaluation import MEASURES, Detection, Measure, Precision, detections, precision
from nlrepro.coco.nets import keypoint_rcnn, mask_rcnn
from nlrepro.coco.weights import TORCHVISION, load, located
from nlrepro.files import BadInput, make_folder, write_atomic
from nlrepro.processes import progress_bar
from nlrepro.record import STRICT, Provenance
from nlrepro.spec import Backbone, Target
from nlrepro.train.provenance import provenance


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Net:
    """Which net is tested, at which shorter side of the images, in pixels."""

    kind: Target
    backbone: Backbone
    block: bool
    head_blocks: bool
    side: int

    @property
    def plain(self) -> bool:
        """Whether torchvision has released weights of this net."""
        return self.backbone == "r50" and not (self.block or self.head_blocks)

    def build(self) -> nn.Module:
        """Without weights, ready for a test."""
        if self.kind == "boxes":
            return mask_rcnn(self.backbone, block=self.block, sides=(self.side,)).eval()
        net = keypoint_rcnn(self.backbone, head_blocks=self.head_blocks, backbone_block=self.block, sides=(self.side,))
        return net.eval()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Evaluation:
    """What a test gave."""

    net: Net
    weights: str  # the file's name
    sha256: str
    precision: dict[Measure, Precision]
    stated: dict[Measure, float]  # percent AP, where torchvision has released these weights
    images: int  # tested
    listed: int  # by the annotations
    notes: tuple[str, ...]
    made: Provenance

    @property
    def lines(self) -> Iterable[str]:
        """What was tested, and a line a measure."""
        yield f"{self.net.backbone}, {self.weights}, {self.images:,} of {self.listed:,} images"
        for measure, found in self.precision.items():
            values = f"AP {shown(found.ap)}, AP50 {shown(found.ap50)}, AP75 {shown(found.ap75)}"
            beside = f" (torchvision states AP {self.stated[measure]:.1f})" if measure in self.stated else ""
            yield f"{measure}: {values}{beside}"


def shown(value: float | None) -> str:
    return "--" if value is None else f"{value:.1f}"


def evaluate(net: Net, weights: str, root: Path, images: int | None = None, out: Path | None = None) -> Evaluation:
    """Test weights, a path or "torchvision", on the images of val2017 below `root`, or on so many of them.

    Raises:
        BadInput: the weights or the data are missing, damaged or do not fit, or `out` cannot be written.
    """
    begun = time.monotonic()
    if out:
        demand_file(out)
    if weights == TORCHVISION and not net.plain:
        raise BadInput("torchvision has weights of the r50 without blocks alone; leave --backbone and blocks out, or give a file")
    path = located(weights, net.kind)
    whole = tree(root, "val", net.kind)
    built = net.build()
    loaded = load(built, path, net.kind)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tested, notes, found = run(built.to(device), replace(whole, images=whole.images[:images]), device)
    precisions = {measure: precision(whole.coco, tested, items, measure) for measure, items in found.items()}
    made = provenance(time.monotonic() - begun, device)
    result = Evaluation(
        net=net,
        weights=loaded.file,
        sha256=loaded.sha256,
        precision=precisions,
        stated=loaded.stated,
        images=len(tested),
        listed=whole.listed,
        notes=notes,
        made=replace(made, versions=made.versions | {"pycocotools": version("pycocotools")}),
    )
    if out:
        write_atomic(out, json.dumps(asdict(result), indent=1) + "\n")
    return result


def demand_file(out: Path) -> None:
    """
    Raises:
        BadInput: no file can be written there, which is better told before the test than after it.
    """
    if out.is_dir():
        raise BadInput(f"--out {out} is a folder; give the name of a JSON file")
    make_folder(out.parent)


@torch.inference_mode()
def run(net: nn.Module, whole: Tree, device: torch.device) -> tuple[list[int], tuple[str, ...], dict[Measure, list[Detection]]]:
    """One image after the other through the net: the ids of those that could be read, notes on the others, all detections.

    Raises:
        BadInput: none can be read.
    """
    found: dict[Measure, list[Detection]] = {measure: [] for measure in MEASURES[whole.kind]}
    tested: list[int] = []
    broken: list[str] = []
    for image in progress_bar(whole.images, desc=whole.folder.name, unit=" images"):
        try:
            pixels = picture(whole, image)
        except BadInput as error:
            broken.append(str(error))
            continue
        (output,) = net([pixels.to(device)])
        for measure, items in found.items():
            items += detections(image, output, measure)
        tested.append(image)
    if not tested:
        raise BadInput(f"none of the {len(whole.images):,} images can be used, the first: {broken[0]}")
    notes = (f"{len(broken):,} images cannot be used and are left out, such as: {broken[0]}",) if broken else ()
    return tested, (*whole.notes, *notes), found
