"""The Gaussian forms' mean, softmax(theta phi^T) g (Eq. 2, 3), with memory linear in N.

PyTorch's fused kernels never hold the N x M scores. The one for the CPU wants g as wide as theta, but the Gaussian form compares
x itself, twice as wide: it goes in chunks of query positions, exactly. Backward computes the softmax of a chunk again instead of
keeping it. All chunks share their buffers: freed and asked for again, blocks of this size and alignment made glibc's heap grow
by a chunk each time, up to all N x M scores.

Legend of shapes: nlrepro/nets/__init__.py.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.amp import custom_bwd, custom_fwd
from torch.autograd.function import once_differentiable

FEW = 1 << 16  # scores of one set below which all ways are as fast, on a CPU core
HELD = 1 << 22  # scores of one set that may be held, 16 MiB in float32; that is a tenth to a half faster on a CPU core
PAIRS = 1 << 21  # scores of a chunk: 8 MiB in float32; from 2^19 to 2^22 there was little to choose


def softmax_mean(theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
    """theta (S, N, K), phi (S, M, K), g (S, M, C) -> y (S, N, C).

    Scores are not divided by sqrt(K): the paper's text has no scale. Unscaled float16 scores pass 65504, so float16 is computed
    in float32. On CUDA the flash kernel serves widths up to 256, the memory-efficient one all others that are whole multiples of
    16 bytes (PyTorch's sdp_utils.cpp; no GPU was at hand to measure).
    """
    if theta.dtype == torch.float16:
        with torch.autocast(theta.device.type, enabled=False):
            return softmax_mean(theta.float(), phi.float(), g.float()).to(g.dtype)
    pairs = theta.shape[1] * phi.shape[1]
    if theta.device.type == "cpu" and FEW < pairs <= HELD:
        return (theta @ phi.mT).softmax(2) @ g  # (S, N, C)
    if theta.device.type == "cpu" and pairs > FEW and theta.shape[2] != g.shape[2]:
        y: Tensor = ChunkedSoftmaxMean.apply(theta, phi, g)
        return y
    # one head, for CUDA's kernels want (S, 1, N, K), and channels side by side: else N x M scores are held, on a CPU too
    theta, phi, g = (x.contiguous().unsqueeze(1) for x in (theta, phi, g))
    return F.scaled_dot_product_attention(theta, phi, g, scale=1.0).squeeze(1)  # (S, N, C)


def chunks(phi: Tensor, *of_queries: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Slices (S, R, ...) of tensors (S, N, ...), and two buffers (S, R, M) that each use overwrites."""
    sets, m = phi.shape[:2]
    rows = max(PAIRS // (sets * m), 1)
    buffers = phi.new_empty(2, sets, rows, m)  # (2, S, R, M)
    for slices in zip(*(x.split(rows, 1) for x in of_queries), strict=True):
        yield *slices, *buffers[:, :, : slices[0].shape[1]]


class ChunkedSoftmaxMean(torch.autograd.Function):
    """theta (S, N, K), phi (S, M, K), g (S, M, C) -> y (S, N, C)."""

    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]  # not some factors bfloat16
    def forward(ctx: Any, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        y = g.new_empty(*theta.shape[:2], g.shape[2])  # (S, N, C)
        for chunk, out, scores, p in chunks(phi, theta, y):
            torch.bmm(chunk, phi.mT, out=scores)  # (S, R, M)
            torch.softmax(scores, 2, out=p)  # (S, R, M); exp alone leaves denormal numbers, and they slow the next product down
            torch.bmm(p, g, out=out)  # (S, R, C)
        ctx.save_for_backward(theta, phi, g, y)
        return y

    @staticmethod
    @custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """With p the softmax of the scores s = theta phi^T: dg = p^T dy, dp = dy g^T, ds = p (dp - dy . y)."""
        theta, phi, g, y = ctx.saved_tensors
        inner = (grad * y).sum(2, keepdim=True)  # (S, N, 1)
        d_theta, d_phi, d_g = torch.empty_like(theta), torch.zeros_like(phi), torch.zeros_like(g)
        for chunk, d_chunk, dy, dot, p, ds in chunks(phi, theta, d_theta, grad, inner):
            torch.bmm(chunk, phi.mT, out=ds)  # (S, R, M), for now the scores
            torch.softmax(ds, 2, out=p)  # (S, R, M)
            d_g.baddbmm_(p.mT, dy)  # (S, M, C)
            torch.bmm(dy, g.mT, out=ds).sub_(dot).mul_(p)  # (S, R, M)
            torch.bmm(ds, phi, out=d_chunk)  # (S, R, K)
            d_phi.baddbmm_(ds.mT, chunk)  # (S, M, K)
        return d_theta, d_phi, d_g
