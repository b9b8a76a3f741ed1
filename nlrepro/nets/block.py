"""The non-local block, z = W_z y + x (Eq. 6, section 3.3): y is the non-local operation (forms.py) over a clip's positions.

Departures from the paper: none with architecture "text". "release" is its authors' code: softmax scores times K^-0.5,
subsampling before phi and g, initial weights of standard deviation 0.01.

Legend of shapes: nlrepro/nets/__init__.py.
"""

from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlrepro.config import Architecture
from nlrepro.nets.forms import Form, forms
from nlrepro.spec import Domain


class NonLocalBlock(nn.Module):
    """x (B, C, T, H, W) -> z of the same shape; an image (B, C, H, W) is a clip of one frame.

        theta, phi, g: 1x1x1 convolutions C -> K with bias (the Gaussian form compares x itself: only g)
        y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j)
        z = BN(W_z y) + x, W_z a 1x1x1 convolution K -> C

    The BN scale starts at 0, so a new block is the identity and can be put into a trained net. `subsample` max-pools phi and g
    2x2 in space, which quarters the pairs. `domain` limits j to i's frame ("space") or to i's place ("time", not subsampled).

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
        """He initialisation (release: standard deviation 0.01), biases 0, BN scale 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.normal_(module.weight, std=0.01 if self.release else (2 / module.in_channels) ** 0.5)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # every convolution here has a bias
        if self.w_f is not None:
            nn.init.normal_(self.w_f, std=0.01 if self.release else (2 / len(self.w_f)) ** 0.5)
        nn.init.zeros_(self.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        c = self.g.in_channels
        if x.ndim not in (4, 5) or x.shape[1] != c:
            raise ValueError(f"expected a clip (B, {c}, T, H, W) or an image (B, {c}, H, W), got {tuple(x.shape)}")
        if x.ndim == 4:
            return self(x.unsqueeze(2)).squeeze(2)  # (B, C, 1, H, W) -> (B, C, H, W)
        theta, phi, g = (self.flatten(part) for part in self.project(x))  # (S, N, K), (S, M, K) both
        y = self.unflatten(self.aggregate(theta, phi, g), x)  # (B, K, T, H, W)
        return x + self.bn(self.w_z(y))  # (B, C, T, H, W), in the memory format of x, which comes first

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """theta, phi and g of all positions: (B, C, T, H, W) -> (B, K, T, H, W) and twice (B, K, T, H', W').

        H' and W' are half of H and W where the block subsamples. Without embeddings theta and phi are x itself, of C channels.
        """
        before, after = self.subsample and self.release, self.subsample and not self.release
        keys = pool(x) if before else x  # (B, C, T, H', W') or (B, C, T, H, W)
        theta, phi, g = self.theta(x), self.phi(keys), self.g(keys)  # (B, K, T, H, W); of keys likewise
        if after:
            phi, g = pool(phi), pool(g)  # (B, K, T, H', W')
        if self.release and self.form.softmax:
            theta = theta * theta.shape[1] ** -0.5  # (B, K, T, H, W)
        return theta, phi, g

    def aggregate(self, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        """Eq. 1: (S, N, K), (S, M, K), (S, M, K) -> (S, N, K)."""
        return self.form.mean(theta, phi, g, *self.learned)

    def weights(self, theta: Tensor, phi: Tensor) -> Tensor:
        """f(x_i, x_j) / C(x), which `aggregate` need not hold: of some positions i (S, R, K) and all j (S, M, K) -> (S, R, M)."""
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
    """2x2 max pooling in space, keeping at least one place: (B, K, T, H, W) -> (B, K, T, max(H/2, 1), max(W/2, 1))."""
    frames = x.transpose(1, 2).flatten(0, 1)  # (B T, K, H, W)
    pooled = F.max_pool2d(frames, [min(2, side) for side in frames.shape[2:]])  # (B T, K, H/2, W/2)
    return pooled.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)  # (B, K, T, H/2, W/2)
