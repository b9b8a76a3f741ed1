"""Parameters and multiply-adds of a net, counted on the meta device: no memory, no arithmetic (Table 2e's columns)."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from nlrepro.nets.video_resnet import VideoResNet
from nlrepro.profile import Profile
from nlrepro.record import Cost
from nlrepro.spec import RunSpec


def cost(spec: RunSpec, profile: Profile) -> Cost:
    """Of one clip of the profile's size; PyTorch counts two operations a multiply-add."""
    clips = profile.clips[spec.clip]
    with torch.device("meta"):
        net = VideoResNet(spec.net, profile.net, clips.classes).eval()
        clip = torch.empty(1, 3, clips.frames, profile.data.size, profile.data.size)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(clip)
    return Cost(params=sum(p.numel() for p in net.parameters()), macs=counter.get_total_flops() // 2)
