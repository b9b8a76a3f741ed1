"""Mask R-CNN and Keypoint R-CNN in the sizes of `mini`: the trunk is Table 2's 2D ResNet, whose pretrained weights are shipped.

torchvision's parts in torchvision's structure, with fewer channels, regions and detections. As in its recipe the trunk's
normalisation is frozen; all of the trunk is trained, for it has only learnt to tag stills.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models.detection import KeypointRCNN, MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from nlrepro.coco.annotations import KEYPOINTS
from nlrepro.coco.nets import Affine, add_to_head, batch_independent
from nlrepro.coco.profile import Narrow
from nlrepro.coco.start import digest_of, start_path
from nlrepro.config import Profile, load_profile
from nlrepro.nets.block import NonLocalBlock
from nlrepro.nets.pretrained import pretrained
from nlrepro.nets.reading import tensors
from nlrepro.nets.resnet import EXPANSION, VideoResNet
from nlrepro.nets.transfer import start_from
from nlrepro.spec import BACKBONE_DEPTH, COCO_CLASSES, DetectionSpec, NetSpec

REGION = 7  # side of the map of a region that the box head sees
RATIOS = (0.5, 1.0, 2.0)  # height to width of anchors, torchvision's


class Trunk(VideoResNet):
    """The maps of res2 to res5 of images, which are clips of one frame: (B, 3, H, W) -> {"0": (B, C, H/4, W/4), ... "3"}."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        x, frames = self.stem(images.unsqueeze(2))  # (B, width, H/4, W/4)
        maps: dict[str, Tensor] = OrderedDict()
        for stage in range(2, 6):
            for i, block in enumerate(self.get_submodule(f"layer{stage - 1}").children()):
                x = block(x, frames)  # (B, C, H, W)
                if (stage, i) in self.sites:
                    x = self.inserted[f"res{stage}_{i}"](x, frames)  # (B, C, H, W)
            maps[str(stage - 2)] = x
        return maps


class Pyramid(nn.Module):
    """A trunk with a feature pyramid on it, as torchvision's detectors want their backbone."""

    def __init__(self, trunk: Trunk, channels: int) -> None:
        super().__init__()
        widths = [EXPANSION * trunk.geometry.width * 2**stage for stage in range(4)]
        self.body, self.out_channels = trunk, channels
        self.fpn = FeaturePyramidNetwork(widths, channels, LastLevelMaxPool())

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = self.fpn(self.body(images))
        return maps


def trunk(spec: DetectionSpec, base: Profile) -> tuple[Trunk, str]:
    """The pretrained trunk, its normalisation frozen, and what to call its weights in a record."""
    depth = BACKBONE_DEPTH[spec.backbone]
    net = Trunk(NetSpec(depth=depth, blocks="res4" if spec.block else "none", domain="space"), base.geometry, 1)
    state, name = pretrained(depth, base)
    start_from(net, state)
    net.fc = nn.Identity()  # type: ignore[assignment]  # nothing is classified here
    return frozen(net), name


def frozen(net: Trunk) -> Trunk:
    """The net, its batch normalisation replaced by the scales and shifts that it has in a test; blocks keep theirs."""
    for parent in [module for module in net.modules() if not isinstance(module, NonLocalBlock)]:
        for name, norm in list(parent.named_children()):
            if isinstance(norm, _BatchNorm):
                setattr(parent, name, fixed(norm))
    return net


def fixed(norm: _BatchNorm) -> Affine:
    """What a normalisation computes in a test, as scale and shift that are not trained."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    layer = Affine(norm.num_features)
    with torch.no_grad():
        layer.weight.copy_(norm.weight / (norm.running_var + norm.eps).sqrt())
        layer.bias.copy_(norm.bias - norm.running_mean * layer.weight)
    return layer.requires_grad_(False)


def narrow_net(spec: DetectionSpec, narrow: Narrow, sides: Sequence[int]) -> tuple[nn.Module, str]:
    """The net with its pretrained trunk, and what to call the trunk's weights in a record.

    Raises:
        BadInput: they are missing or damaged.
    """
    base = load_profile(narrow.base)
    net_trunk, begun = trunk(spec, base)
    pyramid, channels = Pyramid(net_trunk, narrow.channels), narrow.channels
    parts = {
        **sizes(narrow, base, sides),
        "box_head": TwoMLPHead(channels * REGION**2, narrow.box_head),
        "box_predictor": FastRCNNPredictor(narrow.box_head, COCO_CLASSES[spec.kind]),
    }
    if spec.kind == "boxes":
        head, last = MaskRCNNHeads(channels, narrow.mask_head, 1), narrow.mask_head[-1]
        predictor = MaskRCNNPredictor(last, last, COCO_CLASSES[spec.kind])
        return started(
            batch_independent(MaskRCNN(pyramid, mask_head=head, mask_predictor=predictor, **parts)), spec, narrow, begun
        )
    keypoint_head = KeypointRCNNHeads(channels, narrow.keypoint_head)
    points = KeypointRCNNPredictor(narrow.keypoint_head[-1], KEYPOINTS)
    net = KeypointRCNN(pyramid, keypoint_head=keypoint_head, keypoint_predictor=points, **parts)
    if spec.head_blocks:
        add_to_head(net.roi_heads.keypoint_head)
    return started(batch_independent(net), spec, narrow, begun)


def started(net: nn.Module, spec: DetectionSpec, narrow: Narrow, trunk: str) -> tuple[nn.Module, str]:
    """The net with what it shares with the shipped detector of its backbone, and what to call its start in a record."""
    if not narrow.start:
        return net, trunk
    path, own = start_path(narrow.start, spec), net.state_dict()
    shared = {name: x.float() for name, x in tensors(path).items() if name in own and own[name].shape == x.shape}
    net.load_state_dict(own | shared)
    return net, f"{path.name} (sha256 {digest_of(narrow.start, spec)[:12]})"


def sizes(narrow: Narrow, base: Profile, sides: Sequence[int]) -> Mapping[str, Any]:
    """What torchvision's detectors are told of images, anchors and regions."""
    anchors = tuple((side,) for side in narrow.anchors)
    mean, std = (list(value) if isinstance(value, tuple) else [value] * 3 for value in (base.data.mean, base.data.std))
    names = [f"rpn_{when}_nms_top_n_{phase}" for when in ("pre", "post") for phase in ("train", "test")]
    return {
        **dict.fromkeys(names, narrow.proposals),
        "min_size": tuple(sides),
        "max_size": max(sides),
        "image_mean": [value / 255 for value in mean],
        "image_std": [value / 255 for value in std],
        "rpn_anchor_generator": AnchorGenerator(anchors, (RATIOS,) * len(anchors)),
        "rpn_batch_size_per_image": narrow.sampled,
        "box_batch_size_per_image": narrow.sampled,
        "box_detections_per_img": narrow.detections,
    }
