"""Do a block's maps f / C depend on the query? notebooks/attention.ipynb asks it of a trained net.

Cao et al., "GCNet", 2019 (arXiv:1904.11492, section 3) found that they hardly do: a block could have one map
for all positions. Departure from GCNet: pairs of a position with itself do not count.
"""

import torch.nn.functional as F
from torch import Tensor

from nlrepro.nets.resnet import FoldedNonLocalBlock, fold, unfold


def mean_distance(vectors: Tensor, dim: int) -> Tensor:
    """The mean of (1 - cos) / 2 over all pairs along `dim` of vectors (..., C), none of them 0.

    It is 0 for equal directions and 0.5 for orthogonal ones. Of unit vectors u_1 ... u_N, the cosines of all
    pairs sum to |sum u|^2 - N, so that no N x N matrix is needed.
    """
    units, n = F.normalize(vectors.double(), dim=-1, eps=0), vectors.shape[dim]  # (..., C)
    cosine = (units.sum(dim).square().sum(-1) - n) / (n * (n - 1))  # (...) without dim
    return (1 - cosine) / 2


def share_map(block: FoldedNonLocalBlock, inputs: tuple[Tensor, int], z: Tensor) -> Tensor:
    """z (B T, C, H, W) if all positions that share their x_j had the mean of their maps: a forward hook.

    z - x is affine in y, and y is linear in the weights, so the mean map gives the mean of z - x.
    """
    x, frames = inputs  # (B T, C, H, W), T
    added = unfold(z - x, block.group or frames)  # (G, C, T, H, W)
    positions = block.flatten(added)  # (S, N, C)
    mean = positions.mean(1, keepdim=True).expand_as(positions)  # (S, N, C)
    return x + fold(block.unflatten(mean, added))  # (B T, C, H, W)
