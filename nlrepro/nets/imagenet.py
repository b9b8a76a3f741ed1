"""The paper's ImageNet start (section 4): torchvision's ResNets, given as files or in its cache. Their names are ours."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from nlrepro.config import Geometry
from nlrepro.files import BadInput
from nlrepro.nets.reading import tensors
from nlrepro.nets.resnet import VideoResNet
from nlrepro.released.adopt import adopt
from nlrepro.spec import DEPTHS, STAGE_BLOCKS, Depth, NetSpec

CLASSES = 1000


def imagenet_file(depth: Depth) -> tuple[Path, str]:
    """Where torchvision keeps the first released weights of a ResNet, and where they are on the network."""
    url = str(get_model_weights(f"resnet{depth}")["IMAGENET1K_V1"].url)
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2], url


def imagenet(depth: Depth, geometry: Geometry, files: Sequence[Path] = ()) -> tuple[dict[str, Tensor], str]:
    """The weights out of that of the files which is of this depth, or out of the cache; and what to call them in a record.

    Raises:
        BadInput: there is no such file, or it is damaged or of another net.
    """
    path, url = imagenet_file(depth)
    given = {depth_of(file): file for file in files}
    path = given.get(depth, path)
    if not path.is_file():
        among = f" among {', '.join(map(str, files))}" * bool(files)
        raise BadInput(
            f"no ImageNet weights of ResNet-{depth}{among}: download {url} and give it as --imagenet FILE, or put it at {path} "
            "(TORCH_HOME moves that folder)"
        )
    with torch.device("meta"):
        net = VideoResNet(NetSpec(depth=depth), geometry, CLASSES)
    state = adopt(tensors(path), net, "torchvision", str(path)).state
    return state, f"{path.name} (sha256 {sha256(path.read_bytes()).hexdigest()[:12]})"


def depth_of(file: Path) -> Depth:
    """
    Raises:
        BadInput: the file is missing, damaged, or of no ResNet that is used here.
    """
    blocks = {name.split(".")[1] for name in tensors(file) if name.startswith("layer3.")}
    for depth in DEPTHS:
        if len(blocks) == STAGE_BLOCKS[depth][4]:
            return depth
    raise BadInput(f"{file} is of no ResNet-50 or -101; --imagenet takes torchvision's weights of these")
