"""Parameters and multiply-adds of a net, counted on the meta device: no memory, no arithmetic (Table 2e's columns)."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from nlrepro.config import Profile
from nlrepro.nets.resnet import VideoResNet
from nlrepro.record import Cost
from nlrepro.spec import RunSpec


def cost(spec: RunSpec, profile: Profile) -> Cost:
    """Of one clip of the profile's size."""
    clips = profile.clips[spec.clip]
    with torch.device("meta"):
        return cost_of(VideoResNet(spec.net, profile.geometry, clips.classes), clips.frames, profile.data.size)


def cost_of(net: VideoResNet, frames: int, size: int) -> Cost:
    """Of a net on the meta device and a clip of so many frames of size x size; PyTorch counts two operations a multiply-add."""
    net.eval()
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.empty(1, 3, frames, size, size))
    return Cost(params=sum(p.numel() for p in net.parameters()), macs=counter.get_total_flops() // 2)
