"""`accelerate(net)`: a net for a CPU, with the same weights, names and results, whose 3x1x1 convolutions take less time.

The memory of folded frames is also a batch of B pictures with T rows of H W places, so that a t x 1 x 1 convolution is a t x 1
convolution of pictures. On one core of an AMD EPYC with AVX-512, torch 2.14, an I3D ResNet-50 of the paper's size takes 1/1.3 of
the time for it, in training (1.28 to 1.40 times as fast) and in testing (1.2 to 1.3); C2D nets have no such convolutions.

Legend of shapes: nlrepro/nets/__init__.py.
"""

from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.amp import custom_bwd, custom_fwd
from torch.autograd.function import once_differentiable

from nlrepro.nets.layers import TemporalConv, fold, unfold

Net = TypeVar("Net", bound=nn.Module)


def accelerate(net: Net) -> Net:
    """Give the net's t x 1 x 1 convolutions without stride to `AlongTime`, in place; the net is returned."""
    for parent in list(net.modules()):
        for name, conv in parent.named_children():
            if isinstance(conv, TemporalConv) and conv.kernel_size[1:] == (1, 1) and conv.stride == (1, 1, 1):
                setattr(parent, name, AlongTime(conv.weight))
    return net


class AlongTime(nn.Module):
    """A t x 1 x 1 convolution of folded frames: (B T, C, H, W) -> (B T, P, H, W)."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight  # (P, C, t, 1, 1)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        n, c, h, w = x.shape
        if frames < self.weight.shape[2]:  # too few rows for the shifted ones of the gradient
            return fold(F.conv3d(unfold(x, frames), self.weight, padding="same"))  # (B T, P, H, W)
        pictures = x.movedim(1, -1).reshape(-1, frames, h * w, c).movedim(-1, 1)  # (B, C, T, H W)
        y: Tensor = Rows.apply(pictures, self.weight.squeeze(4))  # (B, P, T, H W)
        return y.movedim(1, -1).reshape(n, h, w, -1).movedim(-1, 1)  # (B T, P, H, W)


class Rows(torch.autograd.Function):
    """A padded t x 1 convolution: x (B, C, T, H W), weight (P, C, t, 1) -> (B, P, T, H W).

    oneDNN needs 2.5 times as long for its weight's gradient as for that of t 1x1 convolutions, which together are the same.
    """

    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=(weight.shape[2] // 2, 0))  # (B, P, T, H W)

    @staticmethod
    @custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    @once_differentiable
    def backward(ctx: Any, of_y: Tensor) -> tuple[Tensor | None, Tensor]:
        x, weight = ctx.saved_tensors
        half, frames, taps = weight.shape[2] // 2, x.shape[2], []
        for i, shift in enumerate(range(-half, half + 1)):
            y_part = of_y[:, :, max(-shift, 0) : frames - max(shift, 0)]  # (B, P, T - |shift|, H W)
            x_part = x[:, :, max(shift, 0) : frames - max(-shift, 0)]  # (B, C, T - |shift|, H W)
            taps.append(gradients(y_part, x_part, weight[:, :, i : i + 1], 0, (False, True))[1])  # (P, C, 1, 1)
        of_x = gradients(of_y, x, weight, half, (True, False))[0] if ctx.needs_input_grad[0] else None  # (B, C, T, H W)
        return of_x, torch.cat(taps, 2)  # (P, C, t, 1)


def gradients(of_y: Tensor, x: Tensor, weight: Tensor, padding: int, wanted: tuple[bool, bool]) -> tuple[Tensor, Tensor]:
    """Of a convolution's x and weight, as wanted; torch.nn.grad's functions read an x or weight of stride 0, which is slow."""
    settings = (None, [1, 1], [padding, 0], [1, 1], False, [0, 0], 1)
    of_x, of_weight, _ = torch.ops.aten.convolution_backward(of_y, x, weight, *settings, (*wanted, False))
    return of_x, of_weight
