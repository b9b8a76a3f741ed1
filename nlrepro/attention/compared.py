"""The weights f(x_i, x_j) / C(x) of a block on a clip, for chosen x_i, and which pixels the positions are about.

Weights are computed a row at a time, never all N x M.

Legend: G groups of frames that are summed over apart (1, but in some released nets), T frames of one, H x W places; S sets, N
query positions in each, R of them at once, M key positions, K compared channels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nlrepro.attention.looks import Look, Position
from nlrepro.nets.block import NonLocalBlock
from nlrepro.nets.layers import unfold
from nlrepro.nets.resnet import FoldedNonLocalBlock, VideoResNet
from nlrepro.nets.softmax import PAIRS


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What a block compares on one clip, and where in its map the compared positions lie: (t, y, x)."""

    block: NonLocalBlock
    theta: Tensor  # (S, N, K)
    phi: Tensor  # (S, M, K)
    queries: Tensor  # (S, N, 3)
    keys: Tensor  # (S, M, 3); those of 2 x 2 max-pooled positions are at their common corner
    shape: tuple[int, int, int]  # of the map

    @property
    def pooled(self) -> bool:
        return bool((self.keys % 1).any())

    @torch.no_grad()
    def look(self, query: Position, strongest: int) -> Look:
        """The strongest x_j of the position `query`, or all if they are fewer."""
        s, i = (self.queries == self.queries.new_tensor(query)).all(2).nonzero()[0].tolist()
        weights = self.block.weights(self.theta[s : s + 1, i : i + 1], self.phi[s : s + 1])[0, 0]  # (M,)
        best = weights.topk(min(strongest, len(weights)))
        return Look(
            query=query,
            keys=tuple(Position(*place) for place in self.keys[s, best.indices].tolist()),
            weights=tuple(best.values.tolist()),
            of=len(weights),
            total=float(weights.sum()),
        )

    @torch.no_grad()
    def farthest(self, strongest: int) -> Position:
        """The x_i whose strongest x_j reach farthest: the distance to them, in parts of the map, weighted by their share."""
        reaches = []
        rows = max(PAIRS // (len(self.phi) * self.phi.shape[1]), 1)
        extent = self.keys.new_tensor(self.shape)
        for theta, queries in zip(self.theta.split(rows, 1), self.queries.split(rows, 1), strict=True):
            weights = self.block.weights(theta, self.phi)  # (S, R, M)
            best = weights.topk(min(strongest, weights.shape[2]), 2)  # (S, R, strongest)
            share = best.values.clamp(min=0) / weights.abs().sum(2, keepdim=True).clamp(min=1e-12)  # (S, R, strongest)
            ends = torch.stack([keys[j] for keys, j in zip(self.keys, best.indices, strict=True)])  # (S, R, strongest, 3)
            distance = ((ends - queries.unsqueeze(2)) / extent).norm(dim=3)  # (S, R, strongest)
            reaches.append((share * distance).sum(2))  # (S, R)
        place = self.queries.flatten(0, 1)[torch.cat(reaches, 1).argmax()]  # (3,)
        return Position(*place.tolist())


@torch.no_grad()
def compared(net: VideoResNet, name: str, clip: Tensor) -> Compared:
    """What the block `name` of `net.inserted` compares when the net sees a clip (1, 3, T, H, W)."""
    block, seen = net.inserted[name], []
    assert isinstance(block, FoldedNonLocalBlock)
    hook = block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    net.eval()(clip)
    hook.remove()
    x, frames = seen[0]  # (T, C, H, W), T
    theta, phi, _ = block.project(unfold(x, block.group or frames))  # (G, K, T, H, W), (G, K, T, H', W')
    return Compared(
        block=block,
        theta=block.flatten(theta),
        phi=block.flatten(phi),
        queries=block.flatten(places(theta, theta)),
        keys=block.flatten(places(phi, theta)),
        shape=(frames, theta.shape[3], theta.shape[4]),
    )


def places(x: Tensor, theta: Tensor) -> Tensor:
    """Where the positions of x lie in the map of theta, as its channels: (G, K, T, H', W') -> (G, 3, T, H', W')."""
    groups, _, frames, *sides = x.shape
    steps = [1 if side == whole else 2 for side, whole in zip(sides, theta.shape[3:], strict=True)]  # of 2 x 2 max pooling
    t = torch.arange(groups * frames, dtype=torch.float32)
    y, x = (step * torch.arange(side) + (step - 1) / 2 for side, step in zip(sides, steps, strict=True))
    grid = torch.stack(torch.meshgrid(t, y, x, indexing="ij"))  # (3, G T, H', W')
    return grid.unflatten(1, (groups, frames)).transpose(0, 1)  # (G, 3, T, H', W')


@dataclass(frozen=True)
class Axis:
    """Position i of a map is about the pixel or frame scale * i + shift of the clip: the centre of its receptive field.

    A convolution or a pool with kernel k, stride s and padding p has the centre of its output i at s i + (k - 1) / 2 - p of its
    input. Where padding is symmetric this is s i: in the paper's text positions are about the upper left corner of their cell.
    """

    scale: float = 1.0
    shift: float = 0.0

    def then(self, kernel: int, stride: int, padding: int) -> "Axis":
        """The axis after another layer."""
        return Axis(self.scale * stride, self.shift + self.scale * ((kernel - 1) / 2 - padding))

    def centre(self, i: float) -> float:
        return self.scale * i + self.shift


def centres(net: VideoResNet, stage: int) -> tuple[Axis, Axis, Axis]:
    """Time, height and width of the maps of a stage: conv1 and the convolutions of all stages pad evenly, the pools may not."""
    geometry, (kernels, paddings) = net.geometry, net.pool1_window
    axes = []
    for kernel, stem, padding, pool, k in zip(
        geometry.stem_kernel, geometry.stem_stride, paddings, geometry.pool1_stride, kernels, strict=True
    ):
        axes.append(Axis().then(kernel, stem, kernel // 2).then(k, pool, padding))
    time, height, width = axes
    if stage > 2:
        kernel, padding = net.pool2_window
        time = time.then(kernel, geometry.pool2_stride, padding)
    for stride in geometry.stage_strides[: stage - 1]:
        height, width = height.then(3, stride, 1), width.then(3, stride, 1)
    return time, height, width
