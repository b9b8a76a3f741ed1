"""The Gaussian forms in chunks of query positions: exact, with memory linear in N, for any widths.

PyTorch's fused kernel for the CPU wants g as wide as theta; the Gaussian form compares x itself, twice as wide. Backward computes
the scores of a chunk again from the saved log of their sum, as FlashAttention does (Dao et al., 2022).

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
        parts, logs = [], []
        for chunk in theta.split(ctx.rows, 1):  # (B, R, K)
            scores = scale * chunk @ phi.mT  # (B, R, M)
            log = scores.logsumexp(2, keepdim=True)  # (B, R, 1)
            parts.append(scores.sub_(log).exp_() @ g)  # (B, R, C)
            logs.append(log)
        y = torch.cat(parts, 1)  # (B, N, C)
        ctx.save_for_backward(theta, phi, g, y, torch.cat(logs, 1))
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """With p the softmax: dg = p^T dy, dp = dy g^T, ds = p (dp - dy . y); scores s = scale theta phi^T."""
        theta, phi, g, y, logs = ctx.saved_tensors
        inner = (grad * y).sum(2, keepdim=True)  # (B, N, 1)
        d_theta, d_phi, d_g = [], torch.zeros_like(phi), torch.zeros_like(g)
        for chunk, log, dy, dot in zip(*(x.split(ctx.rows, 1) for x in (theta, logs, grad, inner)), strict=True):
            p = (ctx.scale * chunk @ phi.mT).sub_(log).exp_()  # (B, R, M)
            d_g += p.mT @ dy  # (B, M, C)
            ds = (dy @ g.mT).sub_(dot).mul_(p)  # (B, R, M)
            d_theta.append(ctx.scale * ds @ phi)  # (B, R, K)
            d_phi += ctx.scale * ds.mT @ chunk  # (B, M, K)
        return torch.cat(d_theta, 1), d_phi, d_g, None
