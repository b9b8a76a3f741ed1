"""Convolutions of a clip's frames, which travel folded into the batch, (B T, C, H, W).

Folded frames lie in channels-last memory as (B, T, H, W, C), which is a channels-last clip too: neither way is a copy.

Legend of shapes: nlrepro/nets/__init__.py.
"""

from torch import Tensor, nn


def unfold(x: Tensor, frames: int) -> Tensor:
    """(B T, C, H, W) -> (B, C, T, H, W).

    unflatten gives a batch of one a stride by which convolutions no longer see channels-last; unsqueeze does not.
    """
    clips = x.unsqueeze(0) if len(x) == frames else x.unflatten(0, (-1, frames))  # (B, T, C, H, W)
    return clips.transpose(1, 2)


def fold(x: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B T, C, H, W)."""
    return x.transpose(1, 2).flatten(0, 1)


class SpatialConv(nn.Conv2d):
    """A k x k convolution of each frame: (B T, C, H, W) -> (B T, P, H', W')."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels, out, kernel, stride, kernel // 2, bias=False)

    def forward(self, x: Tensor, frames: int = 1) -> Tensor:
        return super().forward(x)


class TemporalConv(nn.Conv3d):
    """A t x k x k convolution of folded frames, padded so that only a stride shrinks T, H, W."""

    def __init__(self, channels: int, out: int, kernel: tuple[int, int], stride: int = 1, time_stride: int = 1) -> None:
        t, k = kernel
        super().__init__(channels, out, (t, k, k), (time_stride, stride, stride), (t // 2, k // 2, k // 2), bias=False)

    def forward(self, x: Tensor, frames: int) -> Tensor:  # type: ignore[override]  # frames: T
        return fold(super().forward(unfold(x, frames)))  # (B T, P, H, W)
