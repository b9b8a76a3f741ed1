"""The block against Eq. 6 written out: z_i = BN(W_z y_i) + x_i, y_i a double loop over positions in float64."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from nlrepro.config import Architecture
from nlrepro.nets.block import NonLocalBlock
from nlrepro.spec import Domain, PaperForm

FORMS: tuple[PaperForm, ...] = ("gaussian", "embedded", "dot", "concatenation")
DOMAINS: tuple[Domain, ...] = ("space", "time", "spacetime")
every_block = pytest.mark.parametrize(
    ("form", "domain", "subsample"),
    [(f, d, s) for f, d, s in itertools.product(FORMS, DOMAINS, (True, False)) if not (d == "time" and s)],
)


def trained(
    channels: int, form: PaperForm, domain: Domain, subsample: bool, architecture: Architecture = "text"
) -> NonLocalBlock:
    """A block in float64 with no special values: biases, BN scale and BN statistics are random; BN in eval mode."""
    random = torch.Generator().manual_seed(0)
    block = NonLocalBlock(channels, form, domain, subsample=subsample, architecture=architecture).double().eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random) * 0.7)
        block.bn.running_mean.copy_(torch.randn(channels, generator=random))  # type: ignore[union-attr]
        block.bn.running_var.copy_(torch.rand(channels, generator=random) + 0.5)  # type: ignore[union-attr]
    return block


def clip(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def conv(layer: nn.Module, x: Tensor) -> Tensor:
    """A 1x1x1 convolution of (C, T, H, W) as the matrix product that it is."""
    return torch.einsum("oc,cthw->othw", layer.weight[:, :, 0, 0, 0], x) + layer.bias[:, None, None, None]  # type: ignore[index]


def pooled(x: Tensor) -> Tensor:
    """The maximum of each 2x2 window of (K, T, H, W), one window at a time; a side of 1 stays."""
    _, frames, height, width = x.shape
    step_h, step_w = min(2, height), min(2, width)
    y = torch.empty(x.shape[0], frames, height // step_h, width // step_w, dtype=x.dtype)
    for h, w in itertools.product(range(y.shape[2]), range(y.shape[3])):
        y[:, :, h, w] = x[:, :, step_h * h : step_h * (h + 1), step_w * w : step_w * (w + 1)].amax((2, 3))
    return y


def pair(block: NonLocalBlock, a: Tensor, b: Tensor) -> Tensor:
    """f(x_i, x_j) of section 3.2 for theta_i = a, phi_j = b; the released code scales what it exponentiates."""
    if block.form.name == "dot":
        return a @ b
    if block.w_f is not None:
        return (block.w_f @ torch.cat([a, b])).relu()
    return (a @ b * (len(a) ** -0.5 if block.release else 1)).exp()


def loop(block: NonLocalBlock, x: Tensor, domain: Domain, subsample: bool) -> Tensor:
    """Eq. 1 and 6 for (B, C, T, H, W); j runs over all (subsampled) positions, those outside of the domain are left out."""
    clips = []
    for single in x:
        keys = pooled(single) if subsample and block.release else single
        theta, phi = (single, keys) if block.form.name == "gaussian" else (conv(block.theta, single), conv(block.phi, keys))
        g = conv(block.g, keys)
        if subsample and not block.release:
            phi, g = pooled(phi), pooled(g)
        y = torch.zeros(g.shape[0], *single.shape[1:], dtype=x.dtype)
        for t, h, w in itertools.product(*map(range, single.shape[1:])):
            total, normaliser = torch.zeros(g.shape[0], dtype=x.dtype), torch.zeros((), dtype=x.dtype)
            for u, k, m in itertools.product(*map(range, g.shape[1:])):
                if (domain == "space" and u != t) or (domain == "time" and (k, m) != (h, w)):
                    continue
                weight = pair(block, theta[:, t, h, w], phi[:, u, k, m])
                total = total + weight * g[:, u, k, m]
                normaliser = normaliser + (weight if block.form.name in ("gaussian", "embedded") else 1)
            y[:, t, h, w] = total / normaliser
        bn = block.bn
        scale = (bn.weight / (bn.running_var + bn.eps).sqrt())[:, None, None, None]  # type: ignore[operator]
        clips.append(single + scale * (conv(block.w_z, y) - bn.running_mean[:, None, None, None]) + bn.bias[:, None, None, None])  # type: ignore[index]
    return torch.stack(clips)


@every_block
@pytest.mark.parametrize("architecture", ["text", "release"])
def test_block_is_the_double_loop_and_so_are_its_gradients(
    form: PaperForm, domain: Domain, subsample: bool, architecture: Architecture
) -> None:
    block = trained(4, form, domain, subsample, architecture)
    x = clip(2, 4, 2, 3, 4).requires_grad_()
    ours, expected = block(x), loop(block, x, domain, subsample)
    torch.testing.assert_close(ours, expected)
    weight = torch.randn(ours.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    inputs = [x, *block.parameters()]
    gradients = (torch.autograd.grad((z * weight).sum(), inputs) for z in (ours, expected))
    for name, a, b in zip(("x", *dict(block.named_parameters())), *gradients, strict=True):
        assert b.abs().max() > 0, name  # phi.bias of the embedded form, to which the softmax is blind, has rounding errors
        torch.testing.assert_close(a, b, msg=lambda text, name=name: f"{name}: {text}")


@every_block
def test_gradients_are_the_finite_differences(form: PaperForm, domain: Domain, subsample: bool) -> None:
    block = trained(2, form, domain, subsample)
    parameters = dict(block.named_parameters())

    def forward(x: Tensor, *values: Tensor) -> Tensor:
        state = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(block, state, x)

    values = [p.detach().clone().requires_grad_() for p in parameters.values()]
    assert torch.autograd.gradcheck(forward, (clip(1, 2, 2, 3, 2).requires_grad_(), *values))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("training", [True, False])
def test_a_new_block_is_the_identity(form: PaperForm, training: bool) -> None:
    block = NonLocalBlock(8, form).train(training)
    x = clip(2, 8, 2, 4, 4).float()
    torch.testing.assert_close(block(x), x, rtol=0, atol=0)
    assert block.w_z.weight.abs().max() > 0  # it is the BN scale that is zero: W_z learns as soon as the scale moves


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("domain", ["space", "time"])
def test_space_and_time_are_spacetime_of_one_frame_and_of_one_place(form: PaperForm, domain: Domain) -> None:
    limited, free = (trained(4, form, d, False) for d in (domain, "spacetime"))
    free.load_state_dict(limited.state_dict())
    x = clip(2, 4, 3, 4, 5)
    parts = x.split(1, 2) if domain == "space" else [column for row in x.split(1, 3) for column in row.split(1, 4)]
    whole = limited(x)
    pieces = whole.split(1, 2) if domain == "space" else [column for row in whole.split(1, 3) for column in row.split(1, 4)]
    for part, piece in zip(parts, pieces, strict=True):
        torch.testing.assert_close(free(part), piece)
    assert not torch.allclose(whole, free(x))


@every_block
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (1, 1, 4), (5, 1, 1)])
def test_odd_and_tiny_clips_work(form: PaperForm, domain: Domain, subsample: bool, shape: tuple[int, int, int]) -> None:
    block = trained(2, form, domain, subsample)
    x = clip(1, 2, *shape)
    if shape == (3, 5, 7):  # 11,025 pairs are many for the loop: its first frame alone
        assert block(x).shape == x.shape
        x = x[:, :, :1]
    torch.testing.assert_close(block(x), loop(block, x, domain, subsample))


@pytest.mark.parametrize("form", FORMS)
def test_time_only_is_not_subsampled(form: PaperForm) -> None:
    block, x = trained(4, form, "time", True), clip(1, 4, 3, 4, 4)
    torch.testing.assert_close(block(x), loop(block, x, "time", False))


@pytest.mark.parametrize("form", ["gaussian", "embedded"])
def test_half_precision_block_is_finite_where_scores_pass_65504(form: PaperForm) -> None:
    block = trained(32, form, "spacetime", True).float()
    x = 100 * clip(1, 32, 2, 4, 4).float()
    assert (x.flatten(2).mT @ x.flatten(2)).max() > 65504
    with torch.autocast("cpu", torch.float16):
        z = block(x)
    assert z.isfinite().all()
    torch.testing.assert_close(z.float(), block(x), rtol=0.02, atol=2.0)


def test_memory_layout_does_not_matter() -> None:
    x = clip(2, 4, 2, 4, 4)
    for domain in DOMAINS:
        block = trained(4, "embedded", domain, True)
        torch.testing.assert_close(block(x.contiguous(memory_format=torch.channels_last_3d)), block(x))


@pytest.mark.parametrize("shape", [(2, 6, 2, 4, 4), (4, 2, 4, 4), (2, 4, 4)])
def test_wrong_input_names_expected_and_got(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected a clip \(B, 4, T, H, W\) or an image \(B, 4, H, W\), got ") as caught:
        NonLocalBlock(4)(torch.ones(shape))
    assert str(shape) in str(caught.value)


def test_new_weights_are_he_in_the_text_and_small_in_the_release() -> None:
    stds = [NonLocalBlock(512, architecture=a).theta.weight.std().item() for a in ("text", "release")]
    assert stds == pytest.approx([(2 / 512) ** 0.5, 0.01], rel=0.02)


def test_odd_channels_name_what_they_got() -> None:
    with pytest.raises(ValueError, match=r"even.*got 5"):
        NonLocalBlock(5)


@pytest.mark.parametrize(
    ("channels", "embedded", "gaussian"),
    [(256, 132_224, 66_432), (512, 526_592, 263_936), (1024, 2_101_760, 1_052_160), (2048, 8_397_824, 4_201_472)],
)
def test_parameter_counts(channels: int, embedded: int, gaussian: int) -> None:
    counts = {}
    for form in FORMS:
        with torch.device("meta"):
            counts[form] = sum(p.numel() for p in NonLocalBlock(channels, form).parameters())
    assert counts == {"embedded": embedded, "dot": embedded, "gaussian": gaussian, "concatenation": embedded + channels}
