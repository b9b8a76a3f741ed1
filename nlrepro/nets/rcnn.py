"""Mask R-CNN and Keypoint R-CNN on ResNets with FPN, with non-local blocks (section 6, Tables 5 and 6).

At the paper's size the nets, and the names of their parameters, are torchvision's. Its released weights load
where there is no block. As in its recipe, conv1 and res2 are not trained and the backbone's normalisation is
frozen. The small nets have torchvision's parts in torchvision's structure, with fewer channels, regions and
detections, on Table 2's 2D ResNets. Their normalisation is frozen too, but all of the trunk is trained, as it
has only learnt to tag stills. A block is the identity until it is trained, so weights of a net without blocks
keep their outputs in one with them.

Departures from the paper: torchvision has ResNeXt-101 32x8d, not the paper's ResNeXt-152. Not known, as the
authors' code for COCO is not public (facebookresearch/video-nonlocal-net has the video nets, see its issue
33): the block's form, here embedded Gaussian with 2x2 subsampling, the default of section 4; and what
normalises it (`Affine`).
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models import get_model
from torchvision.models.detection import FasterRCNN, KeypointRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from nlrepro.config import Profile, SmallRCNN
from nlrepro.nets import weights
from nlrepro.nets.add_nonlocal import add_nonlocal
from nlrepro.nets.nonlocal_block import NonLocalBlock
from nlrepro.nets.resnet import EXPANSION, VideoResNet, count
from nlrepro.pretrained import detector_path
from nlrepro.record import Cost
from nlrepro.spec import BACKBONE_DEPTH, COCO_CLASSES, Backbone, DetectionSpec, NetSpec

RESNETS: dict[Backbone, str] = {"r50": "resnet50", "r101": "resnet101", "x101": "resnext101_32x8d"}
KEYPOINTS = 17  # of a person
SIDE, LONGEST = 800, 1333  # pixels: images get this shorter side, unless the longer one would pass its limit
PADDED = 32  # pixels: the sides of a batch of images are multiples of it
PROPOSALS, DETECTIONS = 1000, 100  # regions of an image in a test: for the box head, for the other heads
REGION = 7  # side of a region's map in the box head
RATIOS = (0.5, 1.0, 2.0)  # height to width of anchors, torchvision's


class Affine(nn.Module):
    """x (B, C, T, H, W) -> scale x + shift, a channel each; in place of the BN of a block, and of its names.

    One or two images a GPU are too few for statistics of a batch, so an image's output does not depend on
    those beside it. A FrozenBatchNorm2d as in the backbone would not do: its scale is no parameter, and a new
    block's would stay 0. What the paper's blocks had on COCO is not known. The authors' code for video has
    this layer (AffineNd) for frozen BN.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *[1] * (x.ndim - 2))
        return x * self.weight.view(shape) + self.bias.view(shape)  # (B, C, T, H, W)


def detector(spec: DetectionSpec, profile: Profile) -> tuple[FasterRCNN, str]:
    """The net of a spec, and what a record calls the shipped weights in it; "" before `load_imagenet`."""
    assert profile.detection
    sides, small = profile.detection.sides[spec.kind], profile.detection.small
    return small_rcnn(spec, profile, small, sides) if small else (torchvision_rcnn(spec, sides), "")


def load_imagenet(net: FasterRCNN, spec: DetectionSpec, files: Sequence[Path]) -> str:
    """Load ImageNet's weights, of `files` or torchvision's cache, into the backbone of `torchvision_rcnn`.

    Returns what a record calls them; errors as of `weights.imagenet`.
    """
    name, body = RESNETS[spec.backbone], net.backbone.body
    with torch.device("meta"):
        resnet = get_model(name, weights=None)
    state, start = weights.imagenet(name, resnet, files)
    body.load_state_dict({name: x for name, x in state.items() if name in body.state_dict()}, strict=False)
    return start


