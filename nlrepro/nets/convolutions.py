"""Convolutions of folded frames, each given to the kernel that is fastest for it; none changes what is computed.

A clip's frames travel folded into the batch, (B T, C, H, W), in channels-last memory: (B, T, H, W, C) as it lies. So the same
memory is also a batch of B T H rows, and a batch of B pictures with T rows of H W places, and no view of it is a copy.

Measured on a core of an AMD EPYC with AVX-512, torch 2.14, at the paper's sizes, forward and backward:
- On one thread PyTorch gives a 1x1 convolution of fewer than 16 images to a matrix product (Convolution.cpp, `use_mkldnn`);
  oneDNN, which serves it if rows are the images, takes 0.5 to 0.6 of the time.
- A 3x1x1 convolution as a 3x1 one takes 0.2 to 0.7 of conv3d's time for one clip, 0.9 for 16.

Legend: B clips, T frames, H x W places, C channels, P channels that come out.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

IMAGES = 16  # from which PyTorch gives 1x1 convolutions to oneDNN on one thread too
LARGE = 1 << 17  # numbers of a clip from which a 3x1x1 convolution runs as a 3x1 one; the nets of `mini` stay below


def unfold(x: Tensor, frames: int) -> Tensor:
    """(B T, C, H, W) -> (B, C, T, H, W).

    unflatten gives a batch of one a stride by which convolutions no longer see channels-last; unsqueeze does not.
    """
    clips = x.unsqueeze(0) if len(x) == frames else x.unflatten(0, (-1, frames))  # (B, T, C, H, W)
    return clips.transpose(1, 2)


def fold(x: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B T, C, H, W)."""
    return x.transpose(1, 2).flatten(0, 1)


def few(x: Tensor) -> bool:
    """Whether x (N, C, ..., W) is so few images that rows do better, and lies so that rows are a view."""
    return x.device.type == "cpu" and len(x) < IMAGES and x.movedim(1, -1).is_contiguous()


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution (1x1x1 for clips) without stride: (N, C, ..., W) -> (N, P, ..., W)."""
    if not few(x):
        return F.conv2d(x, weight, bias) if x.ndim == 4 else F.conv3d(x, weight, bias)
    rows = x.movedim(1, -1)  # (N, ..., W, C)
    images = rows.reshape(-1, 1, *rows.shape[-2:]).permute(0, 3, 1, 2)  # (N ..., C, 1, W)
    y = F.conv2d(images, weight.flatten(2).unsqueeze(3), bias)  # (N ..., P, 1, W)
    return y.permute(0, 2, 3, 1).reshape(*rows.shape[:-1], -1).movedim(-1, 1)  # (N, P, ..., W)


def gradients(of_y: Tensor, x: Tensor, weight: Tensor, padding: int, wanted: tuple[bool, bool]) -> tuple[Tensor, Tensor]:
    """Of a convolution's x and weight, as wanted; torch.nn.grad's functions read an x or weight of stride 0, which is slow."""
    settings = (None, [1, 1], [padding, 0], [1, 1], False, [0, 0], 1)
    of_x, of_weight, _ = torch.ops.aten.convolution_backward(of_y, x, weight, *settings, (*wanted, False))
    return of_x, of_weight


class AlongTime(torch.autograd.Function):
    """A t x 1 convolution of pictures T x H W, padded: x (B, C, T, H W), weight (P, C, t, 1) -> (B, P, T, H W).

    oneDNN needs 2.5 times as long for its weight's gradient as for that of t 1x1 convolutions, which together are the same.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=(weight.shape[2] // 2, 0))  # (B, P, T, H W)

    @staticmethod
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


class TemporalConv(nn.Conv3d):
    """A t x k x k convolution of folded frames, padded so that only a stride shrinks T, H, W."""

    def __init__(self, channels: int, out: int, kernel: tuple[int, int], stride: int = 1, time_stride: int = 1) -> None:
        t, k = kernel
        super().__init__(channels, out, (t, k, k), (time_stride, stride, stride), (t // 2, k // 2, k // 2), bias=False)

    def forward(self, x: Tensor, frames: int) -> Tensor:  # type: ignore[override]  # frames: T
        flat = self.kernel_size[1:] == (1, 1) and self.stride == (1, 1, 1) and frames > 1
        if flat and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu") and frames * x[0].numel() >= LARGE:
            return self.along_time(x, frames)
        return fold(super().forward(unfold(x, frames)))  # (B T, P, H, W)

    def along_time(self, x: Tensor, frames: int) -> Tensor:
        """The same with one picture a clip, T x H W: (B T, C, H, W) -> (B T, P, H, W)."""
        n, c, h, w = x.shape
        pictures = x.movedim(1, -1).reshape(-1, frames, h * w, c).movedim(-1, 1)  # (B, C, T, H W)
        y: Tensor = AlongTime.apply(pictures, self.weight.squeeze(4))  # (B, P, T, H W)
        return y.movedim(1, -1).reshape(n, h, w, -1).movedim(-1, 1)  # (B T, P, H, W)


class SpatialConv(nn.Conv2d):
    """A k x k convolution of each frame: (B T, C, H, W) -> (B T, P, H', W')."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels, out, kernel, stride, kernel // 2, bias=False)

    def forward(self, x: Tensor, frames: int = 1) -> Tensor:
        if self.kernel_size == (1, 1) and self.stride == (1, 1):
            return pointwise(x, self.weight)  # (B T, P, H, W)
        return super().forward(x)


class PointConv(nn.Conv3d):
    """A 1x1x1 convolution of clips, with bias: (B, C, T, H, W) -> (B, P, T, H, W)."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return pointwise(x, self.weight, self.bias)
