"""Weights from one net to another: copied, inflated, left out, refused."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nlrepro.config import Geometry
from nlrepro.nets.resnet import SpatialConv, TemporalConv, VideoResNet, fold, unfold
from nlrepro.nets.transfer import inflate, start_from
from nlrepro.spec import Conv, NetSpec


def repeated(frames: int) -> Tensor:
    """A clip of one repeated frame, (1, 3, T, 16, 16)."""
    return torch.randn(1, 3, 1, 16, 16, generator=torch.Generator().manual_seed(1)).repeat(1, 1, frames, 1, 1)


@pytest.mark.parametrize(("kernel", "out"), [((3, 1), 6), ((3, 3), 6), ((5, 7), 6)])
def test_an_inflated_convolution_of_a_repeated_frame_is_the_2d_one_in_the_middle(kernel: tuple[int, int], out: int) -> None:
    t, k = kernel
    flat, deep = SpatialConv(3, out, k), TemporalConv(3, out, kernel)
    deep.load_state_dict({"weight": inflate(flat.weight.detach(), deep.weight.shape)})
    x = fold(repeated(7))
    expected, y = unfold(flat(x, 7), 7), unfold(deep(x, 7), 7)
    inside = slice(t // 2, 7 - t // 2)
    torch.testing.assert_close(y[:, :, inside], expected[:, :, inside])
    assert not torch.allclose(y[:, :, 0], expected[:, :, 0])  # at the border a part of the kernel sees zeros


@pytest.mark.parametrize("conv", ["3x1x1", "3x3x3"])
def test_an_inflated_net_of_a_repeated_frame_is_the_2d_net_in_the_middle(tiny_net: Geometry, conv: Conv) -> None:
    """Zeros beyond the borders reach 2 frames (conv1), 1 (pool1), 1 for each of 9 inflated blocks and 1 (pool2): 13."""
    features: list[Tensor] = []
    nets = VideoResNet(NetSpec(), tiny_net, 7), VideoResNet(NetSpec(conv=conv), tiny_net, 7)
    for module in nets[0].modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias, -0.5, 0.5)
    assert start_from(nets[1], nets[0].state_dict()) == []
    with torch.no_grad():
        for net in nets:
            list(net.layer4.children())[-1].register_forward_hook(lambda module, inputs, output: features.append(output))
            net.double().eval()(repeated(27).double())  # in single precision rounding reaches 1e-5 now and then
    flat, deep = features
    assert flat[13].abs().max() > 0.01
    torch.testing.assert_close(deep[13], flat[13], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(deep[0], flat[0], rtol=1e-2)


def test_a_parent_with_other_classes_gives_all_but_fc(tiny_net: Geometry) -> None:
    parent, child = VideoResNet(NetSpec(), tiny_net, 12), VideoResNet(NetSpec(), tiny_net, 7)
    before = child.fc.weight.clone()
    assert start_from(child, parent.state_dict()) == ["fc.weight", "fc.bias"]
    assert torch.equal(child.fc.weight, before)
    for name, tensor in child.state_dict().items():
        assert name.startswith("fc.") or torch.equal(tensor, parent.state_dict()[name]), name


def test_a_parent_of_the_same_net_gives_everything(tiny_net: Geometry) -> None:
    spec = NetSpec(blocks="5-block", form="concatenation")
    parent, child = VideoResNet(spec, tiny_net, 7), VideoResNet(spec, tiny_net, 7)
    assert start_from(child, parent.state_dict()) == []
    assert all(torch.equal(tensor, parent.state_dict()[name]) for name, tensor in child.state_dict().items())


def test_the_parent_is_copied_not_shared(tiny_net: Geometry) -> None:
    parent, child = VideoResNet(NetSpec(), tiny_net, 7), VideoResNet(NetSpec(), tiny_net, 7)
    start_from(child, parent.state_dict())
    nn.init.zeros_(child.layer1[0].conv1.weight)
    assert parent.layer1[0].conv1.weight.abs().max() > 0


def test_a_misfit_names_the_tensor_and_both_shapes(tiny_net: Geometry) -> None:
    parent = VideoResNet(NetSpec(), replace(tiny_net, width=8), 7)
    with pytest.raises(ValueError, match=r"conv1.weight: expected the shape \(4, 3, 3, 3\), the parent has \(8, 3, 3, 3\)"):
        start_from(VideoResNet(NetSpec(), tiny_net, 7), parent.state_dict())


def test_a_misfit_that_would_be_inflated_is_refused_in_the_same_words(tiny_net: Geometry) -> None:
    parent = VideoResNet(NetSpec(), replace(tiny_net, width=8), 7)
    with pytest.raises(ValueError, match=r"conv1.weight: expected the shape \(4, 3, 5, 3, 3\), the parent has "):
        start_from(VideoResNet(NetSpec(conv="3x1x1"), tiny_net, 7), parent.state_dict())
