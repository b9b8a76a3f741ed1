"""The non-local block, z = W_z y + x (Eq. 6, section 3.3): y is the non-local operation over a clip's positions.

Departures from the paper: none with architecture "text". "release" is its authors' code: softmax scores times K^-0.5,
subsampling before phi and g, initial weights of standard deviation 0.01.

Legend: B clips, C channels, K = C / 2 inner channels, T frames, H x W places; S sets over which the sum runs, N query positions
in each, M key positions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlrepro.nets.convolutions import PointConv
from nlrepro.nets.forms import OWN, concatenation_weights, dot_weights, softmax_weights
from nlrepro.nets.pairwise import concatenation_mean, dot_mean, softmax_mean
from nlrepro.profile import Architecture
from nlrepro.spec import FORMS, Domain


class NonLocalBlock(nn.Module):
    """x (B, C, T, H, W) -> z of the same shape.

        theta, phi, g: 1x1x1 convolutions C -> K with bias (the Gaussian form compares x itself: only g)
        y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j)
        z = BN(W_z y) + x, W_z a 1x1x1 convolution K -> C

    The BN scale starts at 0, so a new block is the identity and can be put into a trained net. `subsample` max-pools phi and g
    2x2 in space, which quarters the pairs. `domain` limits j to i's frame ("space") or to i's place ("time", not subsampled).
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
        if form not in FORMS:
            raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
        inner = channels // 2
        self.form, self.domain, self.release = form, domain, architecture == "release"
        self.subsample = subsample and domain != "time"
        if form != "gaussian":
            self.theta = PointConv(channels, inner)
            self.phi = PointConv(channels, inner)
        if form == "concatenation":
            self.w_f = nn.Parameter(torch.empty(2 * inner))
        self.g = PointConv(channels, inner)
        self.w_z = PointConv(inner, channels)
        self.bn = nn.BatchNorm3d(channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He initialisation (release: standard deviation 0.01), biases 0, BN scale 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.normal_(module.weight, std=0.01 if self.release else (2 / module.in_channels) ** 0.5)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # every convolution here has a bias
        if self.form == "concatenation":
            nn.init.normal_(self.w_f, std=0.01 if self.release else (2 / len(self.w_f)) ** 0.5)
        nn.init.zeros_(self.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        theta, phi, g = self.compared(x)  # (B, K, T, H, W), (B, K, T, H', W') both
        y = self.respond(self.sets(theta), self.sets(phi), self.sets(g))  # (S, N, K)
        return x + self.bn(self.w_z(self.clips(y, g.shape[1], x)))  # (B, C, T, H, W)

    def compared(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """theta, phi and g of all positions: (B, C, T, H, W) -> (B, K, T, H, W) and twice (B, K, T, H', W').

        H' and W' are half of H and W where the block subsamples; the Gaussian form compares x, of C channels, itself.
        """
        if x.ndim != 5 or x.shape[1] != self.g.in_channels:
            raise ValueError(f"expected a clip (B, {self.g.in_channels}, T, H, W), got {tuple(x.shape)}")
        keys = pool(x) if self.subsample and self.release else x  # (B, C, T, H, W) or (B, C, T, H/2, W/2)
        theta, phi = (x, keys) if self.form == "gaussian" else (self.theta(x), self.phi(keys))  # (B, K, T, H, W) both, in text
        g = self.g(keys)  # (B, K, T, H, W)
        if self.subsample and not self.release:
            phi, g = pool(phi), pool(g)  # (B, K, T, H/2, W/2)
        return theta, phi, g

    def respond(self, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        """Eq. 1: (S, N, K), (S, M, K), (S, M, K) -> (S, N, K)."""
        if self.form == "dot":
            return dot_mean(theta, phi, g)
        if self.form == "concatenation":
            return concatenation_mean(theta, phi, g, self.w_f)
        if self.form in OWN:
            return OWN[self.form](theta, phi) @ g  # (S, N, M) (S, M, K) -> (S, N, K)
        return softmax_mean(theta, phi, g, self.scale(theta))

    def weights(self, theta: Tensor, phi: Tensor) -> Tensor:
        """f(x_i, x_j) / C(x), which `respond` never holds: of some positions i (S, R, K) and all j (S, M, K) -> (S, R, M)."""
        if self.form == "dot":
            return dot_weights(theta, phi)
        if self.form == "concatenation":
            return concatenation_weights(theta, phi, self.w_f)
        if self.form in OWN:
            return OWN[self.form](theta, phi)
        return softmax_weights(theta, phi, self.scale(theta))

    def scale(self, theta: Tensor) -> float:
        """Of softmax scores."""
        return theta.shape[2] ** -0.5 if self.release else 1.0

    def sets(self, x: Tensor) -> Tensor:
        """Positions that are summed over together: (B, K, T, H, W) -> (S, N, K)."""
        if self.domain == "space":
            return x.permute(0, 2, 3, 4, 1).flatten(2, 3).flatten(0, 1)  # (B T, H W, K)
        if self.domain == "time":
            return x.permute(0, 3, 4, 2, 1).flatten(0, 2)  # (B H W, T, K)
        return x.permute(0, 2, 3, 4, 1).flatten(1, 3)  # (B, T H W, K)

    def clips(self, y: Tensor, channels: int, x: Tensor) -> Tensor:
        """The inverse of `sets`: (S, N, K) -> (B, K, T, H, W), B, T, H, W those of x."""
        batch, _, frames, height, width = x.shape
        if self.domain == "time":
            return y.view(batch, height, width, frames, channels).permute(0, 4, 3, 1, 2)  # (B, K, T, H, W)
        return y.reshape(batch, frames, height, width, channels).permute(0, 4, 1, 2, 3)  # (B, K, T, H, W)


def pool(x: Tensor) -> Tensor:
    """2x2 max pooling in space, keeping at least one place: (B, K, T, H, W) -> (B, K, T, max(H/2, 1), max(W/2, 1))."""
    frames = x.transpose(1, 2).flatten(0, 1)  # (B T, K, H, W)
    pooled = F.max_pool2d(frames, [min(2, side) for side in frames.shape[2:]])  # (B T, K, H/2, W/2)
    return pooled.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)  # (B, K, T, H/2, W/2)
