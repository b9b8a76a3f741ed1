"""The non-local operation with its four pairwise functions f (section 3.2), and its block (section 3.3).

    y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j)    (Eq. 1)
    z_i = W_z y_i + x_i                      (Eq. 6)

A form is one f with its normalisation C. It has its weights f / C as the paper writes them, and its mean:
Eq. 1 in the cheapest order that gives the same. The weights are for pictures of single positions, for tests,
and for forms without a cheaper order. A form of your own is one function with `@form` in this file.

Departure from the paper: the first values of w_f (`reset_parameters`). "release" is its authors' code:
softmax scores times K^-0.5, subsampling before phi and g, initial weights of standard deviation 0.01.

Legend of shapes: nlrepro/nets/__init__.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import getsource, signature
from textwrap import dedent
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlrepro.config import Architecture
from nlrepro.files import BadInput
from nlrepro.nets.half_precision import in_float32, widened
from nlrepro.spec import Domain, PaperForm

Weights = Callable[..., Tensor]  # theta (S, N, K), phi (S, M, K)[, w_f (2 K,)] -> f / C (S, N, M)
Mean = Callable[..., Tensor]  # theta (S, N, K), phi (S, M, K), g (S, M, C)[, w_f (2 K,)] -> y (S, N, C)

HELD = 1 << 22  # scores of one set that the Gaussian form may hold on a CPU: 16 MiB in float32
SORTED = 200  # N M / (N + M) from which sorting is faster on a CPU core (1.0 times as fast at 157, 4 at 627)


@dataclass(frozen=True, kw_only=True)
class Form:
    """One pairwise function f with its normalisation C."""

    equation: str
    function: Weights
    cheaper: Mean | None  # the same mean in fewer operations or less memory
    embeds: bool  # theta and phi are learned embeddings of x; else both are x itself
    softmax: bool  # C is the sum of f = exp(score), so that weights are positive and sum to 1

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def learns(self) -> bool:
        """Whether f has a learned vector w_f (2 K,), as the concatenation has."""
        return "w_f" in signature(self.function).parameters

    def weights(self, theta: Tensor, phi: Tensor, *w_f: Tensor) -> Tensor:
        """f / C: theta (S, N, K), phi (S, M, K), w_f (2 K,) if f learns it -> (S, N, M)."""
        return in_float32(self.function, theta, phi, *w_f, low=(torch.float16, torch.bfloat16))

    def mean(self, theta: Tensor, phi: Tensor, g: Tensor, *w_f: Tensor) -> Tensor:
        """Eq. 1: theta (S, N, K), phi (S, M, K), g (S, M, C), w_f (2 K,) if f learns it -> y (S, N, C)."""
        return in_float32(self.cheaper or self.written_out, theta, phi, g, *w_f)

    def written_out(self, theta: Tensor, phi: Tensor, g: Tensor, *w_f: Tensor) -> Tensor:
        return self.function(theta, phi, *w_f) @ g  # (S, N, M) (S, M, C) -> (S, N, C)

    def __reduce__(self) -> str:
        """Pickled by name, as functions are; the function in it has lost its name to the form."""
        return self.name


def form(
    equation: str, cheaper: Mean | None = None, *, embeds: bool = True, softmax: bool = False
) -> Callable[[Weights], Form]:
    """Make a form of a function from theta and phi to f / C; its name becomes part of the keys of its runs.

    The source of a form of your own is part of its runs' settings, so records from before an edit are stale.
    Functions and constants that it uses are not looked at: remove the records after an edit there.

    Raises:
        ValueError: there is such a form, or its name has other characters than a-z and 0-9.
    """

    def decorate(weights: Weights) -> Form:
        name = weights.__name__
        if name in forms() or not (name.isascii() and name.isalnum() and name.islower()):
            taken = ", ".join(forms())
            raise ValueError(f"a form needs a new name of a-z and 0-9, other than {taken}; got {name!r}")
        return Form(equation=equation, function=weights, cheaper=cheaper, embeds=embeds, softmax=softmax)

    return decorate


def forms() -> dict[str, Form]:
    """All forms of this file by name, in their order."""
    return {value.name: value for value in globals().values() if isinstance(value, Form)}


def form_source(name: str) -> str:
    """The source text of a form of your own; "" for those of the paper.

    Raises:
        BadInput: there is no such form.
    """
    if name not in forms():
        allowed = ", ".join(forms())
        raise BadInput(f"form must be one of {allowed}, got {name!r}; define it with @form in {__file__}")
    return "" if name in get_args(PaperForm) else dedent(getsource(forms()[name].function))


def softmax_mean(theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
    """softmax(theta phi^T) g: theta (S, N, K), phi (S, M, K), g (S, M, C) -> y (S, N, C).

    PyTorch's fused kernels never hold the N x M scores. The one for the CPU wants g as wide as theta, but the
    Gaussian form compares x itself, twice as wide. Where its scores are too many to be held, zeros are
    appended to g and cut off again; holding them takes 0.6 to 0.7 of the time. On CUDA the flash kernel
    serves widths up to 256, the memory-efficient one all others that are whole multiples of 16 bytes.

    Scores are not divided by sqrt(K), as the paper's text has no scale.
    """
    c = g.shape[2]
    if theta.device.type == "cpu" and theta.shape[1] * phi.shape[1] > HELD:
        width = max(theta.shape[2], c)
        theta, phi, g = (F.pad(x, (0, width - x.shape[2])) for x in (theta, phi, g))  # zeros change no score
    # one head, for CUDA's kernels want (S, 1, N, K), and channels side by side: else N x M scores are held
    theta, phi, g = (x.contiguous().unsqueeze(1) for x in (theta, phi, g))
    return F.scaled_dot_product_attention(theta, phi, g, scale=1.0).squeeze(1)[..., :c]  # (S, N, C)


@form("f = exp(x_i . x_j), C = sum_j f (Eq. 2)", softmax_mean, embeds=False, softmax=True)
def gaussian(theta: Tensor, phi: Tensor) -> Tensor:
    return (theta @ phi.mT).softmax(2)  # (S, N, M)


@form("f = exp(theta_i . phi_j), C = sum_j f (Eq. 3)", softmax_mean, softmax=True)
def embedded(theta: Tensor, phi: Tensor) -> Tensor:
    return (theta @ phi.mT).softmax(2)  # (S, N, M)


def dot_mean(theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
    """The product is associative: theta (phi^T g) costs K C (N + M), (theta phi^T) g costs N M (K + C)."""
    (_, n, k), (_, m, c) = theta.shape, g.shape
    g = g / m  # first, which keeps sums small
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
    n, m = a.shape[1], b.shape[1]
    rectified_sum = sum_by_sorting if SORTED * (n + m) < n * m else sum_by_pairs
    return rectified_sum(a, b, g / m)  # (S, N, C)


def sum_by_pairs(a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    """sum_j ReLU(a_i + b_j) g_j with all N x M terms: a (S, N), b (S, M), g (S, M, C) -> (S, N, C)."""
    return F.relu(a.unsqueeze(2) + b.unsqueeze(1)) @ g  # (S, N, M) (S, M, C) -> (S, N, C)


def sum_by_sorting(a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    """The same in O((N + M)(C + log M)) time and O((N + M) C) memory, in float32 at least.

    With b in falling order, the terms of i that are not zero are the first k_i, those with b_j > -a_i. So
    y_i = a_i S0(k_i) + S1(k_i), where S0(k) and S1(k) are the sums of the first k of g_j and of b_j g_j.
    """
    dtype = torch.promote_types(g.dtype, torch.float32)
    order = b.argsort(dim=1, descending=True)  # (S, M)
    a, b = a.to(dtype), b.to(dtype).gather(1, order)  # (S, N), (S, M)
    ordered = g.to(dtype).gather(1, order.unsqueeze(2).expand_as(g))  # (S, M, C)
    s0 = F.pad(ordered.cumsum(1), (0, 0, 1, 0))  # (S, M + 1, C), from the empty sum on
    s1 = F.pad((b.unsqueeze(2) * ordered).cumsum(1), (0, 0, 1, 0))  # (S, M + 1, C)
    k = torch.searchsorted(-b.detach(), a.detach(), right=False)  # (S, N): how many b_j > -a_i
    k = k.unsqueeze(2).expand(-1, -1, g.shape[2])  # (S, N, C)
    return (a.unsqueeze(2) * s0.gather(1, k) + s1.gather(1, k)).to(g.dtype)  # (S, N, C)


@form("f = ReLU(w_f . [theta_i, phi_j]), C = N (Eq. 5)", concatenation_mean)
def concatenation(theta: Tensor, phi: Tensor, w_f: Tensor) -> Tensor:
    w_theta, w_phi = w_f.chunk(2)  # (K,) both
    a, b = theta @ w_theta, phi @ w_phi  # (S, N), (S, M)
    return F.relu(a.unsqueeze(2) + b.unsqueeze(1)) / phi.shape[1]  # (S, N, M), none negative


class NonLocalBlock(nn.Module):
    """x (B, C, T, H, W) -> z of the same shape; an image (B, C, H, W) is a clip of one frame.

        theta, phi, g: 1x1x1 convolutions C -> K with bias (the Gaussian form compares x itself: only g)
        y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j)
        z = BN(W_z y) + x, W_z a 1x1x1 convolution K -> C

    The BN scale starts at 0, so a new block is the identity and can be put into a trained net. `subsample`
    max-pools phi and g 2x2 in space, which quarters the pairs. `domain` limits j to i's frame ("space") or to
    i's place ("time", never subsampled).

        >>> NonLocalBlock(8, form="gaussian", domain="space")(torch.ones(2, 8, 4, 6, 6)).shape
        torch.Size([2, 8, 4, 6, 6])

    Raises:
        ValueError: no such form or domain, or an odd number of channels.
    """

    def __init__(
        self,
        channels: int,
        form: str = "embedded",
        domain: Domain = "spacetime",
        *,
        subsample: bool = True,
        architecture: Architecture = "text",
    ) -> None:
        super().__init__()
        if channels % 2:
            raise ValueError(f"channels must be even, for the block works on half of them, got {channels}")
        if form not in forms():
            raise ValueError(f"form must be one of {', '.join(forms())}, got {form!r}")
        if domain not in get_args(Domain):
            raise ValueError(f"domain must be one of {', '.join(get_args(Domain))}, got {domain!r}")
        inner = channels // 2
        self.form: Form = forms()[form]
        self.domain, self.release = domain, architecture == "release"
        self.subsample = subsample and domain != "time"
        self.theta = nn.Conv3d(channels, inner, 1) if self.form.embeds else nn.Identity()
        self.phi = nn.Conv3d(channels, inner, 1) if self.form.embeds else nn.Identity()
        self.w_f = nn.Parameter(torch.empty(2 * inner)) if self.form.learns else None
        self.g = nn.Conv3d(channels, inner, 1)
        self.w_z = nn.Conv3d(inner, channels, 1)
        self.bn = nn.BatchNorm3d(channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He initialisation (release: standard deviation 0.01), biases 0, BN scale 0.

        w_f starts as the channels' mean of the embeddings' weights: then the scores of maps that have passed
        a ReLU start above 0. Where all lie below, the ReLU of Eq. 5 passes no gradient, and the block never
        learns; of 12 random w_f on pretrained nets, three began with less than 3 % above 0.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.normal_(module.weight, std=0.01 if self.release else (2 / module.in_channels) ** 0.5)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # every convolution here has a bias
        if self.w_f is not None:
            weights = [self.get_parameter(f"{name}.weight").detach() for name in ("theta", "phi")]
            self.w_f.data.copy_(torch.cat(weights).mean((1, 2, 3, 4)))  # (2 K, C, 1, 1, 1) -> (2 K,)
        nn.init.zeros_(self.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        c = self.g.in_channels
        if x.ndim not in (4, 5) or x.shape[1] != c:
            expected = f"a clip (B, {c}, T, H, W) or an image (B, {c}, H, W)"
            raise ValueError(f"expected {expected}, got {tuple(x.shape)}")
        if x.ndim == 4:
            return self(x.unsqueeze(2)).squeeze(2)  # (B, C, 1, H, W) -> (B, C, H, W)
        return in_float32(self.non_local, x)

    def non_local(self, x: Tensor) -> Tensor:
        """Eq. 6: x (B, C, T, H, W) -> z of the same shape."""
        theta, phi, g = (self.flatten(part) for part in self.project(x))  # (S, N, K), (S, M, K) both
        y = self.unflatten(self.aggregate(theta, phi, g), x)  # (B, K, T, H, W)
        update = widened(self.bn, widened(self.w_z, y))  # (B, C, T, H, W)
        return x + update  # in the memory format of x, which comes first

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """theta, phi and g of all positions: (B, C, T, H, W) -> (B, K, T, H, W) and twice (B, K, T, H', W').

        H' and W' are half of H and W where the block subsamples. Without embeddings theta and phi are x
        itself, of C channels.
        """
        before, after = self.subsample and self.release, self.subsample and not self.release
        keys = pool(x) if before else x  # (B, C, T, H', W') or (B, C, T, H, W)
        theta = widened(self.theta, x)  # (B, K, T, H, W)
        phi, g = widened(self.phi, keys), widened(self.g, keys)  # (B, K, T, H, W), or H', W'
        if after:
            phi, g = pool(phi), pool(g)  # (B, K, T, H', W')
        if self.release and self.form.softmax:
            theta = theta * theta.shape[1] ** -0.5  # (B, K, T, H, W)
        return theta, phi, g

    def aggregate(self, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        """Eq. 1: (S, N, K), (S, M, K), (S, M, K) -> (S, N, K)."""
        return self.form.mean(theta, phi, g, *self.learned)

    def weights(self, theta: Tensor, phi: Tensor) -> Tensor:
        """f(x_i, x_j) / C(x) of some positions i (S, R, K) and all j (S, M, K) -> (S, R, M)."""
        return self.form.weights(theta, phi, *self.learned)

    @property
    def learned(self) -> tuple[Tensor, ...]:
        """What f itself learns: w_f (2 K,) of the concatenation."""
        return () if self.w_f is None else (self.w_f,)

    def flatten(self, x: Tensor) -> Tensor:
        """Positions that are summed over together, side by side: (B, K, T, H, W) -> (S, N, K)."""
        if self.domain == "space":
            return x.permute(0, 2, 3, 4, 1).flatten(2, 3).flatten(0, 1)  # (B T, H W, K)
        if self.domain == "time":
            return x.permute(0, 3, 4, 2, 1).flatten(0, 2)  # (B H W, T, K)
        return x.permute(0, 2, 3, 4, 1).flatten(1, 3)  # (B, T H W, K)

    def unflatten(self, y: Tensor, x: Tensor) -> Tensor:
        """The inverse of `flatten`: (S, N, K) -> (B, K, T, H, W), B, T, H, W those of x."""
        batch, _, frames, height, width = x.shape
        if self.domain == "time":
            return y.view(batch, height, width, frames, y.shape[2]).permute(0, 4, 3, 1, 2)  # (B, K, T, H, W)
        return y.reshape(batch, frames, height, width, y.shape[2]).permute(0, 4, 1, 2, 3)  # (B, K, T, H, W)


def pool(x: Tensor) -> Tensor:
    """2x2 max pooling in space; a side of 1 stays: (B, K, T, H, W) -> (B, K, T, max(H/2, 1), max(W/2, 1))."""
    frames = x.transpose(1, 2).flatten(0, 1)  # (B T, K, H, W)
    pooled = F.max_pool2d(frames, [min(2, side) for side in frames.shape[2:]])  # (B T, K, H/2, W/2)
    return pooled.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)  # (B, K, T, H/2, W/2)
