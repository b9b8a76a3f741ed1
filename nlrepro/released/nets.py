"""The nets that released weights belong to: the authors' "release", and where a variant of a source departs from it."""

from dataclasses import replace

from torch import Tensor

from nlrepro.config import Geometry
from nlrepro.nets.block import NonLocalBlock
from nlrepro.nets.resnet import FoldedNonLocalBlock, Triple, VideoResNet
from nlrepro.released.names import Source
from nlrepro.released.variants import Variant, check, sites
from nlrepro.spec import RunSpec


class ReleasedResNet(VideoResNet):
    """`VideoResNet` of the release with the strides, pools and non-local blocks of a source's variant.

    Raises:
        BadInput: the source has released no such net.
    """

    def __init__(self, spec: RunSpec, geometry: Geometry, classes: int, source: Source, variant: Variant) -> None:
        check(source, variant, spec)
        step = variant.time_stride
        geometry = replace(
            geometry,
            architecture="release",
            stem_stride=(step, *geometry.stem_stride[1:]),
            pool1_stride=(step, *geometry.pool1_stride[1:]),
            pool1_kernel=(1 if variant.padded else step, *geometry.pool1_kernel[1:]),
        )
        super().__init__(spec.net, geometry, classes, sites(source, spec.net))
        self.source, self.variant = source, variant
        for name, block in self.inserted.items():
            if isinstance(block, NonLocalBlock):
                block.release = source != "mmaction2"
            if isinstance(block, FoldedNonLocalBlock) and name.startswith("res3_"):
                block.group = variant.group

    @property
    def pool1_window(self) -> tuple[Triple, Triple]:
        t, h, w = self.geometry.pool1_kernel
        return (t, h, w), (0, h // 2, w // 2) if self.variant.padded else (0, 0, 0)

    def pool2(self, x: Tensor, frames: int) -> tuple[Tensor, int]:
        return super().pool2(x, frames) if self.variant.pool2 else (x, frames)

    def head(self, x: Tensor) -> Tensor:
        """mmaction2 takes the mean of all positions, the others test in windows."""
        return self.fc(x.mean((1, 3, 4))) if self.source == "mmaction2" else super().head(x)  # (B, classes)
