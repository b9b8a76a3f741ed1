"""The strongest x_j of one x_i in a non-local block, on one clip of a video (the paper's Figure 3).

`attend` goes from a file of weights and a video to an `Attention`, which draw.py draws. Weights f / C are
computed a few rows at a time, never all N x M.

Legend of shapes: nlrepro/nets/__init__.py; G groups of T frames, of which the sums of some released nets run
over one at a time. Other nets have one group of all frames.
"""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nlrepro.config import Data, Profile
from nlrepro.data import Frames
from nlrepro.data.clips import MIDDLE, ClipSample, Crop, FileClips, Tree
from nlrepro.data.decode import stored_width
from nlrepro.data.facts import examine
from nlrepro.files import BadInput
from nlrepro.nets.nonlocal_block import NonLocalBlock
from nlrepro.nets.resnet import FoldedNonLocalBlock, VideoResNet, unfold
from nlrepro.released.importing import load_net
from nlrepro.spec import RunSpec

Position = tuple[float, ...]  # (t, y, x) of a block's map; a max-pooled x_j lies between four of them
DRAWN_SIDE = 256  # pixels of the shorter side of the frames to draw, at most
PAIRS = 1 << 21  # weights that are held at once: 8 MiB in float32


class TopKeys(NamedTuple):
    """x_i, its strongest x_j, the strongest first, and their weights f(x_i, x_j) / C(x)."""

    query: Position
    keys: tuple[Position, ...]
    weights: tuple[float, ...]
    candidates: int  # all x_j
    total: float  # of all weights


