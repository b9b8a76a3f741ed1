"""What one block costs at 800x1333 (section 6: it "only adds <5% computation to the baseline model"); counted on the meta device.

`python -m nlrepro.coco.costs` prints it. The sentence is true of whole nets, with the heads on as many regions as in a test, and
because phi and g are subsampled. Of backbone and FPN alone, without the heads, the block is a larger part.
"""

from collections.abc import Callable
from typing import Any, get_args

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import MaskRCNN

from nlrepro.coco.nets import LONGEST, SIDE, mask_rcnn
from nlrepro.coco.spec import Backbone
from nlrepro.record import Cost

PROPOSALS, DETECTIONS = 1000, 100  # regions of an image in a test, for the box head and for the mask head
MULTIPLE = 32  # of pixels, to which torchvision pads images


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


def table() -> str:
    """The nets of Table 5, without and with the block."""
    lines = []
    for backbone in get_args(Backbone):
        without, with_block = costs(backbone, block=False), costs(backbone, block=True)
        lines += [
            {
                "backbone": backbone,
                "counted": part,
                "params": f"{base.params:,}",
                "multiply-adds": f"{base.macs:,}",
                "+1 NL: params": f"{with_block[part].params / base.params:.3f}",
                "+1 NL: multiply-adds": f"{with_block[part].macs / base.macs:.3f}",
            }
            for part, base in without.items()
        ]
    return str(pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True))


if __name__ == "__main__":
    print(table())
