"""The global context block against its equation, written out for one position after the other."""

import torch
import torch.nn.functional as F

from nlrepro.nets.global_context import GlobalContextBlock


def test_block_is_the_equation_and_starts_as_the_identity() -> None:
    torch.manual_seed(0)
    block, x = GlobalContextBlock(32).double(), torch.randn(2, 32, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(block(x), x, rtol=0, atol=0)
    torch.nn.init.normal_(block.w_2.weight)
    for clip, z in zip(x, block(x), strict=True):  # (C, T, H, W) each
        positions = clip.flatten(1).T  # (N, C)
        weights = torch.stack([block.w_k(position) for position in positions]).exp()  # (N, 1)
        context = sum(w * p for w, p in zip(weights / weights.sum(), positions, strict=True))  # (C,)
        update = block.w_2(F.relu(block.norm(block.w_1(context))))  # (C,)
        torch.testing.assert_close(z, clip + update[:, None, None, None])
