"""The pairwise functions f of the non-local operation (section 3.2), each one object; a form of your own stands with them.

    y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j)    (Eq. 1)

A form has its equation, its weights f / C as they are written, and its mean: Eq. 1 in the cheapest order that gives the same.
The weights are for pictures of single positions, for tests, and for forms that have no cheaper order.

Legend of shapes: nlrepro/nets/__init__.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import getsource, signature
from textwrap import dedent

import torch.nn.functional as F
from torch import Tensor

from nlrepro.nets.rectified import rectified_sum
from nlrepro.nets.softmax import softmax_mean

Weights = Callable[..., Tensor]  # theta (S, N, K), phi (S, M, K)[, w_f (2 K,)] -> f / C (S, N, M)
Mean = Callable[..., Tensor]  # theta (S, N, K), phi (S, M, K), g (S, M, C)[, w_f (2 K,)] -> y (S, N, C)


@dataclass(frozen=True, kw_only=True)
class Form:
    """One pairwise function f with its normalisation C."""

    equation: str
    weights: Weights
    cheaper: Mean | None  # the same mean in fewer operations or less memory
    embeds: bool  # theta and phi are learned embeddings of x; else both are x itself
    softmax: bool  # C is the sum of f = exp(score), so that weights are positive and sum to 1

    @property
    def name(self) -> str:
        return self.weights.__name__

    @property
    def learns(self) -> bool:
        """Whether f has a learned vector w_f (2 K,), as the concatenation has."""
        return "w_f" in signature(self.weights).parameters

    @property
    def source(self) -> str:
        return dedent(getsource(self.weights))

    def mean(self, theta: Tensor, phi: Tensor, g: Tensor, *w_f: Tensor) -> Tensor:
        """Eq. 1: theta (S, N, K), phi (S, M, K), g (S, M, C), and w_f (2 K,) if f learns it -> y (S, N, C).

        Raises:
            ValueError: the shapes are others.
        """
        check_shapes(theta, phi, g, *w_f)
        return self.cheaper(theta, phi, g, *w_f) if self.cheaper else self.weights(theta, phi, *w_f) @ g  # (S, N, C)


def form(equation: str, cheaper: Mean | None = None, *, embeds: bool = True, softmax: bool = False) -> Callable[[Weights], Form]:
    """Make a function from theta and phi to f / C a form of the function's name, which becomes part of the keys of its runs.

    The source of a form of your own becomes part of its runs' settings, so that records from before an edit are stale. What the
    function uses besides (constants, other functions) is not looked at: remove the records after an edit there.

    Raises:
        ValueError: there is such a form, its name has other characters than a-z and 0-9, or its source cannot be read.
    """

    def added(weights: Weights) -> Form:
        made = Form(equation=equation, weights=weights, cheaper=cheaper, embeds=embeds, softmax=softmax)
        known = forms()
        try:
            name, _ = made.name, made.source
        except (OSError, TypeError, AttributeError):
            raise ValueError(f"a form is a function in a file, got {weights!r}") from None
        if name in known or not (name.isascii() and name.isalnum() and name.islower()):
            raise ValueError(f"a form needs a new name of a-z and 0-9, other than {', '.join(known)}; got {name!r}")
        return made

    return added


def forms() -> dict[str, Form]:
    """All forms of this file by name, in their order."""
    return {found.name: found for found in globals().values() if isinstance(found, Form)}


def check_shapes(theta: Tensor, phi: Tensor, g: Tensor, *w_f: Tensor) -> None:
    """
    Raises:
        ValueError: the shapes are not (S, N, K), (S, M, K), (S, M, C), (2 K,).
    """
    shapes = tuple(theta.shape), tuple(phi.shape), tuple(g.shape)
    fits = theta.ndim == phi.ndim == g.ndim == 3 and theta.shape[0] == phi.shape[0] == g.shape[0]
    if not (fits and theta.shape[2] == phi.shape[2] and phi.shape[1] == g.shape[1]):
        raise ValueError(f"expected theta (S, N, K), phi (S, M, K), g (S, M, C), got {shapes[0]}, {shapes[1]}, {shapes[2]}")
    for w in w_f:
        if w.shape != (2 * theta.shape[2],):
            raise ValueError(f"expected w_f of shape ({2 * theta.shape[2]},), twice the channels of theta, got {tuple(w.shape)}")


@form("f = exp(x_i . x_j), C = sum_j f (Eq. 2)", softmax_mean, embeds=False, softmax=True)
def gaussian(theta: Tensor, phi: Tensor) -> Tensor:
    return (theta @ phi.mT).softmax(2)  # (S, N, M)


@form("f = exp(theta_i . phi_j), C = sum_j f (Eq. 3)", softmax_mean, softmax=True)
def embedded(theta: Tensor, phi: Tensor) -> Tensor:
    return (theta @ phi.mT).softmax(2)  # (S, N, M)


def dot_mean(theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
    """The product of three matrices is associative: theta (phi^T g) costs K C (N + M), (theta phi^T) g costs N M (K + C)."""
    (_, n, k), (_, m, c) = theta.shape, g.shape
    g = g / m  # dividing first keeps half-precision sums small
    if k * c * (n + m) < n * m * (k + c):
        return theta @ (phi.mT @ g)  # (S, N, K) (S, K, C) -> (S, N, C)
    return (theta @ phi.mT) @ g  # (S, N, M) (S, M, C) -> (S, N, C)


@form("f = theta_i . phi_j, C = N (Eq. 4)", dot_mean)
def dot(theta: Tensor, phi: Tensor) -> Tensor:
    return theta @ phi.mT / phi.shape[1]  # (S, N, M), of either sign


def concatenation_mean(theta: Tensor, phi: Tensor, g: Tensor, w_f: Tensor) -> Tensor:
    """w_f . [theta_i, phi_j] = a_i + b_j: two scalars a position, never the N x M x 2 K concatenation."""
    w_theta, w_phi = w_f.unsqueeze(1).chunk(2)  # (K, 1) both
    a, b = (theta @ w_theta).squeeze(2), (phi @ w_phi).squeeze(2)  # (S, N), (S, M)
    return rectified_sum(a, b, g / g.shape[1])  # (S, N, C)


@form("f = ReLU(w_f . [theta_i, phi_j]), C = N (Eq. 5)", concatenation_mean)
def concatenation(theta: Tensor, phi: Tensor, w_f: Tensor) -> Tensor:
    w_theta, w_phi = w_f.chunk(2)  # (K,) both
    a, b = theta @ w_theta, phi @ w_phi  # (S, N), (S, M)
    return F.relu(a.unsqueeze(2) + b.unsqueeze(1)) / phi.shape[1]  # (S, N, M), none negative
