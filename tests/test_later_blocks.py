"""Each later block against its equation, written out for one position after the other."""

import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.video import r3d_18

from nlrepro import add_nonlocal
from nlrepro.nets.later_blocks import EXTENT, HEADS, SUCCESSORS, Successor
from nlrepro.spec import Insert

Update = Callable[[nn.Module, Tensor], Tensor]  # of one clip (C, T, H, W), as positions (N, C) -> (N, C)
T, H, W = 2, 3, 4
PLACES = [(t, h, w) for t in range(T) for h in range(H) for w in range(W)]


def normed(block: nn.Module, y: Tensor) -> Tensor:
    """BN(W_z y) in evaluation: (N, K) -> (N, C)."""
    bn, out = block.out.bn, block.out.w_z(y)
    return (out - bn.running_mean) / (bn.running_var + bn.eps).sqrt() * bn.weight + bn.bias


def average(scores: list[Tensor], values: Tensor) -> Tensor:
    """The mean of values (N, K) by the softmax of their scores."""
    weights = torch.stack(scores).exp()  # (N,)
    return sum(w * v for w, v in zip(weights / weights.sum(), values, strict=True))


def excitation(block: nn.Module, x: Tensor) -> Tensor:
    gate = torch.sigmoid(block.w_2(F.relu(block.w_1(sum(x) / len(x)))))
    return torch.stack([2 * gate * x_i - x_i for x_i in x])


def simplified(block: nn.Module, x: Tensor) -> Tensor:
    return block.w_v(average([block.w_k(x_j)[0] for x_j in x], x)).expand(len(x), -1)


def context(block: nn.Module, x: Tensor) -> Tensor:
    gathered = average([block.w_k(x_j)[0] for x_j in x], x)
    return block.w_2(F.relu(block.norm(block.w_1(gathered)))).expand(len(x), -1)


def double(block: nn.Module, x: Tensor) -> Tensor:
    maps = block.w_b(x).T  # (n, N)
    gathered = torch.stack([average(list(scores), block.w_a(x)) for scores in maps])  # (n, M)
    return normed(block, torch.stack([average(list(block.w_v(x_i)), gathered) for x_i in x]))


def compact(block: nn.Module, x: Tensor) -> Tensor:
    """f of every two channels of every two positions, theta_a phi_b, summed over b with g_b."""
    theta, phi, g = (part(x).unflatten(1, (block.groups, -1)) for part in (block.theta, block.phi, block.g))
    y = torch.zeros_like(theta)
    for group in range(block.groups):
        values = list(zip(phi[:, group].flatten(), g[:, group].flatten(), strict=True))
        for i in range(len(x)):
            for a in range(theta.shape[2]):
                y[i, group, a] = sum(theta[i, group, a] * phi_b * g_b for phi_b, g_b in values)
    out = block.w_z(y.flatten(1).T.unflatten(1, (T, H, W))[None])  # (1, C, T, H, W)
    return block.norm(out)[0].flatten(1).T


def crisscross(block: nn.Module, x: Tensor) -> Tensor:
    z = x
    for _ in range(2):
        q, k, v, y = block.q(z), block.k(z), block.v(z), []
        for i, place in enumerate(PLACES):
            on_lines = [
                j
                for j, other in enumerate(PLACES)
                if sum(a != b for a, b in zip(place, other, strict=True)) <= 1
            ]
            y.append(average([q[i] @ k[j] for j in on_lines], v[on_lines]))
        z = z + block.gamma * torch.stack(y)
    return z - x


def disentangled(block: nn.Module, x: Tensor) -> Tensor:
    q, k, v = block.q(x), block.k(x), block.v(x)
    q, k = q - sum(q) / len(x), k - sum(k) / len(x)
    shared = average([block.w_m(x_j)[0] for x_j in x], v)
    return normed(block, torch.stack([average([q_i @ k_j for k_j in k], v) + shared for q_i in q]))


