"""What the sources have released: names of tensors, variants of nets, and files. Imports no torch.

Facts of public code and its lists of files: facebookresearch/video-nonlocal-net (lib/models:
resnet_helper.py, nonlocal_helper.py, resnet_video_org.py with 32x2 and 128x1, resnet_video.py with 8x8 and
32x4); facebookresearch/SlowFast (slowfast/models, configs/Kinetics); open-mmlab/mmaction2
(backbones/resnet3d.py, configs/recognition/{c2d,i3d}) with mmcv's NonLocal3d. All inflate the same residual
blocks. This project's own names are torchvision's.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal, TypeVar

from pydantic import TypeAdapter

from nlrepro import paper
from nlrepro.config import Averaged
from nlrepro.files import BadInput
from nlrepro.spec import Clip, Conv, RunSpec

Source = Literal["caffe2", "pyslowfast", "mmaction2"]
Rules = tuple[tuple[str, str], ...]  # regular expression -> replacement, each on what the last one has made
T = TypeVar("T")

LAYERS = range(1, 5)  # torchvision's stages, res2 to res5
LETTERS = {1: "a", 2: "b", 3: "c"}  # conv1 of a residual block is branch2a elsewhere

# From our name to the source's, so that a tensor which a file lacks can be named as the file would name it.
RULES: dict[Source, Rules] = {
    "caffe2": (  # layer2.0.bn1.weight -> res3_0_branch2a_bn_s, inserted.res3_1.g.bias -> nonlocal_conv3_1_g_b
        (r"^bn1\.", "res_conv1_bn."),
        (r"^fc\.", "pred."),
        (r"^inserted\.res(\d_\d+)\.", r"nonlocal_conv\1_"),
        (r"_w_z\.", "_out."),
        *((rf"^layer{n}\.(\d+)\.", rf"res{n + 1}_\1_") for n in LAYERS),
        *((rf"_conv{n}\.", f"_branch2{letter}.") for n, letter in LETTERS.items()),
        *((rf"_bn{n}\.", f"_branch2{letter}_bn.") for n, letter in LETTERS.items()),
        (r"_downsample\.0\.", "_branch1."),
        (r"_downsample\.1\.", "_branch1_bn."),
        (r"_bn\.weight$", "_bn_s"),
        (r"\.running_mean$", "_rm"),
        (r"\.running_var$", "_riv"),  # which holds the variance
        (r"\.(w|b)(eight|ias)$", r"_\1"),
    ),
    "pyslowfast": (  # layer2.0.bn1.weight -> s3.pathway0_res0.branch2.a_bn.weight
        (r"^(conv|bn)1\.", r"s1.pathway0_stem.\1."),
        (r"^fc\.", "head.projection."),
        (r"^inserted\.res(\d)_(\d+)\.", r"s\1.pathway0_nonlocal\2."),
        (r"\.w_z\.", ".conv_out."),
        (r"\.(theta|phi|g)\.", r".conv_\1."),
        *((rf"^layer{n}\.(\d+)\.", rf"s{n + 1}.pathway0_res\1.") for n in LAYERS),
        *((rf"\.conv{n}\.", f".branch2.{letter}.") for n, letter in LETTERS.items()),
        *((rf"\.bn{n}\.", f".branch2.{letter}_bn.") for n, letter in LETTERS.items()),
        (r"\.downsample\.0\.", ".branch1."),
        (r"\.downsample\.1\.", ".branch1_bn."),
    ),
    "mmaction2": (  # layer2.0.bn1.weight -> backbone.layer2.0.conv1.bn.weight
        (r"^fc\.", "cls_head.fc_cls."),
        (r"^(conv|bn)1\.", r"backbone.conv1.\1."),
        *((rf"^inserted\.res{n + 1}_(\d+)\.", rf"backbone.layer{n}.\1.non_local_block.") for n in LAYERS),
        (r"(block\.theta)\.", r"\1.conv."),
        (r"(block\.phi|block\.g)\.", r"\1.0.conv."),  # .1 is their max pool
        (r"(block)\.w_z\.", r"\1.conv_out.conv."),
        (r"(block)\.bn\.", r"\1.conv_out.bn."),
        (r"^layer(\d\.\d+)\.(conv|bn)(\d)\.", r"backbone.layer\1.conv\3.\2."),
        (r"^layer(\d\.\d+\.downsample)\.0\.", r"backbone.layer\1.conv."),
        (r"^layer(\d\.\d+\.downsample)\.1\.", r"backbone.layer\1.bn."),
    ),
}
IGNORED: dict[Source, str] = {  # what a training leaves beside the net: the optimizer's, counters
    "caffe2": r".*_momentum|lr|model_iter",
    "pyslowfast": r".*\.num_batches_tracked",
    "mmaction2": r".*\.num_batches_tracked|data_preprocessor\..*",
}


def source_name(source: Source, name: str) -> str:
    """What the source calls our tensor `name`."""
    for pattern, replacement in RULES[source]:
        name = re.sub(pattern, replacement, name)
    return name


def naming_of(blobs: Collection[str], source: Source, file: str) -> Source:
    """Whose names they are: the source's own, or Caffe2's, which files of PySlowFast's zoo have too.

    Raises:
        BadInput: they are those of another source.
    """
    firsts = {each: source_name(each, "conv1.weight") for each in RULES}
    naming = next((each for each in RULES if any(name.endswith(firsts[each]) for name in blobs)), source)
    if naming != source and (source, naming) != ("pyslowfast", "caffe2"):
        raise BadInput(f"the names in {file} are those of {naming}, not of {source}; give --source {naming}")
    return naming


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A kind of net and the clips that it was trained on.

    Strides and pools have no parameters, so a file's tensors do not show its variant; its name does. All are
    tested on ten clips (nlrepro/data/clips.py) in three crops.
    """

    frames: int
    stride: int
    time_stride: int = 1  # of conv1 and of pool1
    padded: bool = False  # whether pool1 pads in space; then it spans one frame
    pool2: bool = True  # after res2, 2x1x1
    affine: bool = False  # frozen normalisation: scale and bias alone, and non-local blocks without any
    group: int | None = None  # frames that a block in res3 sums over, to save memory; None: all
    convs: tuple[Conv, ...] = ("2d", "3x1x1")
    nonlocal_blocks: bool = True
    small: bool = False  # tested in crops of the training size, 224 pixels, not of 256
    averaged: Averaged = "probabilities"  # or scores, before the softmax: to mmaction2 it is a net of images

    @property
    def name(self) -> str:
        return f"{self.frames}x{self.stride}" + "-nopool" * (not self.pool2)

    @property
    def clip(self) -> Clip:
        """The kind of run beside which it stands: both long variants cover 128 frames, the others 64."""
        return "long" if self.frames * self.stride == 128 else "short"


