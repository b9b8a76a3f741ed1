"""The non-local operation, y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j) (Eq. 1), for the four pairwise functions f of section 3.2.

Gaussian          f = exp(x_i . x_j)                C = sum_j f    (Eq. 2)
embedded Gaussian f = exp(theta_i . phi_j)          C = sum_j f    (Eq. 3)
dot product       f = theta_i . phi_j               C = N          (Eq. 4)
concatenation     f = ReLU(w_f . [theta_i, phi_j])  C = N          (Eq. 5)

The two Gaussian forms are one function here: what they compare, x or its embeddings, is the block's choice.

Legend: B sets over which the sum runs (clips, frames or places), N query positions i, M key positions j, K compared channels,
C channels of g.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from nlrepro.nets.chunked import ChunkedSoftmaxMean

FEW = 1 << 16  # pairs of one set below which all ways to compute the Gaussian forms are as fast, on a CPU core
HELD = 1 << 22  # pairs of one set whose scores may be held: 16 MiB in float32
SORTED = 200  # N M / (N + M) from which the sorted order of the concatenation form is faster on a CPU core (1.0 at 157, 4 at 627)


def check_shapes(theta: Tensor, phi: Tensor, g: Tensor) -> None:
    """
    Raises:
        ValueError: the shapes are not (B, N, K), (B, M, K), (B, M, C).
    """
    shapes = tuple(theta.shape), tuple(phi.shape), tuple(g.shape)
    fits = theta.ndim == phi.ndim == g.ndim == 3 and theta.shape[0] == phi.shape[0] == g.shape[0]
    if not (fits and theta.shape[2] == phi.shape[2] and phi.shape[1] == g.shape[1]):
        raise ValueError(f"expected theta (B, N, K), phi (B, M, K), g (B, M, C), got {shapes[0]}, {shapes[1]}, {shapes[2]}")


def softmax_mean(theta: Tensor, phi: Tensor, g: Tensor, scale: float = 1.0) -> Tensor:
    """Both Gaussian forms: theta (B, N, K), phi (B, M, K), g (B, M, C) -> y (B, N, C).

    Scores are not divided by sqrt(K): the paper's text has none (its released code has; `scale`). Unscaled float16 scores pass
    65504, so float16 is computed in float32.

    Memory is linear in N. PyTorch's fused kernels never hold the N x M scores: the CPU's serves equal widths K and C, and chunks
    the rest; up to `HELD` scores, holding them is a tenth to a half faster. On CUDA the flash kernel serves widths up to 256, the
    memory-efficient one all others that are whole multiples of 16 bytes (PyTorch's sdp_utils.cpp; no GPU was at hand to measure).
    """
    check_shapes(theta, phi, g)
    if theta.dtype == torch.float16:
        with torch.autocast(theta.device.type, enabled=False):
            return softmax_mean(theta.float(), phi.float(), g.float(), scale).to(g.dtype)
    pairs = theta.shape[1] * phi.shape[1]
    if theta.device.type == "cpu" and FEW < pairs <= HELD:
        return (scale * theta @ phi.mT).softmax(2) @ g  # (B, N, C)
    if theta.device.type == "cpu" and pairs > FEW and theta.shape[2] != g.shape[2]:
        y: Tensor = ChunkedSoftmaxMean.apply(theta, phi, g, scale)
        return y
    # one head, for CUDA's kernels want (B, 1, N, K), and channels side by side: else N x M scores are held, on a CPU too
    theta, phi, g = (x.contiguous().unsqueeze(1) for x in (theta, phi, g))
    return F.scaled_dot_product_attention(theta, phi, g, scale=scale).squeeze(1)  # (B, N, C)


def dot_mean(theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
    """Dot product: theta (B, N, K), phi (B, M, K), g (B, M, C) -> y (B, N, C).

    The product of three matrices is associative: theta (phi^T g) costs K C (N + M), (theta phi^T) g costs N M (K + C).
    """
    check_shapes(theta, phi, g)
    (_, n, k), (_, m, c) = theta.shape, g.shape
    g = g / m  # dividing first keeps half-precision sums small
    if k * c * (n + m) < n * m * (k + c):
        return theta @ (phi.transpose(1, 2) @ g)  # (B, N, K) (B, K, C) -> (B, N, C)
    return (theta @ phi.transpose(1, 2)) @ g  # (B, N, M) (B, M, C) -> (B, N, C)


def concatenation_mean(theta: Tensor, phi: Tensor, g: Tensor, w_f: Tensor) -> Tensor:
    """Concatenation: theta (B, N, K), phi (B, M, K), g (B, M, C), w_f (2 K,) -> y (B, N, C).

    w_f . [theta_i, phi_j] = a_i + b_j: two scalars a position, never the N x M x 2K concatenation.
    """
    check_shapes(theta, phi, g)
    k = theta.shape[2]
    if w_f.shape != (2 * k,):
        raise ValueError(f"expected w_f of shape ({2 * k},), twice the channels of theta, got {tuple(w_f.shape)}")
    a = (theta @ w_f[:k].unsqueeze(1)).squeeze(2)  # (B, N)
    b = (phi @ w_f[k:].unsqueeze(1)).squeeze(2)  # (B, M)
    g = g / g.shape[1]
    (n, m) = a.shape[1], b.shape[1]
    return rectified_sum_sorted(a, b, g) if SORTED * (n + m) < n * m else rectified_sum_direct(a, b, g)  # (B, N, C)


def rectified_sum_direct(a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    """sum_j ReLU(a_i + b_j) g_j: a (B, N), b (B, M), g (B, M, C) -> (B, N, C), with all N x M terms."""
    return F.relu(a.unsqueeze(2) + b.unsqueeze(1)) @ g  # (B, N, M) (B, M, C) -> (B, N, C)


def rectified_sum_sorted(a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    """The same in O((N + M)(C + log M)) time and O((N + M) C) memory, in float32 at least.

    With b in falling order, the terms of i that are not zero are the first k_i, those with b_j > -a_i. So
    y_i = a_i S0(k_i) + S1(k_i), where S0(k) and S1(k) are the sums of the first k of g_j and of b_j g_j.
    """
    dtype = torch.promote_types(g.dtype, torch.float32)
    with torch.autocast(g.device.type, enabled=False):
        order = b.argsort(dim=1, descending=True)  # (B, M)
        b = b.to(dtype).gather(1, order)  # (B, M)
        ordered = g.to(dtype).gather(1, order.unsqueeze(2).expand_as(g))  # (B, M, C)
        s0 = F.pad(ordered.cumsum(1), (0, 0, 1, 0))  # (B, M + 1, C), from the empty sum on
        s1 = F.pad((b.unsqueeze(2) * ordered).cumsum(1), (0, 0, 1, 0))  # (B, M + 1, C)
        a = a.to(dtype)
        k = torch.searchsorted(-b.detach(), a.detach(), right=False)  # (B, N): how many b_j > -a_i
        k = k.unsqueeze(2).expand(-1, -1, g.shape[2])  # (B, N, C)
        y = a.unsqueeze(2) * s0.gather(1, k) + s1.gather(1, k)  # (B, N, C)
    return y.to(g.dtype)
