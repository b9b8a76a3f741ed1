"""Forms and block against Eq. 1 and Eq. 6 written out: double loops over positions in float64."""

import copy
import itertools
import pickle
import re
from collections.abc import Callable
from unittest.mock import Mock

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nlrepro.config import Architecture
from nlrepro.files import BadInput
from nlrepro.nets import nonlocal_block as nl
from nlrepro.nets.nonlocal_block import NonLocalBlock, dot, form_source, forms, gaussian
from nlrepro.spec import Domain, PaperForm

FORMS: tuple[PaperForm, ...] = ("gaussian", "embedded", "dot", "concatenation")
DOMAINS: tuple[Domain, ...] = ("space", "time", "spacetime")
PAIRS: dict[str, Callable[..., Tensor]] = {  # f of Eq. 2 to 5
    "gaussian": lambda a, b: (a @ b).exp(),
    "embedded": lambda a, b: (a @ b).exp(),
    "dot": lambda a, b: a @ b,
    "concatenation": lambda a, b, w_f: (w_f @ torch.cat([a, b])).relu(),
}
each_form = pytest.mark.parametrize("form", FORMS)
BLOCKS = [*itertools.product(FORMS, DOMAINS, (True, False))]
every_block = pytest.mark.parametrize(("form", "domain", "subsample"), BLOCKS)


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# The operation: Eq. 1


