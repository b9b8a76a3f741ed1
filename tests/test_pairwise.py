"""Each pairwise operation against the double loop of Eq. 1, y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j)."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nlrepro.nets import softmax
from nlrepro.nets.forms import Form, concatenation, dot, embedded, forms, gaussian
from nlrepro.nets.rectified import by_pairs, by_sorting
from nlrepro.nets.softmax import ChunkedSoftmaxMean, softmax_mean

Pair = Callable[[Tensor, Tensor], Tensor]


def eq1(theta: Tensor, phi: Tensor, g: Tensor, f: Pair, *, by_sum: bool) -> Tensor:
    """(B, N, K), (B, M, K), (B, M, C) -> (B, N, C), one pair at a time; C(x) is sum_j f or the number of positions j."""
    y = torch.zeros(*theta.shape[:2], g.shape[2], dtype=torch.float64)
    for b in range(len(theta)):
        for i in range(theta.shape[1]):
            weights = [f(theta[b, i], phi[b, j]) for j in range(phi.shape[1])]
            normaliser = sum(weights) if by_sum else phi.shape[1]
            for j, weight in enumerate(weights):
                y[b, i] += weight * g[b, j] / normaliser
    return y


def sets(n: int, m: int, k: int, c: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Random theta, phi, g of two sets."""
    random = torch.Generator().manual_seed(n + m + k + c)
    shapes = (2, n, k), (2, m, k), (2, m, c)
    theta, phi, g = (torch.randn(shape, dtype=torch.float64, generator=random) for shape in shapes)
    return theta * scale, phi * scale, g


# (5, 3, 4, 2): pairs first is cheaper for the dot product; (9, 8, 2, 3): channels first; one position
SIZES = pytest.mark.parametrize("size", [(5, 3, 4, 2), (9, 8, 2, 3), (1, 1, 2, 1)])


def learned(of: Form, k: int) -> list[Tensor]:
    """w_f (2 K,), if the form has one."""
    return [torch.randn(2 * k, dtype=torch.float64, generator=torch.Generator().manual_seed(0))] * of.learns


PAIRS: dict[str, Callable[..., Tensor]] = {  # f of Eq. 2 to 5
    "gaussian": lambda a, b: (a @ b).exp(),
    "embedded": lambda a, b: (a @ b).exp(),
    "dot": lambda a, b: a @ b,
    "concatenation": lambda a, b, w_f: (w_f @ torch.cat([a, b])).relu(),
}
EACH = pytest.mark.parametrize("name", forms())


@EACH
@SIZES
def test_mean_and_weights_of_a_form_are_its_equation(name: str, size: tuple[int, int, int, int]) -> None:
    of, (theta, phi, g) = forms()[name], sets(*size)
    w_f = learned(of, size[2])
    expected = eq1(theta, phi, g, lambda a, b: PAIRS[name](a, b, *w_f), by_sum=of.softmax)
    torch.testing.assert_close(of.mean(theta, phi, g, *w_f), expected)
    torch.testing.assert_close(of.weights(theta, phi, *w_f) @ g, expected)
    torch.testing.assert_close(replace(of, cheaper=None).mean(theta, phi, g, *w_f), expected)


def test_the_forms_are_those_of_the_paper_in_its_order() -> None:
    assert list(forms().values()) == [gaussian, embedded, dot, concatenation]


@pytest.mark.parametrize("size", [(5, 3, 4, 2), (9, 8, 2, 3)])
def test_both_orders_of_the_dot_product_agree(size: tuple[int, int, int, int]) -> None:
    theta, phi, g = sets(*size)
    pairs_first = (theta @ phi.mT) @ g / g.shape[1]
    channels_first = theta @ (phi.mT @ g) / g.shape[1]
    torch.testing.assert_close(pairs_first, channels_first)
    torch.testing.assert_close(dot.mean(theta, phi, g), pairs_first)


def test_each_order_of_the_dot_product_is_taken_where_it_is_cheaper() -> None:
    """Multiply-adds: K C (N + M) channels first, N M (K + C) pairs first."""
    from torch.utils.flop_counter import FlopCounterMode

    for n, m, k, c in ((50, 40, 2, 3), (5, 3, 40, 20)):
        theta, phi, g = (torch.empty(shape, device="meta") for shape in ((2, n, k), (2, m, k), (2, m, c)))
        with FlopCounterMode(display=False) as counter:
            dot.mean(theta, phi, g)
        assert counter.get_total_flops() == 2 * 2 * min(k * c * (n + m), n * m * (k + c))


