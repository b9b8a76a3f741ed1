"""The global context block of GCNet (Cao et al., 2019, arXiv:1904.11492, section 4.3)."""

import torch.nn.functional as F
from torch import Tensor, nn

RATIO = 16  # of the channels to those of the bottleneck, as in GCNet


class GlobalContextBlock(nn.Module):
    """x (B, C, T, H, W) -> z of the same shape, z_i = x_i + W_2 ReLU(LN(W_1 sum_j softmax_j(w_k . x_j) x_j)).

    The sum does not depend on i: all positions get the same vector. A new block is the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // RATIO, 1)
        self.w_k = nn.Linear(channels, 1)
        self.w_1, self.w_2 = nn.Linear(channels, inner), nn.Linear(inner, channels)
        self.norm = nn.LayerNorm(inner)
        nn.init.zeros_(self.w_2.weight)
        nn.init.zeros_(self.w_2.bias)

    def forward(self, x: Tensor) -> Tensor:
        positions = x.flatten(2).mT  # (B, N, C)
        context = (self.w_k(positions).softmax(1) * positions).sum(1)  # (B, C)
        update: Tensor = self.w_2(F.relu(self.norm(self.w_1(context))))  # (B, C)
        return x + update[:, :, None, None, None]
