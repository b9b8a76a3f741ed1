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
    65504, so float16 is computed in float32; the fused kernel never holds the N x M scores.
    """
    check_shapes(theta, phi, g)
    if theta.dtype == torch.float16:
        with torch.autocast(theta.device.type, enabled=False):
            return softmax_mean(theta.float(), phi.float(), g.float(), scale).to(g.dtype)
    return F.scaled_dot_product_attention(theta, phi, g, scale=scale)  # (B, N, C)


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
    a = theta @ w_f[:k].unsqueeze(1)  # (B, N, 1)
    b = phi @ w_f[k:].unsqueeze(1)  # (B, M, 1)
    return F.relu(a + b.transpose(1, 2)) @ (g / g.shape[1])  # (B, N, M) (B, M, C) -> (B, N, C)
