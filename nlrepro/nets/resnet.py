"""C2D and I3D ResNet-50/101 (section 4, Table 1), non-local blocks at the sites of the spec, and their cost.

A 2D convolution sees no time, so a clip's frames travel folded into the batch, (B T, C, H, W). C2D is then
exactly an image ResNet with torchvision's parameter names, on the fast 2D kernels. Only what looks across
time unfolds the frames: inflated convolutions, temporal pooling, non-local blocks. Folded frames lie in
channels-last memory as (B, T, H, W, C), which is a channels-last clip too, so neither way is a copy. On a CPU
core a folded 3x3 of the paper's res3 took 0.28 of conv3d's time, of its res4 0.38, of mini's nets all of it.

Legend of shapes: nlrepro/nets/__init__.py.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nlrepro.config import Architecture, Geometry, Profile
from nlrepro.nets.later_blocks import SUCCESSORS, Successor
from nlrepro.nets.nonlocal_block import NonLocalBlock
from nlrepro.record import Cost
from nlrepro.spec import STAGE_BLOCKS, Conv, NetSpec, RunSpec, Site

Triple = tuple[int, int, int]

EXPANSION = 4


def unfold(x: Tensor, frames: int) -> Tensor:
    """(B T, C, H, W) -> (B, C, T, H, W).

    unflatten gives a batch of one a stride that hides channels-last from convolutions; unsqueeze does not.
    """
    clips = x.unsqueeze(0) if x.shape[0] == frames else x.unflatten(0, (-1, frames))  # (B, T, C, H, W)
    return clips.transpose(1, 2)


def fold(x: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B T, C, H, W)."""
    return x.transpose(1, 2).flatten(0, 1)


