"""Weights for the nets: torchvision's released ones, in a file or in its cache, or those of a net of one's own. No downloads."""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import torch
from torch import nn
from torchvision.models import WeightsEnum
from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights, MaskRCNN_ResNet50_FPN_Weights
from torchvision.ops import FrozenBatchNorm2d

from nlrepro.coco.evaluation import Measure
from nlrepro.files import BadInput
from nlrepro.nets.reading import tensors
from nlrepro.released.adopt import demand_sane
from nlrepro.spec import Target

RELEASED: dict[Target, WeightsEnum] = {
    "boxes": MaskRCNN_ResNet50_FPN_Weights.COCO_V1,
    "keypoints": KeypointRCNN_ResNet50_FPN_Weights.COCO_V1,
}
TORCHVISION = "torchvision"


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The file that weights came from, and the AP on val2017 that torchvision states for it."""

    file: str
    sha256: str
    stated: dict[Measure, float] = field(default_factory=dict)  # percent


def torchvision_file(kind: Target) -> tuple[Path, str]:
    """Where torchvision keeps its weights of this kind, and where they are on the network."""
    url = str(RELEASED[kind].url)
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2], url


def located(weights: str, kind: Target) -> Path:
    """The file that is meant by a path, or by "torchvision".

    Raises:
        BadInput: torchvision's is not in its cache.
    """
    if weights != TORCHVISION:
        return Path(weights)
    path, url = torchvision_file(kind)
    if not path.is_file():
        raise BadInput(
            f"torchvision's weights are not in its cache: download {url} and give it as --weights FILE, or put it at {path} "
            "(TORCH_HOME moves that folder)"
        )
    return path


def load(net: nn.Module, path: Path, kind: Target) -> Loaded:
    """Put weights into a net that they must fit exactly; torchvision's are known by their content.

    Those were trained when torchvision's frozen normalisation added no eps to the variance, so its eps becomes 0, as in
    torchvision (pytorch/vision#2933). torchvision's modules take the names of its older files too.

    Raises:
        BadInput: the file is missing, damaged, or not of this net.
    """
    state = tensors(path)
    for name, tensor in state.items():
        demand_sane(name, tensor, f"{path}: {name}")
    digest = sha256(path.read_bytes()).hexdigest()
    released = is_released(path, digest, kind)
    try:
        missing, unknown = net.load_state_dict(state, strict=False)
    except RuntimeError as error:  # of shapes: the first line is the net's name, the others are a tensor each
        raise BadInput(f"{path} does not fit: {str(error).splitlines()[1].strip()}; is it of this backbone and kind?") from None
    for names, what in ((missing, "lacks"), (unknown, "has, and this net has not,")):
        if names:
            raise BadInput(
                f"{path} {what} {names[0]} ({len(names)} such); is it of this backbone and kind, and are its blocks asked for?"
            )
    if not released:
        return Loaded(file=path.name, sha256=digest)
    for module in net.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = 0.0
    return Loaded(file=path.name, sha256=digest, stated=stated(kind))


def is_released(path: Path, digest: str, kind: Target) -> bool:
    """Whether this is torchvision's file: its name there ends in the first of its sha256.

    Raises:
        BadInput: the file has that name, but is another one.
    """
    name = torchvision_file(kind)[0].name
    begin = Path(name).stem.rpartition("-")[2]
    if path.name == name and not digest.startswith(begin):
        raise BadInput(f"{path} is not what torchvision released: its sha256 begins with {digest[:8]}; download it again")
    return digest.startswith(begin)


def stated(kind: Target) -> dict[Measure, float]:
    """Percent AP by measure, as torchvision's own description of its weights has it."""
    metrics = RELEASED[kind].meta["_metrics"]["COCO-val2017"]
    names: tuple[Measure, ...] = ("box", "mask", "kp")
    return {name: metrics[f"{name}_map"] for name in names if f"{name}_map" in metrics}
