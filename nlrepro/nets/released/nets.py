"""The nets that released weights belong to: the authors' "release", and where a source departs from it.

| source                   | conv1, pool1 strides in time | pool1                    | non-local block        |
| caffe2 32x2, 128x1       | 2, 2                         | 2x3x3, no padding        | release                |
| caffe2 8x8, 32x4         | 1, 1                         | 1x3x3, no padding        | release                |
| pyslowfast 8x8           | 1, 1                         | 1x3x3, padded in space   | release                |
| mmaction2 32x2           | 2, 2                         | 1x3x3, padded in space   | text                   |

All inflate the same residual blocks and halve the frames after res2 by 2x1x1. Which net a file's weights belong to cannot be
seen in the file: strides have no parameters.
"""

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor

from nlrepro.errors import BadInput
from nlrepro.nets.nonlocal_block import NonLocalBlock
from nlrepro.nets.released.names import Source
from nlrepro.nets.video_resnet import VideoResNet
from nlrepro.profile import Clips, Geometry
from nlrepro.spec import RunSpec

CLIPS: dict[Source, dict[tuple[int, int], int]] = {  # (frames, stride) of the released nets -> strides of conv1 and pool1 in time
    "caffe2": {(32, 2): 2, (128, 1): 2, (8, 8): 1, (32, 4): 1},
    "pyslowfast": {(8, 8): 1},
    "mmaction2": {(32, 2): 2},
}
AFFINE = ((128, 1), (32, 4))  # the authors' long clips: non-local blocks of res3 in groups of 4 frames


class ReleasedResNet(VideoResNet):
    """`VideoResNet` of the release with the strides, pool1 and non-local blocks of a source."""

    def __init__(self, spec: RunSpec, geometry: Geometry, clips: Clips, source: Source) -> None:
        check(spec, clips, source)
        step = CLIPS[source][clips.frames, clips.stride]
        padded = source != "caffe2"
        geometry = replace(
            geometry,
            architecture="release",
            stem_stride=(step, *geometry.stem_stride[1:]),
            pool1_stride=(step, *geometry.pool1_stride[1:]),
            pool1_kernel=(1 if padded else step, *geometry.pool1_kernel[1:]),
        )
        super().__init__(spec.net, geometry, clips.classes)
        self.padded = padded
        for block in self.inserted.values():
            if isinstance(block, NonLocalBlock):
                block.release = source != "mmaction2"

    def pool1(self, x: Tensor) -> Tensor:
        t, h, w = self.geometry.pool1_kernel
        padding = (0, h // 2, w // 2) if self.padded else 0
        return F.max_pool3d(x, (t, h, w), self.geometry.pool1_stride, padding)  # (B, C, T', H', W')


def check(spec: RunSpec, clips: Clips, source: Source) -> None:
    """
    Raises:
        BadInput: the source has released no such net, or one that `VideoResNet` cannot be.
    """
    net, size = spec.net, (clips.frames, clips.stride)
    known = CLIPS.get(source, {})
    if size not in known:
        listed = ", ".join(f"{frames}x{stride}" for frames, stride in known) or "none"
        raise BadInput(
            f"{source} weights of clips of {clips.frames}x{clips.stride} (frames x stride) are not supported; they are for "
            f"{listed}: choose a --profile and a key whose clips are such"
        )
    if net.kind == "residual" or net.conv == "3x3x3" or net.domain != "spacetime":
        raise BadInput(f"{source} has no weights of {spec.key}; it has C2D, I3D 3x1x1 and spacetime non-local blocks in them")
    if net.sites and source == "caffe2" and size in AFFINE:
        raise BadInput(
            f"caffe2's non-local net of {clips.frames}x{clips.stride} is not supported: its res3 blocks sum over groups of 4 "
            "frames, which this project's do not; its I3D baseline is"
        )
    if net.sites and source == "pyslowfast" and net.depth == 101:
        raise BadInput(
            "pyslowfast's non-local ResNet-101 is not supported: its res4 blocks sit after residual blocks 1, 3, 5, "
            "those of this project after 6, 13, 20"
        )
