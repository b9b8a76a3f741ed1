"""The verb `evaluate-coco`: given weights on COCO's val2017."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nlrepro.cli.verbs import Verbs, positive

if TYPE_CHECKING:
    from nlrepro.config import Profile

BACKBONES = ("r50", "r101", "x101")
KINDS = ("boxes", "keypoints")


def do_evaluate_coco(arguments: argparse.Namespace, _: "Profile") -> None:
    from nlrepro.coco.evaluate import Net, evaluate
    from nlrepro.files import BadInput

    if arguments.head_blocks and arguments.kind != "keypoints":
        raise BadInput("--head-blocks are of the keypoint head; give --kind keypoints with it")
    net = Net(
        kind=arguments.kind,
        backbone=arguments.backbone,
        block=arguments.block,
        head_blocks=arguments.head_blocks,
        side=arguments.side,
    )
    found = evaluate(net, arguments.weights, arguments.data, arguments.images, arguments.out)
    for line in (*found.lines, *found.notes):
        print(line)


def add_verbs(verbs: Verbs) -> None:
    test = verbs.add(
        "evaluate-coco",
        do_evaluate_coco,
        "given weights on COCO's val2017: box and mask AP, or box and keypoint AP, by COCO's own code",
        "--weights torchvision --data coco",
        data="annotations/ and val2017/",
    )
    test.add_argument("--weights", required=True, help="a file, or torchvision: its released weights of r50, in its cache")
    test.add_argument("--backbone", choices=BACKBONES, default="r50", help="ResNet-50, -101 or ResNeXt-101 32x8d (default: r50)")
    test.add_argument("--kind", choices=KINDS, default="boxes", help="boxes with masks, or keypoints (default: boxes)")
    test.add_argument("--block", action="store_true", help="the weights are of a net with a non-local block in res4")
    test.add_argument("--head-blocks", action="store_true", help="and with four in the keypoint head")
    test.add_argument("--side", type=positive, default=800, help="pixels of the images' shorter side (default: 800)")
    test.add_argument("--images", type=positive, help="a dry run on so many images")
    test.add_argument("--out", type=Path, help="a JSON file to write: what was found, of what, and with what")