def torchvision_rcnn(spec: DetectionSpec, sides: Sequence[int] = (SIDE,)) -> FasterRCNN:
    """The net of the paper's size, for images (3, H, W) of values from 0 to 1, of any sizes.

    Their shorter sides are scaled to one of `sides`, drawn in training, the last one in a test. Images of a
    batch are padded to one size, and the block's sums run over the padding too.
    """
    backbone = resnet_fpn_backbone(backbone_name=RESNETS[spec.backbone], weights=None)
    build: type[FasterRCNN] = MaskRCNN if spec.kind == "boxes" else KeypointRCNN
    longest = round(LONGEST / SIDE * max(sides))
    net = build(backbone, COCO_CLASSES[spec.kind], min_size=tuple(sides), max_size=longest)
    if spec.block:
        add_nonlocal(net, "res4", domain="space")
    return with_head_blocks(net, spec)


def with_head_blocks(net: FasterRCNN, spec: DetectionSpec) -> FasterRCNN:
    """The net with the blocks of its keypoint head, and with an `Affine` in place of all blocks' BN."""
    if spec.head_blocks:
        every_second_relu = range(3, len(net.roi_heads.keypoint_head), 4)
        add_nonlocal(net.roi_heads, domain="space", at={"keypoint_head": every_second_relu})
    for block in net.modules():
        if isinstance(block, NonLocalBlock):
            block.register_module("bn", Affine(block.w_z.out_channels))
    return net


class Trunk(VideoResNet):
    """Images (B, 3, H, W), clips of one frame -> maps of res2 to res5: {"0": (B, C, H/4, W/4), ... "3"}."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        x, frames = self.stem(images.unsqueeze(2))  # (B, width, H/4, W/4)
        maps: dict[str, Tensor] = OrderedDict()
        for stage in range(2, 6):
            x = maps[str(stage - 2)] = self.run_stage(stage, x, frames)  # (B, C, H, W)
        return maps


def with_fpn(trunk: Trunk, channels: int) -> nn.Module:
    """A trunk with a feature pyramid on it, as torchvision's detectors want their backbone."""
    widths = [EXPANSION * trunk.geometry.width * 2**stage for stage in range(4)]
    fpn = FeaturePyramidNetwork(widths, channels, LastLevelMaxPool())
    backbone = nn.Sequential(OrderedDict[str, nn.Module](body=trunk, fpn=fpn))
    backbone.out_channels = channels  # type: ignore[assignment]
    return backbone


def pretrained_trunk(spec: DetectionSpec, profile: Profile) -> tuple[Trunk, str]:
    """The pretrained trunk with frozen normalisation, and what a record calls its weights."""
    depth = BACKBONE_DEPTH[spec.backbone]
    blocks = NetSpec(depth=depth, blocks="res4" if spec.block else "none", domain="space")
    net = Trunk(blocks, profile.geometry, 1)
    state, start = weights.pretrained(depth, profile)
    weights.start_from(net, state)
    net.fc = nn.Identity()  # type: ignore[assignment]  # nothing is classified here
    return freeze_norm(net), start


def freeze_norm(net: Trunk) -> Trunk:
    """The net, its normalisation replaced by the scales and shifts of a test; blocks keep theirs."""
    for parent in [module for module in net.modules() if not isinstance(module, NonLocalBlock)]:
        for name, norm in list(parent.named_children()):
            if isinstance(norm, _BatchNorm):
                setattr(parent, name, as_affine(norm))
    return net


