"""The paper's ImageNet start (section 4): torchvision's ResNets, from its cache. Their parameter names are ours."""

from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from nlrepro.errors import BadInput
from nlrepro.spec import Depth


def imagenet_file(depth: Depth) -> tuple[Path, str]:
    """Where torchvision keeps the first released weights of a ResNet, and where they are on the network."""
    url = str(get_model_weights(f"resnet{depth}")["IMAGENET1K_V1"].url)
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2], url


def imagenet(depth: Depth) -> dict[str, Tensor]:
    """
    Raises:
        BadInput: the file is not in the cache.
    """
    path, url = imagenet_file(depth)
    if not path.is_file():
        raise BadInput(f"no ImageNet weights of ResNet-{depth}: download {url} to {path} (TORCH_HOME moves that folder)")
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state
