"""Blocks that came after the paper's, for the same places: (B, C, T, H, W) -> the same shape.

Each is its authors' equation, widened from images to clips where it is one of images: i and j run over all
N = T H W positions. A new block is the identity: what its authors put last begins at 0. Softmaxes and sums
are over j if nothing else is said; W are 1x1x1 convolutions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RATIO = 16  # of the channels to those of a bottleneck, in squeeze-and-excitation and GCNet
GROUPS = 8  # of channels in CGNL
HEADS, EXTENT = 4, 16  # of self-attention; offsets beyond the extent share its embedding


class Successor(nn.Module):
    """z = x + update(x); images (B, C, H, W) are clips of one frame."""

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 4:
            return self(x.unsqueeze(2)).squeeze(2)  # (B, C, 1, H, W) -> (B, C, H, W)
        return x + self.update(x)

    def update(self, x: Tensor) -> Tensor:
        raise NotImplementedError


def tokens(x: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B, N, C)."""
    return x.flatten(2).mT


def maps(y: Tensor, x: Tensor) -> Tensor:
    """(B, N, K) -> (B, K, T, H, W), T, H, W those of x."""
    return y.mT.unflatten(2, x.shape[2:])


def project(channels: int, inner: int) -> nn.Linear:
    """W, with He initialisation and biases of 0, as in the non-local block."""
    linear = nn.Linear(channels, inner)
    nn.init.normal_(linear.weight, std=(2 / channels) ** 0.5)
    nn.init.zeros_(linear.bias)
    return linear


class Output(nn.Module):
    """BN(W y), whose scale starts at 0, as in the non-local block: (B, N, K) -> (B, C, T, H, W) as x."""

    def __init__(self, inner: int, channels: int) -> None:
        super().__init__()
        self.w_z, self.bn = project(inner, channels), nn.BatchNorm3d(channels)
        nn.init.zeros_(self.bn.weight)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        out: Tensor = self.bn(maps(self.w_z(y), x))  # (B, C, T, H, W)
        return out


class SqueezeExcitation(Successor):
    """z = 2 sigmoid(W_2 ReLU(W_1 mean_j x_j)) * x, channel by channel (Hu et al. 2018, section 3).

    Twice their gate, and W_2 starts at 0, so that it begins as the identity. arXiv:1709.01507
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // RATIO, 1)
        self.w_1, self.w_2 = nn.Linear(channels, inner), nn.Linear(inner, channels)
        nn.init.zeros_(self.w_2.weight)
        nn.init.zeros_(self.w_2.bias)

    def update(self, x: Tensor) -> Tensor:
        gate = 2 * self.w_2(F.relu(self.w_1(x.mean((2, 3, 4))))).sigmoid()  # (B, C)
        return (gate - 1)[:, :, None, None, None] * x


class SimplifiedNonLocal(Successor):
    """z_i = x_i + W_v sum_j softmax_j(w_k . x_j) x_j: one map for all i (GCNet, section 4.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.w_k, self.w_v = nn.Linear(channels, 1), nn.Linear(channels, channels)
        nn.init.zeros_(self.w_v.weight)
        nn.init.zeros_(self.w_v.bias)

    def update(self, x: Tensor) -> Tensor:
        update: Tensor = self.w_v(attended(x, self.w_k))  # (B, C)
        return update[:, :, None, None, None]


def attended(x: Tensor, w_k: nn.Linear) -> Tensor:
    """sum_j softmax_j(w_k . x_j) x_j: (B, C, T, H, W) -> (B, C)."""
    positions = tokens(x)  # (B, N, C)
    return (w_k(positions).softmax(1) * positions).sum(1)


class GlobalContext(Successor):
    """z_i = x_i + W_2 ReLU(LN(W_1 sum_j softmax_j(w_k . x_j) x_j)) (GCNet, section 4.3).

    Cao et al. 2019, arXiv:1904.11492
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // RATIO, 1)
        self.w_k = nn.Linear(channels, 1)
        self.w_1, self.w_2 = nn.Linear(channels, inner), nn.Linear(inner, channels)
        self.norm = nn.LayerNorm(inner)
        nn.init.zeros_(self.w_2.weight)
        nn.init.zeros_(self.w_2.bias)

    def update(self, x: Tensor) -> Tensor:
        update: Tensor = self.w_2(F.relu(self.norm(self.w_1(attended(x, self.w_k)))))  # (B, C)
        return update[:, :, None, None, None]


class DoubleAttention(Successor):
    """z_i = x_i + W_z sum_n softmax_n(W_v x_i) G_n, G_n = sum_j softmax_j(W_b x_j)_n W_a x_j.

    n of C/4 maps gather C/4 channels each, and each i takes its own mixture of what they gathered (A2-Nets,
    Chen et al. 2018, arXiv:1810.11579, section 3).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 4, 1)
        self.w_a, self.w_b, self.w_v = (project(channels, inner) for _ in range(3))
        self.out = Output(inner, channels)

    def update(self, x: Tensor) -> Tensor:
        positions = tokens(x)  # (B, N, C)
        gathered = self.w_b(positions).softmax(1).mT @ self.w_a(positions)  # (B, maps, C/4)
        return self.out(self.w_v(positions).softmax(2) @ gathered, x)  # (B, C, T, H, W)


