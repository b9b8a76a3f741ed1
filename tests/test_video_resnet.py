"""The nets against Table 1 of the paper, and C2D against torchvision's image ResNet."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from nlrepro.config import Geometry
from nlrepro.nets.nonlocal_block import NonLocalBlock
from nlrepro.nets.resnet import SpatialConv, TemporalConv, VideoResNet, fold, unfold
from nlrepro.nets.weights import start_from
from nlrepro.spec import STAGE_BLOCKS, Conv, Depth, Insert, NetSpec


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


@pytest.mark.parametrize(("conv", "kernel"), [("3x1x1", (3, 1, 1)), ("3x3x3", (3, 3, 3))])
def test_i3d_inflates_the_stem_and_every_second_block(
    tiny_net: Geometry, conv: Conv, kernel: tuple[int, int, int]
) -> None:
    net = VideoResNet(NetSpec(conv=conv), tiny_net, 7)
    inflated = {name: m.kernel_size for name, m in net.named_modules() if isinstance(m, nn.Conv3d)}
    layer = "conv1" if conv == "3x1x1" else "conv2"
    places = [(stage, i) for stage in range(2, 6) for i in range(0, STAGE_BLOCKS[50][stage], 2)]
    assert inflated == {"conv1": (5, 3, 3)} | {f"layer{stage - 1}.{i}.{layer}": kernel for stage, i in places}


def test_the_release_inflates_all_of_res2_and_the_middle_of_res5(tiny_net: Geometry) -> None:
    net = VideoResNet(NetSpec(conv="3x1x1"), replace(tiny_net, architecture="release"), 7)
    inflated = [name for name, m in net.named_modules() if isinstance(m, nn.Conv3d)]
    blocks = {1: (0, 1, 2), 2: (0, 2), 3: (0, 2, 4), 4: (1,)}
    assert inflated == ["conv1", *(f"layer{layer}.{i}.conv1" for layer in blocks for i in blocks[layer])]


def test_the_release_pools_without_padding(paper_net: Geometry) -> None:
    with torch.device("meta"):
        net = VideoResNet(NetSpec(), replace(paper_net, architecture="release"), 400)
        x, frames = net.stem(torch.empty(1, 3, 32, 224, 224))
        assert (tuple(x.shape), frames) == ((8, 64, 55, 55), 8)
        x, frames = net.pool2(x, frames)
        assert (tuple(x.shape), frames) == ((4, 64, 55, 55), 4)


@pytest.mark.parametrize("spec", [NetSpec(), NetSpec(depth=101), NetSpec(conv="3x3x3", blocks="5-block")])
def test_output_sizes_of_table_1(paper_net: Geometry, spec: NetSpec) -> None:
    """One clip, so that the folded batch is T."""
    with torch.device("meta"):
        net = VideoResNet(spec, paper_net, 400).eval()
        clip = torch.empty(1, 3, 32, 224, 224)
    sizes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda module, inputs, output: sizes.update({name: tuple(output.shape)})

    net.bn1.register_forward_hook(note("conv1"))
    for stage in range(2, 6):
        *_, last = net.get_submodule(f"layer{stage - 1}").children()
        last.register_forward_hook(note(f"res{stage}"))
    assert net(clip).shape == (1, 400)
    assert sizes == {
        "conv1": (16, 64, 112, 112),
        "res2": (8, 256, 56, 56),
        "res3": (4, 512, 28, 28),
        "res4": (4, 1024, 14, 14),
        "res5": (4, 2048, 7, 7),
    }
    pooled, frames = net.stem(clip)
    assert (tuple(pooled.shape), frames) == ((8, 64, 56, 56), 8)
    pooled, frames = net.pool2(torch.empty(8, 256, 56, 56, device="meta"), 8)
    assert (tuple(pooled.shape), frames) == ((4, 256, 56, 56), 4)


def test_c2d_of_one_frame_is_torchvisions_resnet50(paper_net: Geometry) -> None:
    torch.manual_seed(0)
    image_net = torchvision.models.resnet50(num_classes=7).eval()
    unlike_new(image_net)
    net = VideoResNet(NetSpec(), paper_net, 7).eval()
    net.load_state_dict(image_net.state_dict())
    images = clips(2, 3, 64, 64)
    with torch.no_grad():
        expected = image_net(images)
        largest = expected.abs().max().item()
        torch.testing.assert_close(net(images.unsqueeze(2)), expected, rtol=1e-4, atol=1e-4 * largest)
    assert (expected[0] - expected[1]).abs().max() > 0.01 * expected.abs().max()  # the images matter


def test_fold_puts_a_clips_frames_side_by_side_and_unfold_takes_them_back() -> None:
    x = clips(2, 5, 3, 4, 6)
    assert torch.equal(fold(x)[3 + 1], x[1, :, 1])
    assert torch.equal(unfold(fold(x), 3), x)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 2), (7, 2)])
def test_a_folded_convolution_is_conv3d_with_a_1_x_k_x_k_kernel(kernel: int, stride: int) -> None:
    conv, x = SpatialConv(4, 6, kernel, stride).double(), clips(2, 4, 3, 9, 8).double()
    expected = F.conv3d(x, conv.weight.unsqueeze(2), None, (1, stride, stride), (0, kernel // 2, kernel // 2))
    torch.testing.assert_close(unfold(conv(fold(x), 3), 3), expected)


def test_an_inflated_convolution_mixes_frames_of_one_clip_only() -> None:
    conv, x = TemporalConv(4, 6, (3, 3), 2).double(), clips(2, 4, 5, 9, 8).double()
    expected = F.conv3d(x, conv.weight, None, (1, 2, 2), (1, 1, 1))
    torch.testing.assert_close(unfold(conv(fold(x), 5), 5), expected)


def test_the_c2d_stem_strides_in_time_as_a_1_x_k_x_k_kernel_would(paper_net: Geometry) -> None:
    geometry = replace(paper_net, width=4, pool1_kernel=(1, 1, 1), pool1_stride=(1, 1, 1))
    net, x = VideoResNet(NetSpec(), geometry, 7).eval(), clips(2, 3, 7, 16, 16)
    expected = F.conv3d(x, net.conv1.weight.unsqueeze(2), None, (2, 2, 2), (0, 3, 3))
    y, frames = net.stem(x)
    assert frames == 4
    torch.testing.assert_close(unfold(y, 4), expected.div((1 + net.bn1.eps) ** 0.5).relu())


@pytest.mark.parametrize("conv", ["2d", "3x1x1", "3x3x3"])
def test_clips_of_a_batch_do_not_see_each_other(tiny_net: Geometry, conv: Conv) -> None:
    net = VideoResNet(NetSpec(conv=conv, blocks="5-block"), tiny_net, 7).eval()
    unlike_new(net)
    x = clips(2, 3, 4, 16, 16)
    with torch.no_grad():
        both, alone = net(x), torch.cat([net(single[None]) for single in x])
    torch.testing.assert_close(both, alone, rtol=1e-4, atol=1e-4 * both.abs().max().item())


@pytest.mark.parametrize(("conv", "sees"), [("2d", False), ("3x1x1", True), ("3x3x3", True)])
def test_only_3d_convolutions_see_the_direction_of_time(tiny_net: Geometry, conv: Conv, sees: bool) -> None:
    """Non-local blocks compare frames but do not order them: what makes 2e and 2f complementary."""
    net = VideoResNet(NetSpec(conv=conv, blocks="5-block"), tiny_net, 7).eval()
    unlike_new(net)
    x = clips(1, 3, 5, 16, 16)
    with torch.no_grad():
        forwards, backwards = net(x), net(x.flip(2))
    assert torch.allclose(forwards, backwards, rtol=1e-3) != sees


@pytest.mark.parametrize("depth", [50, 101])
@pytest.mark.parametrize("blocks", ["none", "res2", "res3", "res4", "res5", "5-block", "10-block"])
def test_blocks_run_right_after_the_residual_blocks_of_the_sites(
    tiny_net: Geometry, depth: Depth, blocks: str
) -> None:
    spec = NetSpec(depth=depth, blocks=blocks)  # type: ignore[arg-type]
    with torch.device("meta"):
        net = VideoResNet(spec, tiny_net, 7).eval()
        clip = torch.empty(1, 3, 4, 32, 32)
    last: list[tuple[int, int]] = []
    sites: list[tuple[int, int]] = []
    for stage in range(2, 6):
        for i, block in enumerate(net.get_submodule(f"layer{stage - 1}").children()):
            block.register_forward_hook(lambda *_, at=(stage, i): last.append(at))
    for module in net.modules():
        if isinstance(module, NonLocalBlock):
            module.register_forward_hook(lambda *_: sites.append(last[-1]))
    net(clip)
    assert tuple(sites) == spec.sites
    assert len(last) == sum(STAGE_BLOCKS[depth].values())


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
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


@pytest.mark.parametrize("shape", [(3, 4, 16, 16), (1, 4, 4, 16, 16), (1, 4, 16, 16, 3)])
def test_wrong_input_names_expected_and_got(tiny_net: Geometry, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected clips \(B, 3, T, H, W\), got ") as caught:
        VideoResNet(NetSpec(), tiny_net, 7)(torch.zeros(shape))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("zero", [True, False])
def test_zero_residual_makes_a_new_residual_block_its_shortcut(tiny_net: Geometry, zero: bool) -> None:
    net = VideoResNet(NetSpec(conv="3x1x1"), replace(tiny_net, zero_residual=zero), 7)
    block, x = net.layer1[1], clips(2 * 3, 16, 8, 8).relu()
    assert torch.equal(block(x, 3), x) == zero
    scales = {
        name: m.weight.abs().max().item() for name, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)
    }
    assert all((scale == 0) == (zero and name.endswith("bn3")) for name, scale in scales.items())