def test_half_precision_scores_beyond_65504_stay_finite_and_right() -> None:
    theta, phi, g = (x.half() for x in sets(9, 8, 64, 3, scale=100.0))
    assert (theta.double() @ phi.double().mT).abs().max() > 65504
    exact = torch.softmax(theta.double() @ phi.double().mT, 2) @ g.double()
    y = softmax_mean(theta, phi, g)
    assert y.dtype == torch.float16
    assert y.isfinite().all()
    torch.testing.assert_close(y.double(), exact, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("theta", "phi", "g"),
    [
        ((2, 5, 4), (2, 3, 3), (2, 3, 2)),
        ((2, 5, 4), (2, 3, 4), (2, 4, 2)),
        ((1, 5, 4), (2, 3, 4), (2, 3, 2)),
        ((5, 4), (3, 4), (3, 2)),
    ],
)
def test_wrong_shapes_name_expected_and_got(theta: tuple[int, ...], phi: tuple[int, ...], g: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected theta \(S, N, K\).*got") as caught:
        dot.mean(torch.ones(theta), torch.ones(phi), torch.ones(g))
    assert all(str(shape) in str(caught.value) for shape in (theta, phi, g))


def test_wrong_w_f_names_expected_and_got() -> None:
    theta, phi, g = sets(5, 3, 4, 2)
    with pytest.raises(ValueError, match=r"expected w_f of shape \(8,\).*got \(4,\)"):
        concatenation.mean(theta, phi, g, torch.ones(4, dtype=torch.float64))


def scalars(n: int, m: int, c: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random a (2, N), b (2, M), g (2, M, C) that ask for gradients."""
    random = torch.Generator().manual_seed(n)
    a, b, g = (torch.randn(shape, dtype=torch.float64, generator=random) for shape in ((2, n), (2, m), (2, m, c)))
    return a.requires_grad_(), b.requires_grad_(), g.requires_grad_()


@pytest.mark.parametrize("size", [(1, 1, 1), (7, 5, 3), (40, 60, 4)])
def test_the_sorted_order_of_the_rectified_sum_is_exact(size: tuple[int, int, int]) -> None:
    a, b, g = scalars(*size)
    torch.testing.assert_close(by_sorting(a, b, g), by_pairs(a, b, g))


def test_the_sorted_order_has_the_right_gradients() -> None:
    assert torch.autograd.gradcheck(by_sorting, scalars(7, 5, 3))


@pytest.mark.parametrize("shift", [-100.0, 100.0])
def test_the_sorted_order_is_exact_where_no_pair_or_every_pair_counts(shift: float) -> None:
    a, b, g = scalars(7, 5, 3)
    torch.testing.assert_close(by_sorting(a + shift, b, g), by_pairs(a + shift, b, g))


def test_the_sorted_order_is_exact_where_scalars_are_equal() -> None:
    a, b, g = scalars(6, 6, 3)
    a, b = a.detach().round(), b.detach().round()
    torch.testing.assert_close(by_sorting(a, b, g), by_pairs(a, b, g))


def test_float32_sums_of_many_positions_keep_six_digits() -> None:
    a, b, g = scalars(64, 3136, 8)
    exact = by_pairs(a, b, g)
    error = (by_sorting(a.float(), b.float(), g.float()) - exact).abs().max() / exact.abs().max()
    assert error < 1e-6


@pytest.mark.parametrize(("few", "held"), [(0, 1 << 22), (0, 0), (1 << 16, 1 << 22)])  # held, in chunks, by PyTorch
def test_the_gaussian_forms_are_the_same_however_they_are_computed(monkeypatch: pytest.MonkeyPatch, few: int, held: int) -> None:
    theta, phi, g = sets(9, 8, 6, 3)
    monkeypatch.setattr(softmax, "FEW", few)
    monkeypatch.setattr(softmax, "HELD", held)
    monkeypatch.setattr(softmax, "PAIRS", 40)  # two of nine rows of both sets
    torch.testing.assert_close(softmax_mean(theta, phi, g), torch.softmax(theta @ phi.mT, 2) @ g)


@pytest.mark.parametrize("pairs", [1, 40, 1 << 22])
def test_chunks_have_the_right_gradients(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    monkeypatch.setattr(softmax, "PAIRS", pairs)
    tensors = [x.requires_grad_() for x in sets(5, 4, 3, 2)]
    assert torch.autograd.gradcheck(ChunkedSoftmaxMean.apply, tensors)


def test_chunks_compute_in_float32_under_autocast() -> None:
    theta, phi, g = torch.randn(3, 1, 6, 4).unbind()
    theta.requires_grad_()
    plain = ChunkedSoftmaxMean.apply(theta, phi, g)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = ChunkedSoftmaxMean.apply(theta, phi, g)
    torch.testing.assert_close(mixed, plain)
    torch.testing.assert_close(*(torch.autograd.grad(y.sum(), theta)[0] for y in (mixed, plain)))


def test_chunks_of_large_scores_stay_finite() -> None:
    theta, phi, g = sets(9, 8, 64, 3, scale=100.0)
    y = ChunkedSoftmaxMean.apply(theta, phi, g)
    torch.testing.assert_close(y, torch.softmax(theta @ phi.mT, 2) @ g)


def test_scores_meet_the_fused_kernels_in_four_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three are enough on a CPU, but on CUDA they fall back to a kernel that holds all N x M scores."""
    seen: list[int] = []

    def attention(*tensors: Tensor, scale: float) -> Tensor:
        seen.extend(x.ndim for x in tensors)
        return tensors[0]

    monkeypatch.setattr(softmax.F, "scaled_dot_product_attention", attention)
    softmax_mean(*sets(5, 3, 4, 4))
    assert seen == [4, 4, 4]