class CompactGeneralized(Successor):
    """z = x + GN(W_z y), y = theta (phi . g): every channel of every position with every other one.

    With the dot product as f, all pairs of a group of channels come down to one number, phi . g (CGNL, Yue et
    al. 2018, arXiv:1810.13125, section 3.2).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.groups = min(GROUPS, channels // 2)
        self.theta, self.phi, self.g = (project(channels, channels // 2) for _ in range(3))
        self.w_z = nn.Conv3d(channels // 2, channels, 1, groups=self.groups, bias=False)
        self.norm = nn.GroupNorm(self.groups, channels)
        nn.init.zeros_(self.norm.weight)

    def update(self, x: Tensor) -> Tensor:
        positions = tokens(x)  # (B, N, C)
        embedded = (part(positions) for part in (self.theta, self.phi, self.g))  # (B, N, C/2) each
        theta, phi, g = (part.unflatten(2, (self.groups, -1)) for part in embedded)
        y = theta * (phi * g).sum((1, 3), keepdim=True)  # (B, N, groups, C/2/groups)
        out: Tensor = self.norm(self.w_z(maps(y.flatten(2), x)))  # (B, C, T, H, W)
        return out


class CrissCross(Successor):
    """Attention of i to its row, its column and its place in all frames, twice with the same weights.

    So each i sees every j by way of others (CCNet, Huang et al. 2019, arXiv:1811.11721, section 3; it has
    images). gamma, the scale of each pass, starts at 0.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 8, 1)
        self.q, self.k, self.v = (project(channels, width) for width in (inner, inner, channels))
        self.gamma = nn.Parameter(torch.zeros(1))

    def update(self, x: Tensor) -> Tensor:
        first = self.gamma * self.pass_once(x)  # (B, C, T, H, W)
        return first + self.gamma * self.pass_once(x + first)

    def pass_once(self, x: Tensor) -> Tensor:
        q, k, v = (maps(part(tokens(x)), x) for part in (self.q, self.k, self.v))  # (B, K, T, H, W)
        lines = ("shw", "tsw", "ths")  # s runs along time, column and row
        scores = [torch.einsum(f"bcthw,bc{line}->bthws", q, k) for line in lines]  # (B, T, H, W, S) each
        for axis, score in enumerate(scores[1:], 3):  # i itself is in each line, and counts once
            score.diagonal(0, axis - 1, 4).fill_(-torch.inf)
        weights = torch.cat(scores, 4).softmax(4).split(x.shape[2:], 4)  # (B, T, H, W, S) each
        parts = [torch.einsum(f"bthws,bc{line}->bcthw", w, v) for w, line in zip(weights, lines, strict=True)]
        return torch.stack(parts).sum(0)  # (B, C, T, H, W)


