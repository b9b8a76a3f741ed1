"""The Gaussian forms in chunks of query positions: exact, with memory linear in N, for any widths.

PyTorch's fused kernel for the CPU wants g as wide as theta; the Gaussian form compares x itself, twice as wide. Backward computes
the softmax of a chunk again instead of keeping it.

Legend: B sets over which the sum runs, N query positions i, R of them in a chunk, M key positions j, K compared channels, C
channels of g.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

PAIRS = 1 << 21  # scores that are held at once: 8 MiB in float32; from 2^19 to 2^22 there was little to choose


class ChunkedSoftmaxMean(torch.autograd.Function):
    """theta (B, N, K), phi (B, M, K), g (B, M, C), scale -> y (B, N, C)."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, phi: Tensor, g: Tensor, scale: float) -> Tensor:
        ctx.rows, ctx.scale = max(PAIRS // (len(phi) * phi.shape[1]), 1), scale
        keys = (scale * phi).mT  # (B, K, M)
        # softmax, for exp alone leaves denormal numbers, which products take several times as long with
        y = torch.cat([(chunk @ keys).softmax(2) @ g for chunk in theta.split(ctx.rows, 1)], 1)  # (B, N, C)
        ctx.save_for_backward(theta, phi, g, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """With p the softmax of the scores s = theta (scale phi)^T: dg = p^T dy, dp = dy g^T, ds = p (dp - dy . y)."""
        theta, phi, g, y = ctx.saved_tensors
        keys, inner = ctx.scale * phi, (grad * y).sum(2, keepdim=True)  # (B, M, K), (B, N, 1)
        d_theta, d_keys, d_g = [], torch.zeros_like(phi), torch.zeros_like(g)
        for chunk, dy, dot in zip(*(x.split(ctx.rows, 1) for x in (theta, grad, inner)), strict=True):
            p = (chunk @ keys.mT).softmax(2)  # (B, R, M)
            d_g += p.mT @ dy  # (B, M, C)
            ds = (dy @ g.mT).sub_(dot).mul_(p)  # (B, R, M)
            d_theta.append(ds @ keys)  # (B, R, K)
            d_keys += ds.mT @ chunk  # (B, M, K)
        return torch.cat(d_theta, 1), ctx.scale * d_keys, d_g, None