def operands(n: int, m: int, k: int, c: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random theta, phi, g of two sets."""
    return random(n, 2, n, k), random(m + 9, 2, m, k), random(c + 99, 2, m, c)


def scalars(n: int, m: int, c: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random a (2, N), b (2, M), g (2, M, C)."""
    return random(n, 2, n), random(m + 9, 2, m), random(c + 99, 2, m, c)


# (5, 3, 4, 2): pairs first is cheaper for the dot product; (9, 8, 2, 3): channels first; one position
@pytest.mark.parametrize("held", [1 << 22, 0])
@each_form
@pytest.mark.parametrize("size", [(5, 3, 4, 2), (9, 8, 2, 3), (1, 1, 2, 1)])
def test_the_cheapest_order_of_a_form_gives_the_mean_with_its_weights(
    monkeypatch: pytest.MonkeyPatch, form: str, size: tuple[int, int, int, int], held: int
) -> None:
    monkeypatch.setattr(nl, "HELD", held)
    theta, phi, g = operands(*size)
    w_f = [random(0, 2 * size[2])] * forms()[form].learns
    expected = forms()[form].weights(theta, phi, *w_f) @ g
    torch.testing.assert_close(forms()[form].mean(theta, phi, g, *w_f), expected)


@pytest.mark.parametrize(("n", "m", "k", "c"), [(50, 40, 2, 3), (5, 3, 40, 20)])
def test_the_dot_product_takes_the_cheaper_order(n: int, m: int, k: int, c: int) -> None:
    """Multiply-adds: K C (N + M) channels first, N M (K + C) pairs first."""
    with FlopCounterMode(display=False) as counter:
        dot.mean(*(x.to("meta") for x in operands(n, m, k, c)))
    assert counter.get_total_flops() == 2 * 2 * min(k * c * (n + m), n * m * (k + c))


@pytest.mark.parametrize("k", [3, 6])
def test_scores_that_are_too_many_are_never_held(monkeypatch: pytest.MonkeyPatch, k: int) -> None:
    """Also where theta is wider than g, as in the Gaussian form; the gradients are the finite differences."""
    monkeypatch.setattr(nl, "HELD", 1)
    tensors = [x.requires_grad_() for x in operands(5, 4, k, 3)]
    assert torch.autograd.gradcheck(nl.softmax_mean, tensors)
    graph, names = [nl.softmax_mean(*tensors).grad_fn], []
    for node in graph:
        graph += [parent for parent, _ in node.next_functions if parent]
        names.append(node.name())
    assert any("FlashAttention" in name for name in names)
    assert not any("Softmax" in name for name in names)


@pytest.mark.parametrize(
    ("order", "tensors"), [(nl.softmax_mean, operands(3, 2, 4, 2)), (nl.sum_by_sorting, scalars(7, 5, 3))]
)
def test_cheaper_orders_are_differentiable_twice(order: nl.Mean, tensors: tuple[Tensor, ...]) -> None:
    inputs = [x.requires_grad_() for x in tensors]
    assert torch.autograd.gradcheck(order, inputs)
    assert torch.autograd.gradgradcheck(order, inputs)


def test_scores_meet_the_fused_kernels_in_four_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three are enough on a CPU, but on CUDA they fall back to a kernel that holds all N x M scores."""
    attention = Mock(side_effect=lambda theta, phi, g, scale: theta)
    monkeypatch.setattr(nl.F, "scaled_dot_product_attention", attention)
    nl.softmax_mean(*operands(5, 3, 4, 4))
    assert [x.ndim for x in attention.call_args.args] == [4, 4, 4]


# as they come, with no pair and with every pair above 0, and with equal scalars
@pytest.mark.parametrize("shift", [0.0, -100.0, 100.0])
@pytest.mark.parametrize("size", [(1, 1, 1), (7, 5, 3), (40, 60, 4)])
def test_the_sorted_order_of_the_rectified_sum_is_exact(size: tuple[int, int, int], shift: float) -> None:
    a, b, g = scalars(*size)
    torch.testing.assert_close(nl.sum_by_sorting(a + shift, b, g), nl.sum_by_pairs(a + shift, b, g))
    a, b = (a + shift).round(), b.round()
    torch.testing.assert_close(nl.sum_by_sorting(a, b, g), nl.sum_by_pairs(a, b, g))


def test_the_sorted_order_keeps_six_digits_of_many_positions_in_float32() -> None:
    a, b, g = scalars(64, 3136, 8)
    exact = nl.sum_by_pairs(a, b, g)
    error = (nl.sum_by_sorting(a.float(), b.float(), g.float()) - exact).abs().max() / exact.abs().max()
    assert error < 1e-6


each_half = pytest.mark.parametrize(
    ("dtype", "autocast"), [*itertools.product((torch.float16, torch.bfloat16), (True, False))]
)


def assert_near(y: Tensor, exact: Tensor) -> None:
    """Within 3 roundings of the largest value (bfloat16: 12), and inf where `exact` is out of y's range."""
    limits = torch.finfo(y.dtype)
    inside = exact.abs() <= limits.max
    roundings = 3 if y.dtype == torch.float16 else 12
    tolerance = roundings * limits.eps * exact.where(inside, 0).abs().max().item()
    torch.testing.assert_close(y[inside].double(), exact[inside], rtol=0, atol=tolerance)
    assert torch.equal(y[~inside], exact[~inside].sign().to(y.dtype) * torch.inf)


# small and middle maps (two orders of `dot`), large ones; 100: dot products pass float16's range
@each_half
@pytest.mark.parametrize("scale", [1, 8, 100])
@pytest.mark.parametrize(
    ("size", "large"), [((40, 30, 64), False), ((300, 80, 16), False), ((300, 80, 16), True)]
)
@each_form
def test_half_precision_is_near_within_its_range_and_inf_beyond(
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    size: tuple[int, int, int],
    large: bool,
    scale: float,
    dtype: torch.dtype,
    autocast: bool,
) -> None:
    if large:
        monkeypatch.setattr(nl, "HELD", 0)
        monkeypatch.setattr(nl, "SORTED", 0)
    of_form, (n, m, k) = forms()[form], size
    tensors = [scale * x for x in operands(n, m, k, k)] + [random(0, 2 * k)] * of_form.learns
    low = [x.to(dtype) for x in tensors]
    given = [x.float() for x in low] if autocast else low
    weights = of_form.weights(*(x.double() for x in (*low[:2], *low[3:])))
    with torch.autocast("cpu", dtype, enabled=autocast):
        y, w = of_form.mean(*given), of_form.weights(*given[:2], *given[3:])
    assert_near(y.to(dtype), weights @ low[2].double())
    assert_near(w.to(dtype), weights)


# Forms of one's own


def named(name: str) -> nl.Weights:
    def weights(theta: Tensor, phi: Tensor) -> Tensor:
        return theta @ phi.mT

    weights.__name__ = name
    return weights


@pytest.mark.parametrize("name", ["dot", "Sig", "a_b", "gauß"])
def test_a_form_has_a_new_name_fit_for_a_key(name: str) -> None:
    words = rf"a form needs a new name of a-z and 0-9, other than gaussian, .*; got '{name}'"
    with pytest.raises(ValueError, match=words):
        nl.form("f")(named(name))


def test_a_form_of_ones_own_has_its_function_for_a_mean_and_its_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @nl.form("f = tanh(theta_i . phi_j), C = N")
    def tanh(theta: Tensor, phi: Tensor) -> Tensor:
        return (theta @ phi.mT).tanh() / phi.shape[1]

    monkeypatch.setattr(nl, "tanh", tanh, raising=False)
    theta, phi, g = operands(5, 3, 4, 2)
    expected = (theta @ phi.mT).tanh() @ g / 3
    block = NonLocalBlock(4, "tanh")
    torch.testing.assert_close(block.form.mean(theta, phi, g), expected)
    assert pickle.loads(pickle.dumps(block)).form is copy.deepcopy(block).form is tanh
    assert form_source("tanh").startswith('@nl.form("f = tanh')
    assert {form_source(name) for name in FORMS} == {""}
    with pytest.raises(BadInput, match=r"form must be one of gaussian, .*, tanh, got 'sigmoid'"):
        form_source("sigmoid")


# The block: Eq. 6


def trained(
    channels: int, form: PaperForm, domain: Domain, subsample: bool, architecture: Architecture = "text"
) -> NonLocalBlock:
    """A block in float64 with no special values: biases, BN scale and statistics are random; in eval mode."""
    block = NonLocalBlock(channels, form, domain, subsample=subsample, architecture=architecture)
    with torch.no_grad():
        for seed, parameter in enumerate(block.double().eval().parameters()):
            parameter.copy_(random(seed, *parameter.shape) * 0.7)
        block.bn.running_mean.copy_(random(90, channels))  # type: ignore[union-attr]
        block.bn.running_var.copy_(random(91, channels).abs() + 0.5)  # type: ignore[union-attr]
    return block


def pooled(x: Tensor) -> Tensor:
    """The maximum of each 2x2 window of (B, K, T, H, W); a side of 1 stays."""
    return F.max_pool3d(x, (1, min(2, x.shape[3]), min(2, x.shape[4])))


def pair(block: NonLocalBlock, a: Tensor, b: Tensor) -> Tensor:
    """f(x_i, x_j) for theta_i = a, phi_j = b; the released code scales what it exponentiates."""
    if block.release and block.form.softmax:
        a = a * len(a) ** -0.5
    return PAIRS[block.form.name](a, b, *block.learned)


def loop(block: NonLocalBlock, x: Tensor, domain: Domain, subsample: bool) -> Tensor:
    """Eq. 1 and 6 for (B, C, T, H, W), one pair at a time; j outside of the domain are left out."""
    subsample = subsample and domain != "time"
    keys = pooled(x) if subsample and block.release else x
    theta, phi = (x, keys) if block.form == gaussian else (block.theta(x), block.phi(keys))
    g = block.g(keys)
    if subsample and not block.release:
        phi, g = pooled(phi), pooled(g)
    y = torch.zeros(*g.shape[:2], *x.shape[2:], dtype=x.dtype)
    for b, t, h, w in itertools.product(*map(range, (len(x), *x.shape[2:]))):
        total, normaliser = torch.zeros(g.shape[1], dtype=x.dtype), torch.zeros((), dtype=x.dtype)
        for u, k, m in itertools.product(*map(range, g.shape[2:])):
            if (domain == "space" and u != t) or (domain == "time" and (k, m) != (h, w)):
                continue
            weight = pair(block, theta[b, :, t, h, w], phi[b, :, u, k, m])
            total = total + weight * g[b, :, u, k, m]
            normaliser = normaliser + (weight if block.form.softmax else 1)
        y[b, :, t, h, w] = total / normaliser
    return x + block.bn(block.w_z(y))


@every_block
@pytest.mark.parametrize("architecture", ["text", "release"])
@pytest.mark.parametrize(
    "size", [(2, 4, 2, 3, 4), (1, 4, 1, 1, 1), (1, 4, 1, 5, 3), (1, 4, 1, 1, 4), (1, 4, 3, 1, 1)]
)
def test_block_is_the_double_loop_and_so_are_its_gradients(
    form: PaperForm, domain: Domain, subsample: bool, architecture: Architecture, size: tuple[int, ...]
) -> None:
    """Also of odd and tiny clips, which lie in channels-last memory here."""
    block = trained(4, form, domain, subsample, architecture)
    layout = torch.contiguous_format if len(x := random(1, *size)) > 1 else torch.channels_last_3d
    x = x.contiguous(memory_format=layout).requires_grad_()
    outputs = block(x), loop(block, x, domain, subsample)
    torch.testing.assert_close(*outputs)
    weight, inputs = random(2, *size), [x, *block.parameters()]
    gradients = (torch.autograd.grad((z * weight).sum(), inputs) for z in outputs)
    for name, a, b in zip(("x", *dict(block.named_parameters())), *gradients, strict=True):
        torch.testing.assert_close(a, b, msg=lambda text, name=name: f"{name}: {text}")


@every_block
def test_gradients_are_the_finite_differences(form: PaperForm, domain: Domain, subsample: bool) -> None:
    block, x = trained(2, form, domain, subsample), random(1, 1, 2, 2, 3, 2).requires_grad_()
    inputs = x, *block.parameters()  # all of which gradcheck moves in place
    assert torch.autograd.gradcheck(lambda x, *parameters: block(x), inputs, fast_mode=True)


@each_form
@pytest.mark.parametrize("training", [True, False])
def test_a_new_block_is_the_identity(form: PaperForm, training: bool) -> None:
    block, x = NonLocalBlock(8, form).train(training), random(1, 2, 8, 2, 4, 4).float()
    assert torch.equal(block(x), x)
    assert block.w_z.weight.abs().max() > 0  # it is the BN scale that is 0: W_z learns once that moves


def test_an_image_is_a_clip_of_one_frame() -> None:
    block, x = trained(4, "embedded", "spacetime", True), random(1, 2, 4, 6, 5)
    torch.testing.assert_close(block(x), block(x.unsqueeze(2)).squeeze(2))


@each_half
@pytest.mark.parametrize("scale", [0.5, 100])
@pytest.mark.parametrize("training", [True, False])
@each_form
def test_half_precision_blocks_are_right_where_scores_and_products_pass_65504(
    form: PaperForm, training: bool, scale: float, dtype: torch.dtype, autocast: bool
) -> None:
    """Judged against float64 of the same weights and x. Softmax of large scores turns on the last digits of
    theta and phi, so that in bfloat16 the embedded form need only be finite there."""
    exact = trained(32, form, "spacetime", True).to(dtype).double().train(training)
    block = copy.deepcopy(exact).to(torch.float32 if autocast else dtype)
    x = (scale * random(1, 2, 32, 2, 4, 4)).to(dtype)
    with torch.autocast("cpu", dtype, enabled=autocast):
        z, expected = block(x), exact(x.double())
    assert z.dtype == dtype
    assert not z.isnan().any()
    if (form, dtype, scale) != ("embedded", torch.bfloat16, 100):
        assert_near(z, expected)
        assert_near(block.bn.running_var.to(dtype), exact.bn.running_var)  # type: ignore[operator,arg-type]


@each_form
def test_a_block_can_be_pickled_and_copied(form: PaperForm) -> None:
    block, x = trained(4, form, "spacetime", True), random(1, 1, 4, 2, 4, 4)
    for twin in (pickle.loads(pickle.dumps(block)), copy.deepcopy(block)):
        assert twin.form is block.form
        assert torch.equal(twin(x), block(x))


@pytest.mark.parametrize("shape", [(2, 6, 2, 4, 4), (4, 2, 4, 4), (2, 4, 4)])
def test_wrong_input_names_expected_and_got(shape: tuple[int, ...]) -> None:
    expected = r"\(B, 4, T, H, W\) or an image \(B, 4, H, W\)"
    with pytest.raises(ValueError, match=rf"expected a clip {expected}, got {re.escape(str(shape))}"):
        NonLocalBlock(4)(torch.ones(shape))
    with pytest.raises(ValueError, match=r"channels must be even.*got 5"):
        NonLocalBlock(5)


def test_new_weights_are_he_in_the_text_and_small_in_the_release() -> None:
    stds = [NonLocalBlock(512, architecture=a).theta.weight.std().item() for a in ("text", "release")]
    assert stds == pytest.approx([(2 / 512) ** 0.5, 0.01], rel=0.02)


@pytest.mark.parametrize("seed", range(20))
def test_scores_of_rectified_maps_start_above_zero_in_the_concatenation(seed: int) -> None:
    """Else its ReLU would pass no gradient; of 20 random w_f some lay wholly below."""
    torch.manual_seed(seed)
    block, x = NonLocalBlock(128, "concatenation"), torch.rand(2, 128, 4, 3, 3)
    theta, phi, _ = map(block.flatten, block.project(x))
    assert (block.weights(theta, phi) > 0).float().mean() > 0.9