class SpatialConv(nn.Conv2d):
    """A k x k convolution of each frame: (B T, C, H, W) -> (B T, P, H', W')."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels, out, kernel, stride, kernel // 2, bias=False)

    def forward(self, x: Tensor, frames: int = 1) -> Tensor:
        return super().forward(x)


class TemporalConv(nn.Conv3d):
    """A t x k x k convolution of folded frames, padded so that only a stride shrinks T, H, W."""

    def __init__(
        self, channels: int, out: int, kernel: tuple[int, int], stride: int = 1, time_stride: int = 1
    ) -> None:
        t, k = kernel
        steps = (time_stride, stride, stride)
        super().__init__(channels, out, (t, k, k), steps, (t // 2, k // 2, k // 2), bias=False)

    def forward(self, x: Tensor, frames: int) -> Tensor:  # type: ignore[override]  # frames: T
        return fold(super().forward(unfold(x, frames)))  # (B T, P, H, W)


def is_inflated(architecture: Architecture, stage: int, i: int) -> bool:
    """Whether I3D inflates residual block i of a stage: every second one.

    The release inflates all of res2, and of res5 the middle one.
    """
    if architecture == "release" and stage in (2, 5):
        return stage == 2 or i == 1
    return i % 2 == 0


class Bottleneck(nn.Module):
    """x + BN(1x1(ReLU BN(3x3(ReLU BN(1x1 x))))): (B T, C', H, W) -> (B T, C, H', W').

    The stride sits in the 3x3. Inflated, the first 1x1 becomes 3x1x1, or the 3x3 becomes 3x3x3.
    """

    def __init__(self, channels: int, planes: int, stride: int, conv: Conv) -> None:
        super().__init__()
        out = planes * EXPANSION
        first, second = conv == "3x1x1", conv == "3x3x3"
        self.conv1 = TemporalConv(channels, planes, (3, 1)) if first else SpatialConv(channels, planes, 1)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = (
            TemporalConv(planes, planes, (3, 3), stride) if second else SpatialConv(planes, planes, 3, stride)
        )
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = SpatialConv(planes, out, 1)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(SpatialConv(channels, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor, frames: int) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x, frames)), inplace=True)  # (B T, P, H, W)
        y = F.relu(self.bn2(self.conv2(y, frames)), inplace=True)  # (B T, P, H', W')
        y = self.bn3(self.conv3(y))  # (B T, C, H', W')
        return F.relu(y.add_(self.downsample(x)), inplace=True)  # (B T, C, H', W')


class FoldedNonLocalBlock(NonLocalBlock):
    """The block on folded frames: (B T, C, H, W) -> (B T, C, H, W).

    With a `group`, of released nets of long clips, the sum runs over so many frames instead of all T.
    """

    group: int | None = None

    def forward(self, x: Tensor, frames: int) -> Tensor:  # type: ignore[override]  # frames: T
        return fold(super().forward(unfold(x, self.group or frames)))  # (B T, C, H, W)


class VideoResNet(nn.Module):
    """Clips (B, 3, T, H, W) -> class scores (B, classes).

    conv1, pool1, res2, pool2 (time), res3, res4, res5, mean over all positions, dropout, fc. In I3D conv1
    spans several frames, 5 in the paper, and every second residual block of a stage, from its first, is
    inflated. The paper's pools are 3x3x3 and 3x1x1 with padding; those of its authors' code are 2x3x3 and
    2x1x1 without, so that res2's 56 x 56 maps are 55 x 55. Blocks sit at the spec's sites if no others are
    given.
    """

    window = 7  # side of res5 maps that fc is trained on: 224 pixels at stride 32

    def __init__(
        self, spec: NetSpec, geometry: Geometry, classes: int, sites: tuple[Site, ...] | None = None
    ) -> None:
        super().__init__()
        self.spec, self.geometry, self.sites = spec, geometry, spec.sites if sites is None else sites
        width = geometry.width
        (t, k, _), (time_stride, stride, _) = geometry.stem_kernel, geometry.stem_stride
        self.conv1: SpatialConv | TemporalConv = SpatialConv(3, width, k, stride)
        if spec.conv != "2d":  # the random numbers of the first are drawn all the same
            self.conv1 = TemporalConv(3, width, (t, k), stride, time_stride)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage, planes in zip(range(2, 6), (width, 2 * width, 4 * width, 8 * width), strict=True):
            blocks: list[nn.Module] = []
            for i in range(STAGE_BLOCKS[spec.depth][stage]):
                step = geometry.stage_strides[stage - 2] if i == 0 else 1
                conv = spec.conv if is_inflated(geometry.architecture, stage, i) else "2d"
                blocks.append(Bottleneck(channels, planes, step, conv))
                channels = planes * EXPANSION
            self.add_module(f"layer{stage - 1}", nn.ModuleList(blocks))  # torchvision counts stages from 1
        self.inserted = nn.ModuleDict(
            {f"res{stage}_{i}": self.insert(width * 2 ** (stage - 2)) for stage, i in self.sites}
        )
        self.fc = nn.Linear(channels, classes)
        self.reset_parameters()

    def insert(self, planes: int) -> nn.Module:
        """A block for a site, on 4 `planes` channels: non-local, residual as a control, or a later one."""
        channels, architecture = planes * EXPANSION, self.geometry.architecture
        if self.spec.kind == "residual":
            return Bottleneck(channels, planes, 1, "2d")
        if self.spec.kind in SUCCESSORS:
            return SUCCESSORS[self.spec.kind](channels)
        return FoldedNonLocalBlock(channels, self.spec.form, self.spec.domain, architecture=architecture)

    def reset_parameters(self) -> None:
        """He initialisation. Residual blocks at the sites start as the identity, as non-local ones do."""
        zero = self.geometry.zero_residual
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d | TemporalConv):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, Bottleneck) and (zero or name.startswith("inserted.")):
                nn.init.zeros_(module.bn3.weight)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, clips: Tensor) -> Tensor:
        if clips.ndim != 5 or clips.shape[1] != 3:
            raise ValueError(f"expected clips (B, 3, T, H, W), got {tuple(clips.shape)}")
        x, frames = self.stem(clips)  # (B T, width, H, W)
        for stage in range(2, 6):
            x = self.run_stage(stage, x, frames)  # (B T, C, H, W)
            if stage == 2:
                x, frames = self.pool2(x, frames)  # (B T/2, C, H, W)
        return self.head(x.unflatten(0, (-1, frames)))  # (B, classes)

    def run_stage(self, stage: int, x: Tensor, frames: int) -> Tensor:
        """Residual blocks of a stage, and blocks at its sites: (B T, C, H, W) -> (B T, C', H', W')."""
        for i, block in enumerate(self.get_submodule(f"layer{stage - 1}").children()):
            x = block(x, frames)  # (B T, C', H', W')
            if (stage, i) in self.sites:
                inserted = self.inserted[f"res{stage}_{i}"]
                if isinstance(inserted, Successor):
                    x = fold(inserted(unfold(x, frames)))  # (B T, C', H', W')
                else:
                    x = inserted(x, frames)  # (B T, C', H', W')
        return x

    def head(self, x: Tensor) -> Tensor:
        """Mean, dropout and fc: (B, T, C, H, W) -> (B, classes).

        The authors' code tests fully convolutionally: maps larger than the trained ones are seen in windows
        of that size, at every place. The softmax scores of all windows are averaged; their logarithms are
        returned.
        """
        if self.training or self.geometry.architecture == "text" or max(x.shape[3:]) <= self.window:
            x = x.mean((1, 3, 4))  # (B, C)
            return self.fc(F.dropout(x, self.geometry.dropout, self.training))  # (B, classes)
        sides = [min(self.window, side) for side in x.shape[3:]]
        x = F.avg_pool2d(x.mean(1), sides, 1).permute(0, 2, 3, 1)  # (B, H'', W'', C)
        return self.fc(x).softmax(3).mean((1, 2)).log()  # (B, classes)

    def stem(self, clips: Tensor) -> tuple[Tensor, int]:
        """conv1 and pool1: (B, 3, T, H, W) -> (B T'', width, H'', W'') and T''."""
        if self.spec.conv == "2d":  # a 1 x k x k kernel's stride in time
            clips = clips[:, :, :: self.geometry.stem_stride[0]]  # (B, 3, T', H, W)
        x = fold(clips).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)  # (B T, 3, H, W), channels last
        x = F.relu(self.bn1(self.conv1(x, clips.shape[2])), inplace=True)  # (B T', width, H', W')
        frames = x.shape[0] // clips.shape[0]  # T'
        kernel, padding = self.pool1_window
        x = unfold(x, frames)  # (B, width, T', H', W')
        x = F.max_pool3d(x, kernel, self.geometry.pool1_stride, padding)  # (B, width, T'', H'', W'')
        return fold(x), x.shape[2]

    @property
    def pool1_window(self) -> tuple[Triple, Triple]:
        """Kernel and padding of the max pool after conv1: (time, height, width)."""
        t, h, w = self.geometry.pool1_kernel
        return ((min(t, 2), h, w), (0, 0, 0)) if self.release else ((t, h, w), (t // 2, h // 2, w // 2))

    @property
    def pool2_window(self) -> tuple[int, int]:
        """Kernel and padding, in time, of the max pool after res2."""
        return (2, 0) if self.release else (3, 1)

    @property
    def release(self) -> bool:
        return self.geometry.architecture == "release"

    def pool2(self, x: Tensor, frames: int) -> tuple[Tensor, int]:
        """Max pool over time after res2: (B T, C, H, W) -> (B T', C, H, W) and T'."""
        kernel, padding = self.pool2_window
        stride = (self.geometry.pool2_stride, 1, 1)
        x = F.max_pool3d(unfold(x, frames), (kernel, 1, 1), stride, (padding, 0, 0))  # (B, C, T', H, W)
        return fold(x), x.shape[2]


def count(part: Callable[..., Any], *inputs: Any) -> tuple[Any, int]:
    """What a part of a net returns, and its multiply-adds; PyTorch counts two operations a multiply-add."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        outputs = part(*inputs)
    return outputs, counter.get_total_flops() // 2


def cost_of(net: VideoResNet, frames: int, size: int) -> Cost:
    """Of a net on the meta device and one clip of so many frames of size x size: no memory, no arithmetic."""
    macs = count(net.eval(), torch.empty(1, 3, frames, size, size, device="meta"))[1]
    return Cost(params=sum(p.numel() for p in net.parameters()), macs=macs)


def cost(spec: RunSpec, profile: Profile) -> Cost:
    """Parameters and multiply-adds of one clip of the profile's size (Table 2e's columns)."""
    clips = profile.clips[spec.clip]
    with torch.device("meta"):
        net = VideoResNet(spec.net, profile.geometry, clips.classes)
    return cost_of(net, clips.frames, profile.data.size)


def training_bytes(spec: RunSpec, profile: Profile) -> int:
    """Memory of a training step on one GPU, counted on the meta device, without workspaces.

    Weights, gradients, momentum, and what the forward pass keeps for the backward one, in half precision
    where the recipe mixes it.
    """
    clips, recipe = profile.clips[spec.clip], profile.recipe(spec.recipe)
    kept: dict[int, int] = {}  # bytes of each storage

    def keep(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        return x

    with torch.device("meta"):
        net = VideoResNet(spec.net, profile.geometry, clips.classes)
        batch = torch.empty(1, 3, clips.frames, profile.data.size, profile.data.size)
    own = {p.untyped_storage()._cdata for p in net.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        scores = net.train()(batch)  # alive with all that it keeps, so that no two storages have one number
    clip = 4 * scores.numel() + sum(size for storage, size in kept.items() if storage not in own)
    clip //= 1 if recipe.precision == "32-true" else 2
    weights = 3 * 4 * sum(p.numel() for p in net.parameters())
    return clip * (recipe.batch // recipe.accumulate) + weights
