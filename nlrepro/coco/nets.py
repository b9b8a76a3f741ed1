"""Mask R-CNN and Keypoint R-CNN on ResNets with FPN, with non-local blocks (section 6, Tables 5 and 6).

The nets, and the names of their parameters, are torchvision's, whose released weights load where there is no block; as in its
recipe, conv1 and res2 are not trained and the backbone's batch normalisation is frozen. A block is the identity until it is
trained, so that weights of a net without blocks keep their outputs when they are loaded into one with them.

Departures from the paper: torchvision has ResNeXt-101 32x8d, not the paper's ResNeXt-152. Not known, as the authors' code for
COCO is not public (their released code is that of the video nets; facebookresearch/video-nonlocal-net issue 33): the block's
form, here embedded Gaussian with 2x2 subsampling, the default of section 4; and what normalises it (`Affine`).
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights
from torchvision.models.detection import KeypointRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN, resnet_fpn_backbone

from nlrepro.files import BadInput
from nlrepro.nets.adding import add_nonlocal, channels_of
from nlrepro.nets.block import NonLocalBlock
from nlrepro.nets.reading import tensors
from nlrepro.spec import COCO_CLASSES, Backbone, DetectionSpec

Net = TypeVar("Net", bound=nn.Module)
State = Mapping[str, Tensor]
RESNETS: dict[Backbone, str] = {"r50": "resnet50", "r101": "resnet101", "x101": "resnext101_32x8d"}  # torchvision's names
SIDE, LONGEST = 800, 1333  # pixels: images are scaled to this shorter side, unless the longer one would pass its limit
SIDES = (640, 672, 704, 736, 768, 800)  # of which training for keypoints draws one


class Affine(nn.Module):
    """x (B, C, T, H, W) -> scale x + shift, a channel each; in place of the BN of a block, and of its names.

    One or two images a GPU are too few for statistics of a batch, so what an image gives here does not depend on those beside
    it. A FrozenBatchNorm2d as in the backbone would not do: its scale is no parameter, and a new block's would stay 0. What the
    paper's blocks had on COCO is not known. The authors' code for video has the same layer (AffineNd) where BN is frozen.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *[1] * (x.ndim - 2))
        return x * self.weight.view(shape) + self.bias.view(shape)  # (B, C, T, H, W)


def mask_rcnn(
    backbone: Backbone,
    *,
    block: bool,
    classes: int = COCO_CLASSES["boxes"],
    sides: Sequence[int] = (SIDE,),
    start: State | None = None,
) -> MaskRCNN:
    """Table 5: with `block`, one non-local block right before the last residual block of res4.

    Takes images (3, H, W) of values from 0 to 1, of any sizes. `sides`: their shorter sides are scaled to one of these, drawn
    in training, the last one in a test. Images of a batch are padded to one size, and the block's sums run over the padding too.
    `start`: ImageNet weights of the ResNet.
    """
    net = MaskRCNN(body(backbone, start), classes, min_size=tuple(sides), max_size=longest(sides))
    if block:
        add_nonlocal(net, "res4", domain="space")
    return batch_independent(net)


def keypoint_rcnn(
    backbone: Backbone,
    *,
    head_blocks: bool,
    backbone_block: bool,
    classes: int = COCO_CLASSES["keypoints"],
    sides: Sequence[int] = SIDES,
    start: State | None = None,
) -> KeypointRCNN:
    """Table 6: with `head_blocks` four in the keypoint head, after every two of its eight convolutions; else as `mask_rcnn`."""
    net = KeypointRCNN(body(backbone, start), classes, min_size=tuple(sides), max_size=longest(sides))
    if backbone_block:
        add_nonlocal(net, "res4", domain="space")
    if head_blocks:
        add_to_head(net.roi_heads.keypoint_head)
    return batch_independent(net)


def body(backbone: Backbone, start: State | None = None) -> BackboneWithFPN:
    """A ResNet with FPN and frozen normalisation, with ImageNet weights, or without any."""
    net = resnet_fpn_backbone(backbone_name=RESNETS[backbone], weights=None)
    if start is not None:
        net.body.load_state_dict({name: x for name, x in start.items() if name in net.body.state_dict()})
    return net


def detector(spec: DetectionSpec, sides: Sequence[int], files: Sequence[Path] = ()) -> tuple[MaskRCNN | KeypointRCNN, str]:
    """The net of a spec, from ImageNet weights, and what to call these in a record; `files` are torchvision's.

    Raises:
        BadInput: there are no such weights, or they are damaged.
    """
    start, name = imagenet(spec.backbone, files)
    if spec.kind == "boxes":
        return mask_rcnn(spec.backbone, block=spec.block, sides=sides, start=start), name
    blocks = {"head_blocks": spec.head_blocks, "backbone_block": spec.block}
    return keypoint_rcnn(spec.backbone, **blocks, sides=sides, start=start), name


def imagenet(backbone: Backbone, files: Sequence[Path] = ()) -> tuple[State, str]:
    """The first of the files that fits the ResNet, or else torchvision's in its cache, and what to call it in a record.

    Raises:
        BadInput: there is none, or it is damaged.
    """
    url = str(get_model_weights(RESNETS[backbone])["IMAGENET1K_V1"].url)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    with torch.device("meta"):
        wanted = {name: x.shape for name, x in body(backbone).body.state_dict().items()}
    for path in (*files, *([cached] if cached.is_file() else [])):
        state = tensors(path)
        if all(name in state and state[name].shape == shape for name, shape in wanted.items()):
            return state, f"{path.name} (sha256 {sha256(path.read_bytes()).hexdigest()[:12]})"
    among = f" among {', '.join(map(str, files))}" * bool(files)
    raise BadInput(
        f"no ImageNet weights of {RESNETS[backbone]}{among}: download {url} and give it as --imagenet FILE, or put it at "
        f"{cached} (TORCH_HOME moves that folder)"
    )


def longest(sides: Sequence[int]) -> int:
    return round(LONGEST / SIDE * max(sides))


def add_to_head(head: nn.Sequential) -> None:
    """Non-local blocks into convolution, ReLU, convolution, ReLU ..., in place: after the ReLU of every second convolution."""
    modules: dict[str, nn.Module] = {}
    for i, (name, module) in enumerate(head.named_children()):
        modules[name] = module
        if i % 4 == 3:
            modules[f"{name}_nonlocal"] = NonLocalBlock(channels_of(head[i - 1]), domain="space")
    head._modules = modules  # as in add_nonlocal: a Sequential runs its modules in this order


def batch_independent(net: Net) -> Net:
    """The net, with an `Affine` in place of its blocks' BN."""
    for block in net.modules():
        if isinstance(block, NonLocalBlock):
            block.register_module("bn", Affine(block.w_z.out_channels))
    return net