@dataclass(frozen=True, kw_only=True)
class Attention:
    """The strongest x_j of one x_i, and where they lie on the frames of the clip."""

    key: str
    block: str  # "res3_3": after which residual block it sits
    caption: str  # what is drawn, in two sentences
    top: TopKeys
    frames: Frames  # (T, H, W, 3) RGB, of the clip
    columns: tuple[int, ...]  # the frame of the clip at the centre of each frame of the map
    points: tuple[
        tuple[float, float], ...
    ]  # x, y of x_i and of each x_j, in pixels from the upper left one's


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """theta and phi of a block on one clip, and where their positions lie in the block's map: (t, y, x)."""

    block: NonLocalBlock
    theta: Tensor  # (S, N, K)
    phi: Tensor  # (S, M, K)
    queries: Tensor  # (S, N, 3)
    keys: Tensor  # (S, M, 3); those of 2 x 2 max-pooled positions are at their common corner
    shape: tuple[int, int, int]  # of the map
    pooled: bool  # each x_j stands for 2 x 2 positions

    @torch.no_grad()
    def top_keys(self, query: Position, number: int) -> TopKeys:
        """The `number` strongest x_j of the position `query`, or all if they are fewer.

        Raises:
            BadInput: `query` lies outside the map.
        """
        places = (self.queries == self.queries.new_tensor(query)).all(2).nonzero()  # (1, 2), or (0, 2)
        if not len(places):
            t, y, x = (side - 1 for side in self.shape)
            sizes = f"the block's map has frames 0 to {t}, rows 0 to {y} and columns 0 to {x}"
            raise BadInput(f"{sizes}, got {','.join(map(str, query))}; give T,Y,X within it")
        s, i = places[0].tolist()
        weights = self.block.weights(self.theta[s : s + 1, i : i + 1], self.phi[s : s + 1])[0, 0]  # (M,)
        best = weights.topk(min(number, len(weights)))
        keys = tuple(map(tuple, self.keys[s, best.indices].tolist()))
        return TopKeys(query, keys, tuple(best.values.tolist()), len(weights), float(weights.sum()))

    @torch.no_grad()
    def farthest_query(self, number: int) -> Position:
        """The x_i whose strongest x_j are farthest: in parts of the map, the mean weighted by their share."""
        reaches = []
        rows = max(PAIRS // self.phi[..., 0].numel(), 1)
        extent = self.keys.new_tensor(self.shape)  # (3,)
        for theta, queries in zip(self.theta.split(rows, 1), self.queries.split(rows, 1), strict=True):
            weights = self.block.weights(theta, self.phi)  # (S, R, M)
            best = weights.topk(min(number, weights.shape[2]), 2)  # (S, R, number)
            total = weights.abs().sum(2, keepdim=True).clamp(min=1e-12)  # (S, R, 1)
            share = best.values.clamp(min=0) / total  # (S, R, number)
            ends = torch.stack([keys[j] for keys, j in zip(self.keys, best.indices, strict=True)])
            distance = ((ends - queries.unsqueeze(2)) / extent).norm(dim=3)  # (S, R, number)
            reaches.append((share * distance).sum(2))  # (S, R)
        query = self.queries.flatten(0, 1)[torch.cat(reaches, 1).argmax()]  # (3,)
        return tuple(query.tolist())

    def caption(self, top: TopKeys) -> str:
        (t, y, x), (frames, height, width) = map(int, top.query), (side - 1 for side in self.shape)
        query = f"x_i: frame {t} of 0-{frames}, row {y} of 0-{height}, column {x} of 0-{width} of the map."
        cells = " (2 x 2 max-pooled)" if self.pooled else ""
        keys = f"Arrows: the {len(top.keys)} strongest of {top.candidates} x_j{cells}"
        weights = f"{top.weights[0]:.3g} to {top.weights[-1]:.3g}"
        if self.block.form.softmax:
            return f"{query} {keys}; softmax weights {weights}, together {sum(top.weights):.2f} of 1."
        form = "no softmax in this form: responses f / C(x)"
        return f"{query} {keys}; {form}, {weights}; all together {top.total:.3g}."


@torch.no_grad()
def embeddings(net: VideoResNet, name: str, clip: Tensor) -> Embeddings:
    """Embeddings in the block `name` of `net.inserted` for a clip (1, 3, T, H, W)."""
    block, inputs = net.inserted[name], []
    assert isinstance(block, FoldedNonLocalBlock)
    with block.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments)):
        net.eval()(clip)
    x, frames = inputs[0]  # (T, C, H, W), T
    theta, phi, _ = block.project(unfold(x, block.group or frames))  # (G, K, T, H, W), (G, K, T, H', W')
    groups, _, of_group, *sides = theta.shape
    axes = [torch.arange(side, dtype=torch.float32) for side in (frames, *sides)]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"))  # (3, G T, H, W)
    queries = places.unflatten(1, (groups, of_group)).transpose(0, 1)  # (G, 3, T, H, W)
    pooled = phi.shape != theta.shape
    keys = F.avg_pool3d(queries, [1, *(min(2, side) for side in sides)]) if pooled else queries
    return Embeddings(
        block=block,
        theta=block.flatten(theta),
        phi=block.flatten(phi),
        queries=block.flatten(queries),
        keys=block.flatten(keys),
        shape=(frames, *sides),
        pooled=pooled,
    )


