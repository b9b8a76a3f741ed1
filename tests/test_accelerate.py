"""`accelerate` changes how 3x1x1 convolutions are computed, and nothing else."""

import pytest
import torch
from torch import Tensor, nn

from nlrepro.nets.accelerate import AlongTime, accelerate
from nlrepro.nets.layers import TemporalConv
from nlrepro.nets.resnet import VideoResNet
from nlrepro.profiles import load
from nlrepro.spec import Conv, NetSpec


def i3d(conv: Conv = "3x1x1") -> VideoResNet:
    torch.manual_seed(0)
    return VideoResNet(NetSpec(conv=conv, blocks="res4"), load("smoke").geometry, 4).double().eval()


def gradients(net: nn.Module, clips: Tensor) -> dict[str, Tensor]:
    net(clips).square().sum().backward()
    return {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


def test_scores_and_gradients_of_an_i3d_are_the_same() -> None:
    clips = torch.randn(2, 3, 8, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    plain, fast = i3d(), accelerate(i3d())
    torch.testing.assert_close(fast(clips), plain(clips))
    torch.testing.assert_close(gradients(fast, clips), gradients(plain, clips))


@pytest.mark.parametrize(("conv", "swapped"), [("2d", 0), ("3x1x1", 9), ("3x3x3", 0)])
def test_it_swaps_the_3x1x1_convolutions_and_keeps_names_and_parameters(conv: Conv, swapped: int) -> None:
    net = i3d(conv)
    before = dict(net.named_parameters())
    assert accelerate(net) is net
    assert sum(isinstance(module, AlongTime) for module in net.modules()) == swapped
    assert list(net.state_dict()) == list(i3d(conv).state_dict())
    assert all(p is before[name] for name, p in net.named_parameters())


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
@pytest.mark.parametrize("taps", [1, 3, 5])
def test_any_number_of_frames_works(frames: int, taps: int) -> None:
    torch.manual_seed(0)
    conv = TemporalConv(3, 4, (taps, 1)).double()
    x = torch.randn(2 * frames, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    fast = AlongTime(conv.weight)
    torch.testing.assert_close(fast(x, frames), conv(x, frames))
    theirs, ours = (torch.autograd.grad(layer(x, frames).square().sum(), [x, conv.weight]) for layer in (conv, fast))
    torch.testing.assert_close(ours, theirs)


def test_mixed_precision_trains() -> None:
    net = accelerate(i3d().float().train())
    with torch.autocast("cpu", torch.bfloat16):
        loss = net(torch.randn(2, 3, 8, 32, 32)).float().square().sum()
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in net.parameters())
