"""What one block costs at 800x1333 (section 6: it "only adds <5% computation to the baseline model"); counted on the meta device.

`python -m nlrepro.coco.counting` writes costs.csv and prints the README's table. The sentence is true of whole nets, with the
heads on as many regions as in a test, and because phi and g are subsampled. Of backbone and FPN alone, without the heads, the
block is a larger part.
"""

from collections.abc import Callable
from typing import Any, get_args

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import MaskRCNN

from nlrepro.coco.costs import COSTS
from nlrepro.coco.nets import LONGEST, SIDE, mask_rcnn
from nlrepro.files import write_atomic
from nlrepro.record import Cost
from nlrepro.spec import Backbone

PROPOSALS, DETECTIONS = 1000, 100  # regions of an image in a test, for the box head and for the mask head
MULTIPLE = 32  # of pixels, to which torchvision pads images
NAMES = {"params": "params", "macs": "multiply-adds"}


def costs(backbone: Backbone, *, block: bool, height: int = SIDE, width: int = LONGEST) -> dict[str, Cost]:
    """Of one image: of backbone and FPN, and of the whole Mask R-CNN; pooling and non-maximum suppression are not counted."""
    with torch.device("meta"), torch.no_grad():
        net = mask_rcnn(backbone, block=block).eval()
        size = [-(-side // MULTIPLE) * MULTIPLE for side in (height, width)]
        features, first = counted(net.backbone, torch.empty(1, 3, *size))
        rest = counted(net.rpn.head, [*features.values()])[1] + heads(net)
    return {
        "backbone and FPN": Cost(params=sum(p.numel() for p in net.backbone.parameters()), macs=first),
        "whole net": Cost(params=sum(p.numel() for p in net.parameters()), macs=first + rest),
    }


def heads(net: MaskRCNN) -> int:
    """Multiply-adds of the heads on an image's regions."""
    roi, channels = net.roi_heads, net.backbone.out_channels
    box, in_box = counted(roi.box_head, torch.empty(PROPOSALS, channels, *roi.box_roi_pool.output_size))
    mask, in_mask = counted(roi.mask_head, torch.empty(DETECTIONS, channels, *roi.mask_roi_pool.output_size))
    return in_box + in_mask + counted(roi.box_predictor, box)[1] + counted(roi.mask_predictor, mask)[1]


def counted(part: Callable[..., Any], *inputs: Any) -> tuple[Any, int]:
    """What a part of a net gives, and its multiply-adds; PyTorch counts two operations a multiply-add."""
    with FlopCounterMode(display=False) as counter:
        found = part(*inputs)
    return found, counter.get_total_flops() // 2


def count() -> pd.DataFrame:
    """A line a net of Table 5 and part."""
    nets = [(backbone, block) for backbone in get_args(Backbone) for block in (False, True)]
    return pd.DataFrame(
        {"backbone": backbone, "block": block, "counted": part, "params": cost.params, "macs": cost.macs}
        for backbone, block in nets
        for part, cost in costs(backbone, block=block).items()
    )


def table(found: pd.DataFrame) -> str:
    """What is counted without the block, and with it in multiples of that."""
    base, more = (found[found["block"] == block].reset_index() for block in (False, True))
    ratios = {f"+1 NL: {name}": (more[column] / base[column]).map("{:.3f}".format) for column, name in NAMES.items()}
    counts = {name: base[column].map("{:,}".format) for column, name in NAMES.items()}
    shown = base[["backbone", "counted"]].assign(**counts, **ratios)
    return str(shown.to_markdown(index=False, disable_numparse=True))


if __name__ == "__main__":
    counts = count()
    write_atomic(COSTS, counts.to_csv(index=False, lineterminator="\n"))
    print(table(counts))