C2D = partial(Variant, convs=("2d",), nonlocal_blocks=False)
VARIANTS: dict[Source, tuple[Variant, ...]] = {
    "caffe2": (
        Variant(frames=32, stride=2, time_stride=2),
        Variant(frames=128, stride=1, time_stride=2, affine=True, group=4),
        Variant(frames=8, stride=8),
        Variant(frames=32, stride=4, affine=True, group=4),
    ),
    "pyslowfast": (
        Variant(frames=8, stride=8, padded=True),
        C2D(frames=8, stride=8, padded=True, pool2=False),
    ),
    "mmaction2": (
        Variant(frames=32, stride=2, time_stride=2, padded=True, convs=("3x1x1",)),
        C2D(frames=8, stride=8, small=True),
        C2D(frames=16, stride=4, small=True),
        C2D(frames=8, stride=8, padded=True, pool2=False, small=True, averaged="scores"),
    ),
}


def find_variant(source: Source, name: str) -> Variant:
    """The variant of a source by its name, frames x stride.

    Raises:
        BadInput: the source has released no such nets.
    """
    variants = {variant.name: variant for variant in VARIANTS[source]}
    if name not in variants:
        unknown = f"{source} has no weights of the variant {name!r} (frames x stride)"
        raise BadInput(f"{unknown}; use one of {', '.join(variants)}")
    return variants[name]


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """A line of paper/released_checkpoints.csv; percent of Kinetics-400's validation videos."""

    source: Source
    file: str
    key: str
    variant: str
    top1: float
    top5: float
    note: str

    @property
    def stated(self) -> str:
        accuracy = f"top-1 {self.top1:.1f} %, top-5 {self.top5:.1f} %"
        return f"its source states {accuracy} on Kinetics-400's validation videos"


@cache
def known_files() -> tuple[KnownFile, ...]:
    """All files that the sources have released, and whose nets are this project's."""
    return TypeAdapter(tuple[KnownFile, ...]).validate_python(paper.lines("released_checkpoints"))


def stem(file: str) -> str:
    """A file's name without its ending, mmaction2's date and digest, and a browser's "(1)"."""
    return re.sub(r"(_\d{8}-[0-9a-f]{8})?( ?\(\d+\))?(\.\w+)?$", "", file)


def known_file(name: str) -> KnownFile | None:
    """The released file of this name.

    Raises:
        BadInput: it is of a net that was trained on other clips, which its tensors do not show.
    """
    if "dense" in name.lower():
        kind = "was trained and is tested on clips from one part of a video (dense sampling)"
        raise BadInput(f"{name}, by its name, {kind}, as no test here does; rename it if its name is wrong")
    return next((known for known in known_files() if stem(known.file) == stem(name)), None)


def variant_of(file: str, source: Source, spec: RunSpec, variant: str | None = None) -> Variant:
    """The variant of a file's net, once all that the file's name shows agrees with what was asked for.

    Raises:
        BadInput: it does not agree, the source has no such variant, or nothing shows it.
    """
    known, names = known_file(file), [each.name for each in VARIANTS[source]]
    size = re.search(r"(?<![0-9a-zA-Z])\d+x\d+(?!\d)", file)  # i3d_nonlocal_32x2_IN_pretrain.pkl
    name = (size[0] if size else "") + "-nopool" * ("nopool" in file.lower())  # C2D_NOPOOL_8x8_R50.pkl
    chosen = known.variant if known else name if name in names else variant
    for option, asked, expected in (
        ("--source", source, known.source if known else source),
        ("--key", spec.key, known.key if known else spec.key),
        ("--variant", variant or chosen, chosen),
    ):
        if asked != expected:
            advice = "give that, or rename it if its name is wrong"
            raise BadInput(f"{file}, by its name, wants {option} {expected}, got {asked}; {advice}")
    if not chosen:
        allowed = f"give --variant, one of {', '.join(names)}"
        raise BadInput(f"the name {file} does not show the file's frames x stride; {allowed}")
    return find_variant(source, chosen)
