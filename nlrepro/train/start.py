"""The weights of a net before its first step."""

import torch
from torch import nn

from nlrepro.files import BadInput
from nlrepro.nets.imagenet import imagenet_file
from nlrepro.nets.pretrained import pretrained
from nlrepro.nets.transfer import start_from
from nlrepro.run import Run


def warm_start(net: nn.Module, run: Run) -> dict[str, str]:
    """Copy into `net` the weights that the run starts from: those of its parent, or pretrained ones.

    Returns what a record notes of pretrained weights, such as {"start": "mini-r50.pt (sha256 0123456789ab)"}.

    Raises:
        BadInput: the parent has not been trained or its net is damaged, or pretrained weights are missing or do not fit.
    """
    profile, depth, files = run.profile, run.spec.net.depth, run.folders.imagenet
    if run.parent:
        from_parent(net, run.key, run.parent)
        return {}
    if profile.dry_run and profile.real and not (files or imagenet_file(depth)[0].is_file()):
        print("dry run without ImageNet weights: it starts from random ones")
        return {}
    state, name = pretrained(depth, profile, files)
    start_from(net, state)
    return {"start": name}


def from_parent(net: nn.Module, key: str, parent: Run) -> None:
    """Copy what fits of the net of a finished run into the one of `key`; errors as of `warm_start`."""
    if not parent.weights.is_file():
        raise BadInput(f"{key} starts from {parent.key}, which has no weights at {parent.weights}; use `sweep`, or run it first")
    if wrong := parent.damaged_net():
        raise BadInput(f"{key} starts from {parent.key}: {wrong}")
    start_from(net, torch.load(parent.weights, weights_only=True))