def linear(block: nn.Module, x: Tensor) -> Tensor:
    def positive(a: Tensor) -> Tensor:
        return torch.where(a > 0, a, a.exp() - 1) + 1

    q, k, v = positive(block.q(x)), positive(block.k(x)), block.v(x)
    rows = [(q_i @ k.T, q_i) for q_i in q]
    return normed(
        block, torch.stack([sum(w * v_j for w, v_j in zip(f, v, strict=True)) / f.sum() for f, _ in rows])
    )


def relative(block: nn.Module, x: Tensor) -> Tensor:
    heads = []
    for q, k, v in zip(*(part(x).chunk(HEADS, 1) for part in (block.q, block.k, block.v)), strict=True):
        y = []
        for i, place in enumerate(PLACES):
            scores = []
            for j, other in enumerate(PLACES):
                steps = [b - a for a, b in zip(place, other, strict=True)]
                r = sum(
                    block.r[axis, max(1 - EXTENT, min(step, EXTENT - 1)) + EXTENT - 1]
                    for axis, step in enumerate(steps)
                )
                scores.append(q[i] @ (k[j] + r) / math.sqrt(q.shape[1]))
            y.append(average(scores, v))
        heads.append(torch.stack(y))
    return normed(block, torch.cat(heads, 1))


EQUATIONS: dict[str, Update] = {
    "excitation": excitation,
    "simplified": simplified,
    "context": context,
    "double": double,
    "compact": compact,
    "crisscross": crisscross,
    "disentangled": disentangled,
    "linear": linear,
    "relative": relative,
}


def trained(name: str) -> Successor:
    """A block whose parameters and running statistics are random."""
    torch.manual_seed(0)
    block = SUCCESSORS[name](16).double().eval()
    for p in block.parameters():
        nn.init.normal_(p, std=0.3)
    for name, buffer in block.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            nn.init.uniform_(buffer, 0.5, 1.5)
    return block


def test_specs_name_each_block() -> None:
    assert {"nonlocal", "residual", *SUCCESSORS} == {*get_args(Insert)}


@pytest.mark.parametrize("name", SUCCESSORS)
def test_block_is_its_equation(name: str) -> None:
    block, x = trained(name), torch.randn(2, 16, T, H, W, dtype=torch.float64)
    for clip, z in zip(x, block(x), strict=True):  # (C, T, H, W) each
        update = EQUATIONS[name](block, clip.flatten(1).T)  # (N, C)
        torch.testing.assert_close(z, clip + update.T.unflatten(1, (T, H, W)))


@pytest.mark.parametrize("name", SUCCESSORS)
def test_block_starts_as_the_identity_and_every_weight_learns(name: str) -> None:
    """A second step reaches what stands before the number that begins at 0."""
    torch.manual_seed(0)
    block, x = SUCCESSORS[name](32), torch.randn(2, 32, 2, 4, 4)
    torch.testing.assert_close(block(x), x, rtol=0, atol=0)
    optimizer, before = torch.optim.SGD(block.parameters(), 1.0), [p.clone() for p in block.parameters()]
    for _ in range(2):
        optimizer.zero_grad()
        (block(x) * torch.randn_like(x)).sum().backward()
        optimizer.step()
    fixed = [n for (n, p), old in zip(block.named_parameters(), before, strict=True) if torch.equal(p, old)]
    assert [name for name in fixed if not name.endswith("bias")] == []
    assert all(p.isfinite().all() for p in block.parameters())


@pytest.mark.parametrize("name", SUCCESSORS)
def test_blocks_fit_into_nets_of_ones_own(name: str) -> None:
    net, image = resnet18().eval(), torch.randn(1, 3, 64, 64)
    before = net(image)
    assert torch.equal(add_nonlocal(net, "5-block", block=name)(image), before)
    net, clip = r3d_18().eval(), torch.randn(1, 3, 4, 32, 32)
    before = net(clip)
    assert torch.equal(add_nonlocal(net, "res4", block=name)(clip), before)
    with pytest.raises(ValueError, match="has non-local blocks already"):
        add_nonlocal(net, "res4")


def test_an_unknown_block_is_named() -> None:
    with pytest.raises(ValueError, match=r"block must be one of nonlocal, excitation, .*, got 'senet'"):
        add_nonlocal(resnet18(), block="senet")