def centres(net: VideoResNet, stage: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and shift, (3,) both: position i of a stage's map is centred at scale i + shift of the clip.

    A convolution or a pool with kernel k, stride s and padding p has the centre of its output i at
    s i + (k - 1) / 2 - p of its input. With even padding, which all convolutions have, this is s i: in nets
    of the paper's text, positions are at the upper left corners of their cells.
    """
    geometry, (kernels, paddings), (kernel, padding) = net.geometry, net.pool1_window, net.pool2_window
    scale = np.array(geometry.stem_stride, float)
    shift = scale * (np.subtract(kernels, 1) / 2 - paddings)
    scale *= geometry.pool1_stride
    if stage > 2:
        shift[0] += scale[0] * ((kernel - 1) / 2 - padding)
        scale[0] *= geometry.pool2_stride
    scale[1:] *= prod(geometry.stage_strides[: stage - 1])
    return scale, shift


def read_clip(
    video: Path, profile: Profile, spec: RunSpec, where: float = MIDDLE, enlarge_to: int = 0
) -> Frames:
    """The clip (T, H, W, 3) at the fraction `where` of a video, in the middle crop of a test.

    A generated video has its margin on the right cut off.

    It is enlarged by the largest whole number that keeps its shorter side within `enlarge_to` pixels and the
    video's own.

    Raises:
        BadInput: there is no such video, or it cannot be read.
    """
    facts = examine(video.parent, video.name)
    if facts.reason:
        raise BadInput(f"cannot read the video {video}: {facts.reason}; give another one")
    side, square = profile.data.size, True
    if profile.real:
        side, square = profile.real.test_side, profile.release
    margin = not profile.real and (facts.width, facts.height) == (stored_width(side), side)
    side *= max(min(facts.width, facts.height, enlarge_to) // side, 1)
    tree = Tree(folder=video.parent, classes=(), videos=(video.name,), labels=(0,))
    clips = FileClips(tree, [facts], profile.clips[spec.clip])
    return clips.clip(ClipSample(0, where, Crop(side, side if square else None, x=0.0 if margin else MIDDLE)))


def normalise(clip: Frames, data: Data) -> Tensor:
    """The clip as nets take it: (T, H, W, 3) uint8 -> (1, 3, T, H, W)."""
    pixels = (torch.tensor(clip).float() - torch.tensor(data.mean)) / torch.tensor(data.std)  # (T, H, W, 3)
    return pixels.permute(3, 0, 1, 2).unsqueeze(0)  # (1, 3, T, H, W)


def choose_block(net: VideoResNet, name: str | None) -> str:
    """`name`, or the first block. Its inputs are of one place each; those of later blocks are mixed already.

    Raises:
        BadInput: the net has no non-local block, or none of that name.
    """
    names = [name for name, block in net.inserted.items() if isinstance(block, NonLocalBlock)]
    if not names or name not in (None, *names):
        advice = f"use one of {', '.join(names)}" if names else "give weights of a net such as r50-c2d-nl-..."
        raise BadInput(f"{net.spec.name} has no non-local block {name or ''}; {advice}")
    return name or names[0]


def attend(
    video: Path,
    file: Path,
    spec: RunSpec,
    profile: Profile,
    *,
    block: str | None = None,
    at: tuple[int, int, int] | None = None,
    strongest: int = 20,
    where: float = MIDDLE,
) -> Attention:
    """The strongest x_j of the position `at` of a block, or of the one whose strongest x_j are farthest.

    The clip is at the fraction `where` of the video; the block is the first if none is given.

    Raises:
        BadInput: weights, video, block or position are missing, damaged or do not fit.
    """
    net, profile = load_net(file, spec, profile)
    name = choose_block(net, block)
    clip = read_clip(video, profile, spec, where)  # (T, H, W, 3)
    features = embeddings(net, name, normalise(clip, profile.data))
    top = features.top_keys(at or features.farthest_query(strongest), strongest)
    large = read_clip(video, profile, spec, where, DRAWN_SIDE)  # (T, zoom H, zoom W, 3)
    zoom = min(large.shape[1:3]) // min(clip.shape[1:3])
    scale, shift = centres(net, int(name[3]))
    places = np.array([top.query, *top.keys]) * scale + shift  # (1 + n, 3)
    _, y, x = np.clip(zoom * (places + 0.5) - 0.5, 0, np.subtract(large.shape[:3], 1)).T  # (1 + n,)
    columns = np.clip(scale[0] * np.arange(features.shape[0]) + shift[0], 0, len(clip) - 1)  # (T',)
    return Attention(
        key=spec.key,
        block=name,
        caption=features.caption(top),
        top=top,
        frames=large,
        columns=tuple(map(round, columns.tolist())),
        points=tuple(zip(x.tolist(), y.tolist(), strict=True)),
    )
