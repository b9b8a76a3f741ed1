"""The nets against Table 1 of the paper, and C2D against torchvision's image ResNet."""

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from nlrepro.config import Architecture, Geometry
from nlrepro.nets.nonlocal_block import NonLocalBlock
from nlrepro.nets.resnet import Bottleneck, SpatialConv, TemporalConv, Triple, VideoResNet, fold, unfold
from nlrepro.nets.weights import start_from
from nlrepro.spec import STAGE_BLOCKS, Blocks, Conv, Depth, Insert, NetSpec


def unlike_new(net: nn.Module, seed: int = 0) -> None:
    """BN scales, shifts and statistics as after some training, none of them 0 or 1; larger weights of fc."""
    random = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                tensor.data = torch.rand(tensor.shape, generator=random) * 0.5 + 0.5  # type: ignore[union-attr]
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.5, generator=random)


def clips(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


EVERY_SECOND = {1: (0, 2), 2: (0, 2), 3: (0, 2, 4), 4: (0, 2)}
OF_RELEASE = EVERY_SECOND | {1: (0, 1, 2), 4: (1,)}  # all of res2 and the middle of res5


@pytest.mark.parametrize(
    ("architecture", "conv", "layer", "blocks"),
    [
        ("text", "3x1x1", "conv1", EVERY_SECOND),
        ("text", "3x3x3", "conv2", EVERY_SECOND),
        ("release", "3x1x1", "conv1", OF_RELEASE),
    ],
)
def test_i3d_inflates_the_stem_and_some_residual_blocks(
    tiny_net: Geometry, architecture: Architecture, conv: Conv, layer: str, blocks: dict[int, tuple[int, ...]]
) -> None:
    net = VideoResNet(NetSpec(conv=conv), replace(tiny_net, architecture=architecture), 7)
    inflated = {name: m.kernel_size for name, m in net.named_modules() if isinstance(m, nn.Conv3d)}
    names = [f"layer{stage}.{i}.{layer}" for stage in blocks for i in blocks[stage]]
    assert inflated == {"conv1": (5, 3, 3)} | dict.fromkeys(names, tuple(map(int, conv.split("x"))))


@pytest.mark.parametrize(
    ("spec", "architecture", "sides"),
    [
        (NetSpec(), "text", (112, 56, 28, 14, 7)),
        (NetSpec(depth=101, conv="3x3x3", blocks="5-block"), "text", (112, 56, 28, 14, 7)),
        (NetSpec(), "release", (112, 55, 28, 14, 7)),  # its pools have no padding
    ],
)
def test_output_sizes_of_table_1(
    paper_net: Geometry, spec: NetSpec, architecture: Architecture, sides: tuple[int, ...]
) -> None:
    """One clip, so that the folded batch is T."""
    with torch.device("meta"):
        net = VideoResNet(spec, replace(paper_net, architecture=architecture), 400).eval()
    sizes: list[tuple[int, ...]] = []
    last = [[*net.get_submodule(f"layer{stage}").children()][-1] for stage in range(1, 5)]
    for module in (net.bn1, *last):
        module.register_forward_hook(lambda _, inputs, output: sizes.append(tuple(output.shape)))
    assert net(torch.empty(1, 3, 32, 224, 224, device="meta")).shape == (1, 400)
    channels = zip((16, 8, 4, 4, 4), (64, 256, 512, 1024, 2048), sides, sides, strict=True)
    assert sizes == [*channels]


def test_c2d_of_one_frame_is_torchvisions_resnet50(paper_net: Geometry) -> None:
    torch.manual_seed(0)
    image_net = torchvision.models.resnet50(num_classes=7).eval()
    unlike_new(image_net)
    net = VideoResNet(NetSpec(), paper_net, 7).eval()
    net.load_state_dict(image_net.state_dict())
    images = clips(2, 3, 32, 32)
    with torch.no_grad():
        expected = image_net(images)
        largest = expected.abs().max().item()
        torch.testing.assert_close(net(images.unsqueeze(2)), expected, rtol=1e-4, atol=1e-4 * largest)
    assert (expected[0] - expected[1]).abs().max() > 0.01 * expected.abs().max()  # the images matter


@pytest.mark.parametrize(
    ("conv", "stride", "padding"),
    [
        (SpatialConv(4, 6, 1), (1, 1, 1), (0, 0, 0)),
        (SpatialConv(4, 6, 3, 2), (1, 2, 2), (0, 1, 1)),
        (SpatialConv(4, 6, 7, 2), (1, 2, 2), (0, 3, 3)),
        (TemporalConv(4, 6, (3, 3), 2), (1, 2, 2), (1, 1, 1)),
    ],
)
def test_a_convolution_of_folded_frames_is_conv3d(conv: Any, stride: Triple, padding: Triple) -> None:
    x, weight = clips(2, 4, 5, 9, 8).double(), conv.double().weight
    expected = F.conv3d(x, weight if weight.ndim == 5 else weight.unsqueeze(2), None, stride, padding)
    torch.testing.assert_close(unfold(conv(fold(x), 5), 5), expected)


def test_the_c2d_stem_strides_in_time_as_a_1_x_k_x_k_kernel_would(paper_net: Geometry) -> None:
    geometry = replace(paper_net, width=4, pool1_kernel=(1, 1, 1), pool1_stride=(1, 1, 1))
    net, x = VideoResNet(NetSpec(), geometry, 7).eval(), clips(2, 3, 7, 16, 16)
    expected = F.conv3d(x, net.conv1.weight.unsqueeze(2), None, (2, 2, 2), (0, 3, 3))
    y, frames = net.stem(x)
    assert frames == 4
    torch.testing.assert_close(unfold(y, 4), expected.div((1 + net.bn1.eps) ** 0.5).relu())


@pytest.mark.parametrize(("conv", "sees"), [("2d", False), ("3x1x1", True), ("3x3x3", True)])
def test_only_3d_convolutions_see_the_direction_of_time_and_none_other_clips(
    tiny_net: Geometry, conv: Conv, sees: bool
) -> None:
    """Non-local blocks compare frames but do not order them: what makes 2e and 2f complementary."""
    net = VideoResNet(NetSpec(conv=conv, blocks="5-block"), tiny_net, 7).eval()
    unlike_new(net)
    x = clips(2, 3, 5, 16, 16)
    with torch.no_grad():
        both, alone, backwards = net(x), net(x[1:]), net(x.flip(2))
    torch.testing.assert_close(both[1:], alone, rtol=1e-4, atol=1e-4 * both.abs().max().item())
    assert torch.allclose(both, backwards, rtol=1e-3) != sees


@pytest.mark.parametrize("depth", [50, 101])
@pytest.mark.parametrize("blocks", ["none", "res2", "res5", "10-block"])
def test_blocks_run_right_after_the_residual_blocks_of_the_sites(
    tiny_net: Geometry, depth: Depth, blocks: Blocks
) -> None:
    spec = NetSpec(depth=depth, blocks=blocks)
    with torch.device("meta"):
        net = VideoResNet(spec, tiny_net, 7).eval()
        clip = torch.empty(1, 3, 4, 32, 32)
    order: list[str] = []
    for name, module in net.named_modules():
        if isinstance(module, Bottleneck | NonLocalBlock):
            module.register_forward_hook(lambda *_, name=name: order.append(name))
    net(clip)
    expected: list[str] = []
    for stage, number in STAGE_BLOCKS[depth].items():
        for i in range(number):
            expected += [f"layer{stage - 1}.{i}", *[f"inserted.res{stage}_{i}"] * ((stage, i) in spec.sites)]
    assert order == expected


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("conv", ["2d", "3x1x1"])
@pytest.mark.parametrize("kind", ["nonlocal", "residual"])
def test_a_net_with_fresh_blocks_is_its_trunk(
    tiny_net: Geometry, conv: Conv, kind: Insert, training: bool
) -> None:
    geometry = replace(tiny_net, dropout=0.0)
    trunk = VideoResNet(NetSpec(conv=conv), geometry, 7)
    unlike_new(trunk)
    net = VideoResNet(NetSpec(conv=conv, blocks="10-block", kind=kind), geometry, 7)
    fresh = start_from(net, trunk.state_dict())
    assert fresh
    assert all(name.startswith("inserted.") for name in fresh)
    x = clips(2, 3, 4, 16, 16)
    torch.testing.assert_close(net.train(training)(x), trunk.train(training)(x), rtol=0, atol=0)


def test_dropout_acts_in_training_only(tiny_net: Geometry) -> None:
    net, x = VideoResNet(NetSpec(), tiny_net, 7), clips(1, 3, 2, 16, 16)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


@pytest.mark.parametrize("shape", [(3, 4, 16, 16), (1, 4, 4, 16, 16), (1, 4, 16, 16, 3)])
def test_wrong_input_names_expected_and_got(tiny_net: Geometry, shape: tuple[int, ...]) -> None:
    words = re.escape(f"expected clips (B, 3, T, H, W), got {shape}")
    with pytest.raises(ValueError, match=words):
        VideoResNet(NetSpec(), tiny_net, 7)(torch.zeros(shape))


@pytest.mark.parametrize("zero", [True, False])
def test_zero_residual_makes_a_new_residual_block_its_shortcut(tiny_net: Geometry, zero: bool) -> None:
    net = VideoResNet(NetSpec(conv="3x1x1"), replace(tiny_net, zero_residual=zero), 7)
    block, x = net.layer1[1], clips(2 * 3, 16, 8, 8).relu()
    assert torch.equal(block(x, 3), x) == zero
    scales = {
        name: m.weight.abs().max().item() for name, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)
    }
    assert all((scale == 0) == (zero and name.endswith("bn3")) for name, scale in scales.items())


@pytest.mark.filterwarnings("ignore")  # jit is deprecated, and tells of branches on shapes
@pytest.mark.parametrize("shape", [(3, 3, 2, 16, 16), (2, 3, 4, 16, 16), (2, 3, 2, 32, 16)])
def test_a_traced_net_takes_other_batches_lengths_and_sides(
    tiny_net: Geometry, shape: tuple[int, ...]
) -> None:
    net, x = VideoResNet(NetSpec(conv="3x1x1", blocks="res4"), tiny_net, 7).eval(), clips(*shape)
    unlike_new(net)
    expected = net(x)
    traced = torch.jit.trace(net, clips(2, 3, 2, 16, 16))(x)
    torch.testing.assert_close(traced, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