def as_affine(norm: _BatchNorm) -> Affine:
    """What a normalisation computes in a test, as a scale and a shift that are not trained."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    layer = Affine(norm.num_features)
    with torch.no_grad():
        layer.weight.copy_(norm.weight / (norm.running_var + norm.eps).sqrt())
        layer.bias.copy_(norm.bias - norm.running_mean * layer.weight)
    return layer.requires_grad_(False)


def small_rcnn(
    spec: DetectionSpec, profile: Profile, small: SmallRCNN, sides: Sequence[int]
) -> tuple[FasterRCNN, str]:
    """The net of generated scenes, from the shipped detector or the trunk alone; errors as of `detector`."""
    trunk, start = pretrained_trunk(spec, profile)
    backbone, channels = with_fpn(trunk, small.channels), small.channels
    parts = {
        **options(small, profile, sides),
        "box_head": TwoMLPHead(channels * REGION**2, small.box_head),
        "box_predictor": FastRCNNPredictor(small.box_head, COCO_CLASSES[spec.kind]),
    }
    if spec.kind == "boxes":
        head, last = MaskRCNNHeads(channels, small.mask_head, 1), small.mask_head[-1]
        predictor = MaskRCNNPredictor(last, last, COCO_CLASSES[spec.kind])
        net = MaskRCNN(backbone, mask_head=head, mask_predictor=predictor, **parts)
    else:
        head = KeypointRCNNHeads(channels, small.keypoint_head)
        predictor = KeypointRCNNPredictor(small.keypoint_head[-1], KEYPOINTS)
        net = KeypointRCNN(backbone, keypoint_head=head, keypoint_predictor=predictor, **parts)
    with_head_blocks(net, spec)
    if not small.start:
        return net, start
    path, own = detector_path(small.start, spec), net.state_dict()
    state = weights.convert_floats(weights.read_tensors(path), torch.float32)
    shared = {name: x for name, x in state.items() if name in own and own[name].shape == x.shape}
    net.load_state_dict(own | shared)
    return net, weights.start_name(path)


def options(small: SmallRCNN, profile: Profile, sides: Sequence[int]) -> Mapping[str, Any]:
    """What torchvision's detectors need to know of images, anchors and regions."""
    anchors = tuple((side,) for side in small.anchors)
    pixels = (profile.data.mean, profile.data.std)
    mean, std = (list(value) if isinstance(value, tuple) else [value] * 3 for value in pixels)
    names = [f"rpn_{when}_nms_top_n_{phase}" for when in ("pre", "post") for phase in ("train", "test")]
    return {
        **dict.fromkeys(names, small.proposals),
        "min_size": tuple(sides),
        "max_size": max(sides),
        "image_mean": [value / 255 for value in mean],
        "image_std": [value / 255 for value in std],
        "rpn_anchor_generator": AnchorGenerator(anchors, (RATIOS,) * len(anchors)),
        "rpn_batch_size_per_image": small.sampled,
        "box_batch_size_per_image": small.sampled,
        "box_detections_per_img": small.detections,
    }


def detector_cost(spec: DetectionSpec, profile: Profile) -> Cost:
    """Of torchvision's net and one image; of a small one the multiply-adds of backbone and FPN alone.

    Section 6 says that a block "only adds <5% computation to the baseline model": true of torchvision's nets,
    and because phi and g are subsampled.
    """
    assert profile.detection
    small, sides = profile.detection.small, profile.detection.sides[spec.kind]
    if small is None:
        return torchvision_cost(spec)
    net, _ = small_rcnn(spec, profile, small, sides)
    image = torch.empty(1, 3, sides[-1], sides[-1], device="meta")
    _, macs = count(net.backbone.to("meta").eval(), image)
    return Cost(params=sum(p.numel() for p in net.parameters()), macs=macs)


def torchvision_cost(spec: DetectionSpec, height: int = SIDE, width: int = LONGEST) -> Cost:
    """With the heads on as many regions as in a test; pooling and non-maximum suppression are not counted."""
    with torch.device("meta"):
        net = torchvision_rcnn(spec).eval()
        size = [-(-side // PADDED) * PADDED for side in (height, width)]
        maps, macs = count(net.backbone, torch.empty(1, 3, *size))
        macs += count(net.rpn.head, [*maps.values()])[1]
        roi, channels = net.roi_heads, net.backbone.out_channels
        for part, regions in (("box", PROPOSALS), ("mask", DETECTIONS), ("keypoint", DETECTIONS)):
            pool = getattr(roi, f"{part}_roi_pool")
            if pool is not None:
                x = torch.empty(regions, channels, *pool.output_size)  # (regions, C, H, W)
                x, in_head = count(getattr(roi, f"{part}_head"), x)
                macs += in_head + count(getattr(roi, f"{part}_predictor"), x)[1]
    return Cost(params=sum(p.numel() for p in net.parameters()), macs=macs)
