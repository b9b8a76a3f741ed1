"""Which pixel of which frame a position of a net's map is about: the centre of its receptive field in the clip.

A convolution or a pool with kernel k, stride s and padding p has the centre of its output i at s i + (k - 1) / 2 - p of its
input.
Where padding is symmetric this is s i: in the paper's text positions are about the upper left corner of their cell.
"""

from dataclasses import dataclass

from nlrepro.nets.resnet import VideoResNet


@dataclass(frozen=True)
class Axis:
    """Position i lies at scale * i + shift of the clip."""

    scale: float = 1.0
    shift: float = 0.0

    def then(self, kernel: int, stride: int, padding: int) -> "Axis":
        """After another layer."""
        return Axis(self.scale * stride, self.shift + self.scale * ((kernel - 1) / 2 - padding))

    def centre(self, i: float) -> float:
        return self.scale * i + self.shift


def centres(net: VideoResNet, stage: int) -> tuple[Axis, Axis, Axis]:
    """Time, height and width of the maps of a stage: conv1 and the convolutions of all stages pad evenly, the pools may not."""
    geometry, (kernels, paddings) = net.geometry, net.pool1_window
    axes = []
    for kernel, stem, padding, pool, k in zip(
        geometry.stem_kernel, geometry.stem_stride, paddings, geometry.pool1_stride, kernels, strict=True
    ):
        axes.append(Axis().then(kernel, stem, kernel // 2).then(k, pool, padding))
    time, height, width = axes
    if stage > 2:
        kernel, padding = net.pool2_window
        time = time.then(kernel, geometry.pool2_stride, padding)
    for stride in geometry.stage_strides[: stage - 1]:
        height, width = height.then(3, stride, 1), width.then(3, stride, 1)
    return time, height, width
