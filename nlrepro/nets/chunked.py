"""The Gaussian forms in chunks of query positions: exact, with memory linear in N, for any widths.

PyTorch's fused kernel for the CPU wants g as wide as theta; the Gaussian form compares x itself, twice as wide. Backward computes
the softmax of a chunk again instead of keeping it. All chunks share their buffers: freed and asked for again, blocks of this
size and alignment made glibc's heap grow by a chunk each time, up to all N x M scores.

Legend: B sets over which the sum runs, N query positions i, R of them in a chunk, M key positions j, K compared channels, C
channels of g.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.amp import custom_bwd, custom_fwd
from torch.autograd.function import once_differentiable

PAIRS = 1 << 21  # scores that are held at once: 8 MiB in float32; from 2^19 to 2^22 there was little to choose


def chunks(phi: Tensor, *of_queries: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Slices (B, R, ...) of tensors (B, N, ...), and two buffers (B, R, M) that each use overwrites."""
    batch, m = phi.shape[:2]
    rows = max(PAIRS // (batch * m), 1)
    buffers = phi.new_empty(2, batch, rows, m)  # (2, B, R, M)
    for slices in zip(*(x.split(rows, 1) for x in of_queries), strict=True):
        yield *slices, *buffers[:, :, : slices[0].shape[1]]


class ChunkedSoftmaxMean(torch.autograd.Function):
    """theta (B, N, K), phi (B, M, K), g (B, M, C), scale -> y (B, N, C)."""

    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]  # not some factors bfloat16
    def forward(ctx: Any, theta: Tensor, phi: Tensor, g: Tensor, scale: float) -> Tensor:
        keys, y = (scale * phi).mT, g.new_empty(*theta.shape[:2], g.shape[2])  # (B, K, M), (B, N, C)
        for chunk, out, scores, p in chunks(phi, theta, y):
            torch.bmm(chunk, keys, out=scores)  # (B, R, M)
            torch.softmax(scores, 2, out=p)  # (B, R, M); exp alone leaves denormal numbers, and they slow the next product down
            torch.bmm(p, g, out=out)  # (B, R, C)
        ctx.scale = scale
        ctx.save_for_backward(theta, phi, g, y)
        return y

    @staticmethod
    @custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """With p the softmax of the scores s = theta (scale phi)^T: dg = p^T dy, dp = dy g^T, ds = p (dp - dy . y)."""
        theta, phi, g, y = ctx.saved_tensors
        keys, inner = ctx.scale * phi, (grad * y).sum(2, keepdim=True)  # (B, M, K), (B, N, 1)
        d_theta, d_keys, d_g = torch.empty_like(theta), torch.zeros_like(phi), torch.zeros_like(g)
        for chunk, d_chunk, dy, dot, p, ds in chunks(phi, theta, d_theta, grad, inner):
            torch.bmm(chunk, keys.mT, out=ds)  # (B, R, M), for now the scores
            torch.softmax(ds, 2, out=p)  # (B, R, M)
            d_g.baddbmm_(p.mT, dy)  # (B, M, C)
            torch.bmm(dy, g.mT, out=ds).sub_(dot).mul_(p)  # (B, R, M)
            torch.bmm(ds, keys, out=d_chunk)  # (B, R, K)
            d_keys.baddbmm_(ds.mT, chunk)  # (B, M, K)
        return d_theta, ctx.scale * d_keys, d_g, None
