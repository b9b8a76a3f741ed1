"""What a source calls each tensor of a `VideoResNet`.

The names are facts of public code: facebookresearch/video-nonlocal-net (lib/models/resnet_helper.py, nonlocal_helper.py),
facebookresearch/SlowFast (slowfast/models/resnet_helper.py, nonlocal_helper.py), open-mmlab/mmaction2 (backbones/resnet3d.py)
with mmcv's NonLocal3d, and torchvision, whose names are this project's own.

Rules run from our name to theirs, so that a tensor which a file lacks can be named as its file would name it.
"""

import re
from collections.abc import Iterable
from typing import Literal, TypeVar

from nlrepro.files import BadInput

Source = Literal["caffe2", "pyslowfast", "mmaction2", "torchvision"]
T = TypeVar("T")

SOURCES: tuple[Source, ...] = ("caffe2", "pyslowfast", "mmaction2", "torchvision")
STATISTICS = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}  # Caffe2's riv holds the variance
PROJECTIONS = {"theta": "theta", "phi": "phi", "g": "g", "w_z": "out"}
FIRST = {  # a name by which the files of each source are known: of conv1
    "caffe2": "conv1_w",
    "pyslowfast": "s1.pathway0_stem.conv.weight",
    "mmaction2": "backbone.conv1.conv.weight",
    "torchvision": "conv1.weight",
}
NAMINGS: dict[Source, tuple[Source, ...]] = {"pyslowfast": ("pyslowfast", "caffe2")}  # of the files in its zoo
PREFIX = r"^(module\.|model\.|gpu_\d+/)+"  # put before all names by PyTorch's and Caffe2's training on several devices
IGNORED = {  # what a training run leaves beside the net
    "caffe2": r".*_momentum|lr|model_iter",
    "pyslowfast": r".*\.num_batches_tracked",
    "mmaction2": r".*\.num_batches_tracked|data_preprocessor\..*",
    "torchvision": r".*\.num_batches_tracked",
}


def caffe2(name: str) -> str:
    """layer2.0.bn1.running_mean -> res3_0_branch2a_bn_rm."""
    module, _, kind = name.rpartition(".")
    statistic = STATISTICS.get(kind, kind)
    if module == "conv1":
        return "conv1_w"
    if module == "bn1":
        return f"res_conv1_bn_{statistic}"
    if module == "fc":
        return f"pred_{kind[0]}"
    if found := re.fullmatch(r"inserted\.res(\d)_(\d+)\.(\w+)", module):
        stage, i, part = found.groups()
        return f"nonlocal_conv{stage}_{i}_" + (f"bn_{statistic}" if part == "bn" else f"{PROJECTIONS[part]}_{kind[0]}")
    stage, i, part = in_block(module)
    branch = "branch1" if part.startswith("downsample") else f"branch2{'abc'[int(part[-1]) - 1]}"
    return f"res{stage}_{i}_{branch}_" + (f"bn_{statistic}" if is_norm(part) else "w")


def pyslowfast(name: str) -> str:
    """layer2.0.bn1.weight -> s3.pathway0_res0.branch2.a_bn.weight."""
    module, _, kind = name.rpartition(".")
    if module in ("conv1", "bn1"):
        return f"s1.pathway0_stem.{module[:-1]}.{kind}"
    if module == "fc":
        return f"head.projection.{kind}"
    if found := re.fullmatch(r"inserted\.res(\d)_(\d+)\.(\w+)", module):
        stage, i, part = found.groups()
        return f"s{stage}.pathway0_nonlocal{i}." + ("bn" if part == "bn" else f"conv_{PROJECTIONS[part]}") + f".{kind}"
    stage, i, part = in_block(module)
    branch = "branch1" if part.startswith("downsample") else f"branch2.{'abc'[int(part[-1]) - 1]}"
    return f"s{stage}.pathway0_res{i}.{branch}{'_bn' if is_norm(part) else ''}.{kind}"


def mmaction2(name: str) -> str:
    """layer2.0.bn1.weight -> backbone.layer2.0.conv1.bn.weight; a non-local block belongs to the residual one before it."""
    module, _, kind = name.rpartition(".")
    if module in ("conv1", "bn1"):
        return f"backbone.conv1.{module[:-1]}.{kind}"
    if module == "fc":
        return f"cls_head.fc_cls.{kind}"
    if found := re.fullmatch(r"inserted\.res(\d)_(\d+)\.(\w+)", module):
        stage, i, part = found.groups()
        parts = {"theta": "theta.conv", "phi": "phi.0.conv", "g": "g.0.conv", "w_z": "conv_out.conv", "bn": "conv_out.bn"}
        return f"backbone.layer{int(stage) - 1}.{i}.non_local_block.{parts[part]}.{kind}"  # .0: their max pool comes as .1
    stage, i, part = in_block(module)
    convolution = "downsample" if part.startswith("downsample") else f"conv{part[-1]}"
    return f"backbone.layer{int(stage) - 1}.{i}.{convolution}.{'bn' if is_norm(part) else 'conv'}.{kind}"


def in_block(module: str) -> tuple[str, str, str]:
    """layer2.0.downsample.1 -> ("3", "0", "downsample.1")."""
    layer, i, part = module.split(".", 2)
    return str(int(layer.removeprefix("layer")) + 1), i, part


def is_norm(part: str) -> bool:
    return part.startswith("bn") or part == "downsample.1"


def theirs(source: Source, name: str) -> str:
    """The source's name of our tensor `name`."""
    return name if source == "torchvision" else {"caffe2": caffe2, "pyslowfast": pyslowfast, "mmaction2": mmaction2}[source](name)


def ignored(source: Source, name: str) -> bool:
    """Whether a tensor is the optimizer's, a counter or the like: of no use to the net."""
    return re.fullmatch(IGNORED[source], name) is not None


def bare(blobs: dict[str, T], file: str) -> dict[str, T]:
    """The tensors by their names without what training on several devices puts before these.

    Raises:
        BadInput: two names differ in that alone.
    """
    names = {name: re.sub(PREFIX, "", name) for name in blobs}
    twice = [name for name in blobs if names[name] != name and names[name] in blobs]
    if twice:
        raise BadInput(f"{file} has both {twice[0]} and {names[twice[0]]}; keep one of the two nets in it")
    return {names[name]: blob for name, blob in blobs.items()}


def naming_of(blobs: Iterable[str], source: Source, file: str) -> Source:
    """Whose names they are: the source's own, or those of another that its files use as well.

    Raises:
        BadInput: they are those of another source.
    """
    names = set(blobs)
    found = [naming for naming in SOURCES if FIRST[naming] in names]
    allowed = NAMINGS.get(source, (source,))
    if found and found[0] not in allowed:
        raise BadInput(f"the names in {file} are those of {found[0]}, not of {source}; give --source {found[0]}")
    return found[0] if found else source
