"""sum_j ReLU(a_i + b_j) g_j, the concatenation form's sum (Eq. 5), in the faster of two exact orders.

Legend of shapes: nlrepro/nets/__init__.py.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SORTED = 200  # N M / (N + M) from which the sorted order is faster on a CPU core (1.0 times as fast at 157, 4 at 627)


def rectified_sum(a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    """a (S, N), b (S, M), g (S, M, C) -> (S, N, C)."""
    n, m = a.shape[1], b.shape[1]
    return by_sorting(a, b, g) if SORTED * (n + m) < n * m else by_pairs(a, b, g)  # (S, N, C)


def by_pairs(a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    """With all N x M terms: a (S, N), b (S, M), g (S, M, C) -> (S, N, C)."""
    return F.relu(a.unsqueeze(2) + b.unsqueeze(1)) @ g  # (S, N, M) (S, M, C) -> (S, N, C)


def by_sorting(a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    """The same in O((N + M)(C + log M)) time and O((N + M) C) memory, in float32 at least.

    With b in falling order, the terms of i that are not zero are the first k_i, those with b_j > -a_i. So
    y_i = a_i S0(k_i) + S1(k_i), where S0(k) and S1(k) are the sums of the first k of g_j and of b_j g_j.
    """
    dtype = torch.promote_types(g.dtype, torch.float32)
    with torch.autocast(g.device.type, enabled=False):
        order = b.argsort(dim=1, descending=True)  # (S, M)
        b = b.to(dtype).gather(1, order)  # (S, M)
        ordered = g.to(dtype).gather(1, order.unsqueeze(2).expand_as(g))  # (S, M, C)
        s0 = F.pad(ordered.cumsum(1), (0, 0, 1, 0))  # (S, M + 1, C), from the empty sum on
        s1 = F.pad((b.unsqueeze(2) * ordered).cumsum(1), (0, 0, 1, 0))  # (S, M + 1, C)
        a = a.to(dtype)
        k = torch.searchsorted(-b.detach(), a.detach(), right=False)  # (S, N): how many b_j > -a_i
        k = k.unsqueeze(2).expand(-1, -1, g.shape[2])  # (S, N, C)
        y = a.unsqueeze(2) * s0.gather(1, k) + s1.gather(1, k)  # (S, N, C)
    return y.to(g.dtype)
