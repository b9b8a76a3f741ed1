"""Do a block's maps depend on the query? How far apart they are between positions of a clip, and between clips.

Cao et al., "GCNet", 2019 (arXiv:1904.11492, section 3) found that in trained nets they hardly do. As there, the distance of two
vectors is (1 - cos) / 2: 0 for one direction, 0.5 for orthogonal ones, 1 for opposite ones. It is taken of

    input   x_i
    map     f(x_i, x_j) / C(x), over all x_j
    output  z_i - x_i, what the block adds

between positions: over all pairs of a clip's x_i that share their x_j (a clip's, a frame's, a place's, by the domain);
between videos: over all pairs of clips, at the same position. One map for all positions of a clip has 0 between positions.

Departures from GCNet: pairs of a position with itself do not count; the distance between videos, which tells what is large.

Legend of shapes: nlrepro/nets/__init__.py; R of N positions.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from nlrepro.nets.layers import fold, unfold
from nlrepro.nets.resnet import FoldedNonLocalBlock, VideoResNet

POSITIONS = 256  # x_i of a set that are compared, evenly spaced, where a set has more
Hook = Callable[[FoldedNonLocalBlock, tuple[Tensor, int], Tensor], Tensor | None]  # block, (x, T), z -> another z, or None
Hooks = Callable[[str], Hook]  # by the block's name
Batches = Iterable[tuple[Tensor, Tensor]]  # clips (B, 3, T, H, W) as the net sees them, labels (B,)


def measure(net: VideoResNet, batches: Batches) -> pd.DataFrame:
    """A line a block and batch: `block`, the distances `input_positions`, `input_videos`, ... and, of the whole net, `videos`,
    `top1` in percent, and `one_map_delta`, the points that it gains if all positions of all blocks have their mean map.

    The clips of a batch are the videos that are compared: they should be of all classes.
    """
    lines: list[dict[str, object]] = []
    for clips, labels in batches:
        found: dict[str, dict[str, float]] = {}
        hooks: tuple[Hooks, Hooks] = (partial(partial, note, found), lambda name: with_one_map)
        as_is, one_map = (100 * float((scores(net, clips, hook).argmax(1) == labels).double().mean()) for hook in hooks)
        of_net = {"videos": len(labels), "top1": as_is, "one_map_delta": one_map - as_is}
        lines += [{"block": name, **of_block, **of_net} for name, of_block in found.items()]
    return pd.DataFrame(lines)


@torch.no_grad()
def scores(net: VideoResNet, clips: Tensor, hook: Hooks) -> Tensor:
    """Class scores (B, classes), with a hook behind each non-local block."""
    with ExitStack() as hooks:
        for name, block in net.inserted.items():
            hooks.enter_context(block.register_forward_hook(hook(name)))
        return net.eval()(clips)


def note(
    found: dict[str, dict[str, float]], name: str, block: FoldedNonLocalBlock, inputs: tuple[Tensor, int], z: Tensor
) -> None:
    """Keep the block's distances on the clips that pass through it."""
    found[name] = distances(block, *inputs, z)


def distances(block: FoldedNonLocalBlock, x: Tensor, frames: int, z: Tensor) -> dict[str, float]:
    """The six distances of a block that makes z of x, (B T, C, H, W) both; NaN where there are no two directions to compare."""
    return {
        f"{name}_{between}": float(apart(vectors, dim).nanmean())
        for name, vectors in compared_vectors(block, x, frames, z).items()
        for between, dim in (("positions", 2), ("videos", 0))
    }


def compared_vectors(block: FoldedNonLocalBlock, x: Tensor, frames: int, z: Tensor) -> dict[str, Tensor]:
    """Inputs, maps and outputs of R positions of each set of each clip: (B, S, R, C), (B, S, R, M), (B, S, R, C)."""
    x, z = (unfold(part, block.group or frames) for part in (x, z))  # (G, C, T, H, W)
    theta, phi, _ = block.project(x)  # (G, K, T, H, W), (G, K, T, H', W')
    inputs, theta, phi, outputs = (block.flatten(part) for part in (x, theta, phi, z - x))  # (S, N, C), (S, N, K), (S, M, K), ...
    rows = torch.linspace(0, theta.shape[1] - 1, min(theta.shape[1], POSITIONS)).long()  # (R,)
    maps = block.weights(theta[:, rows], phi)  # (S, R, M)
    clips = len(x) * (block.group or frames) // frames
    parts = {"input": inputs[:, rows], "map": maps, "output": outputs[:, rows]}
    return {name: part.unflatten(0, (clips, -1)) for name, part in parts.items()}


def apart(vectors: Tensor, dim: int) -> Tensor:
    """The mean distance over all pairs along `dim` of vectors (..., C); NaN where fewer than two are other than 0.

    Of unit vectors u_1 .. u_N the cosines of all pairs sum to |sum u|^2 - N: no N x N matrix is needed.
    """
    vectors = vectors.double()
    norm = vectors.norm(dim=-1, keepdim=True)  # (..., 1)
    units = vectors / norm.where(norm > 0, 1.0)  # (..., C)
    number = (norm > 0).sum(dim).squeeze(-1)  # (...) without dim
    cosine = (units.sum(dim).square().sum(-1) - number) / (number * (number - 1))
    return ((1 - cosine) / 2).where(number > 1, torch.nan)


def with_one_map(block: FoldedNonLocalBlock, inputs: tuple[Tensor, int], z: Tensor) -> Tensor:
    """z as it is if all positions that share their x_j have their mean map: z - x is affine in y, and y linear in the weights."""
    x, frames = inputs  # (B T, C, H, W)
    added = unfold(z - x, block.group or frames)  # (G, C, T, H, W)
    positions = block.flatten(added)  # (S, N, C)
    return x + fold(block.unflatten(positions.mean(1, keepdim=True).expand_as(positions), added))  # (B T, C, H, W)