class Disentangled(Successor):
    """y_i = sum_j (softmax_j((q_i - mean q) . (k_j - mean k)) + softmax_j(w_m . x_j)) v_j, z = x + BN(W_z y).

    What i asks for and what stands out for all i, in two softmaxes (Yin et al. 2020, section 4).
    arXiv:2006.06668
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.q, self.k, self.v = (project(channels, channels // 2) for _ in range(3))
        self.w_m = project(channels, 1)
        self.out = Output(channels // 2, channels)

    def update(self, x: Tensor) -> Tensor:
        positions = tokens(x)  # (B, N, C)
        q, k = (part - part.mean(1, keepdim=True) for part in (self.q(positions), self.k(positions)))
        pairs, shared = (q @ k.mT).softmax(2), self.w_m(positions).softmax(1).mT  # (B, N, N), (B, 1, N)
        return self.out((pairs + shared) @ self.v(positions), x)  # (B, C, T, H, W)


class LinearAttention(Successor):
    """y_i = sum_j p(q_i) . p(k_j) v_j / sum_j p(q_i) . p(k_j), p(a) = elu(a) + 1, z = x + BN(W_z y).

    The sum over j is taken before i comes in, so its cost grows with N and not N^2 (Katharopoulos et al.
    2020, arXiv:2006.16236, section 3.2).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.q, self.k, self.v = (project(channels, channels // 2) for _ in range(3))
        self.out = Output(channels // 2, channels)

    def update(self, x: Tensor) -> Tensor:
        positions = tokens(x)  # (B, N, C)
        q, k = F.elu(self.q(positions)) + 1, F.elu(self.k(positions)) + 1  # (B, N, K)
        total = q @ k.sum(1).unsqueeze(2)  # (B, N, 1)
        return self.out(q @ (k.mT @ self.v(positions)) / total, x)  # (B, C, T, H, W)


class RelativeSelfAttention(Successor):
    """y_i = sum_j softmax_j(q_i . (k_j + r_ij) / sqrt(d)) v_j in four heads, z = x + BN(W_z y).

    r_ij is the sum of learned embeddings of the offsets from i to j in time, height and width (BoTNet,
    Srinivas et al. 2021, arXiv:2101.11605, section 3.2; it has images).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.q, self.k, self.v = (project(channels, inner) for _ in range(3))
        self.r = nn.Parameter(torch.randn(3, 2 * EXTENT - 1, inner // HEADS) * (inner // HEADS) ** -0.5)
        self.out = Output(inner, channels)

    def update(self, x: Tensor) -> Tensor:
        positions = tokens(x)  # (B, N, C)
        embedded = (part(positions) for part in (self.q, self.k, self.v))  # (B, N, C/2) each
        q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in embedded)  # (B, heads, N, d)
        scores = q @ k.mT  # (B, heads, N, N)
        for r, offsets in zip(self.r, offsets_of(x), strict=True):
            scores = scores + (q @ r.mT).gather(3, offsets.expand_as(scores))  # (B, heads, N, N)
        y = (scores * q.shape[3] ** -0.5).softmax(3) @ v  # (B, heads, N, d)
        return self.out(y.transpose(1, 2).flatten(2), x)  # (B, C, T, H, W)


def offsets_of(x: Tensor) -> Tensor:
    """From each position to each other one in time, height and width, counted from 0: (3, N, N)."""
    axes = [torch.arange(size, device=x.device) for size in x.shape[2:]]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)  # (3, N)
    return (places[:, None] - places[:, :, None]).clamp(1 - EXTENT, EXTENT - 1) + EXTENT - 1


SUCCESSORS: dict[str, type[Successor]] = {
    "excitation": SqueezeExcitation,
    "simplified": SimplifiedNonLocal,
    "context": GlobalContext,
    "double": DoubleAttention,
    "compact": CompactGeneralized,
    "crisscross": CrissCross,
    "disentangled": Disentangled,
    "linear": LinearAttention,
    "relative": RelativeSelfAttention,
}
