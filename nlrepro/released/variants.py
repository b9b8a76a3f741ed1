"""What the sources have released, by frames x stride: which clips a file wants, and where its net departs from "release".

Facts of public code: the authors' lib/models/resnet_video_org.py (32x2, 128x1) and resnet_video.py (8x8, 32x4) with their
scripts; configs/Kinetics of PySlowFast; configs/recognition/{c2d,i3d} of mmaction2. All inflate the same residual blocks.

| source, variant       | conv1, pool1 strides in time | pool1                    | after res2 | blocks                     |
| caffe2 32x2           | 2, 2                         | 2x3x3, no padding        | 2x1x1      | release                    |
| caffe2 128x1          | 2, 2                         | 2x3x3, no padding        | 2x1x1      | affine; res3 in groups     |
| caffe2 8x8            | 1, 1                         | 1x3x3, no padding        | 2x1x1      | release                    |
| caffe2 32x4           | 1, 1                         | 1x3x3, no padding        | 2x1x1      | affine; res3 in groups     |
| pyslowfast 8x8        | 1, 1                         | 1x3x3, padded in space   | 2x1x1      | release; R101 at R50's     |
| pyslowfast 8x8-nopool | 1, 1                         | 1x3x3, padded in space   | none       | none: C2D alone            |
| mmaction2 32x2        | 2, 2                         | 1x3x3, padded in space   | 2x1x1      | text; I3D alone            |
| mmaction2 8x8, 16x4   | 1, 1                         | 1x3x3, no padding        | 2x1x1      | none: C2D alone            |
| mmaction2 8x8-nopool  | 1, 1                         | 1x3x3, padded in space   | none       | none: C2D alone            |

All are tested on ten clips (nlrepro/data/kinetics/sampling.py) in three crops of 256 pixels, and their probabilities averaged;
mmaction2's C2D in crops of 224, its 8x8-nopool, a net of images to it, with the scores of all frames averaged before the softmax.

"Affine" files were trained with batch normalisation frozen: scale and bias alone, and non-local blocks without any. "Groups": the
sum of a res3 block runs over 4 frames, which saved memory. Strides and pools have no parameters, so that the variant cannot be
seen in a file's tensors; the names of released files tell it.
"""

import re
from dataclasses import dataclass, replace

from nlrepro.config import Averaged
from nlrepro.files import BadInput
from nlrepro.released.names import Source
from nlrepro.spec import SITES, Clip, Conv, NetSpec, RunSpec, Site

Pixels = tuple[float, float, float]
IMAGENET_PIXELS: tuple[Pixels, Pixels] = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))  # mean, deviation; red, green, blue


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A kind of net and the clips that it was trained on."""

    name: str
    frames: int
    stride: int
    time_stride: int = 1  # of conv1 and of pool1
    padded: bool = False  # whether pool1 pads in space; then it spans one frame
    pool2: bool = True
    group: int | None = None  # frames that a block in res3 sums over; None: all
    affine: bool = False
    convs: tuple[Conv, ...] = ("2d", "3x1x1")
    nonlocal_blocks: bool = True
    small: bool = False  # tested in crops of the training size, 224 pixels, not of 256
    averaged: Averaged = "probabilities"

    @property
    def clip(self) -> Clip:
        """The kind of run that such a net stands beside: both long variants cover 128 consecutive frames, the others 64."""
        return "long" if self.frames * self.stride == 128 else "short"


VARIANTS: dict[Source, tuple[Variant, ...]] = {
    "caffe2": (
        Variant(name="32x2", frames=32, stride=2, time_stride=2),
        Variant(name="128x1", frames=128, stride=1, time_stride=2, group=4, affine=True),
        Variant(name="8x8", frames=8, stride=8),
        Variant(name="32x4", frames=32, stride=4, group=4, affine=True),
    ),
    "pyslowfast": (
        Variant(name="8x8", frames=8, stride=8, padded=True),
        Variant(name="8x8-nopool", frames=8, stride=8, padded=True, pool2=False, convs=("2d",), nonlocal_blocks=False),
    ),
    "mmaction2": (
        Variant(name="32x2", frames=32, stride=2, time_stride=2, padded=True, convs=("3x1x1",)),
        Variant(name="8x8", frames=8, stride=8, convs=("2d",), nonlocal_blocks=False, small=True),
        Variant(name="16x4", frames=16, stride=4, convs=("2d",), nonlocal_blocks=False, small=True),
        Variant(
            name="8x8-nopool",
            frames=8,
            stride=8,
            padded=True,
            pool2=False,
            convs=("2d",),
            nonlocal_blocks=False,
            small=True,
            averaged="scores",
        ),
    ),
}
NAMES = tuple(sorted({variant.name for variants in VARIANTS.values() for variant in variants}))


def variant(source: Source, name: str) -> Variant:
    """The variant of a source by its name.

    Raises:
        BadInput: the source has released no such nets.
    """
    known = {variant.name: variant for variant in VARIANTS.get(source, ())}
    if name not in known:
        raise BadInput(f"{source} has no weights of the variant {name!r} (frames x stride); use one of {', '.join(known)}")
    return known[name]


def named(source: Source, file: str) -> str | None:
    """The variant that a file's name tells, if the source has it: i3d_nonlocal_32x2_IN_pretrain.pkl, C2D_NOPOOL_8x8_R50.pkl."""
    size = re.search(r"(?<![0-9a-zA-Z])\d+x\d+(?!\d)", file)
    name = (size[0] if size else "") + "-nopool" * ("nopool" in file.lower())
    return name if name in [variant.name for variant in VARIANTS[source]] else None


def sites(source: Source, net: NetSpec) -> tuple[Site, ...]:
    """After which residual blocks the source puts its non-local ones: PySlowFast's ResNet-101 has them where ResNet-50 has."""
    return SITES[50][net.blocks] if source == "pyslowfast" and net.blocks == "5-block" else net.sites


def check(source: Source, found: Variant, spec: RunSpec) -> None:
    """Refuse a net of which the source has released no weights of this variant.

    Raises:
        BadInput: the source has released no such net.
    """
    net = spec.net
    if spec.clip != found.clip:
        other = replace(spec, clip=found.clip).key
        raise BadInput(
            f"{source} {found.name} is of {found.clip} clips, {spec.key} of {spec.clip} ones; use the key {other}, "
            "or another --variant"
        )
    foreign = net.kind == "residual" or net.domain != "spacetime" or net.form == "concatenation" or net.conv not in found.convs
    if foreign or (net.sites and not found.nonlocal_blocks):
        kinds = " and ".join("C2D" if conv == "2d" else f"I3D {conv}" for conv in found.convs)
        blocks = ", spacetime non-local blocks in them" if found.nonlocal_blocks else ", no non-local blocks in it"
        raise BadInput(f"{source} {found.name} has no weights of {spec.key}; it has {kinds}{blocks}: choose such a key")
