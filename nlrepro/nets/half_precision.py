"""Float16 computed in float32: by autocast, by `.half()`, or by the type of what is given."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call


def in_float32(
    function: Callable[..., Tensor], *operands: Tensor, low: tuple[torch.dtype, ...] = (torch.float16,)
) -> Tensor:
    """function(*operands), in float32 where they or autocast are of a `low` type; of the type of the first.

    Unscaled scores, and products of three maps, pass float16's 65504 on the way to results that do not.
    bfloat16 has float32's range.
    """
    device = operands[0].device.type
    types = {x.dtype for x in operands}
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        types.add(torch.get_autocast_dtype(device))
    if types.isdisjoint(low):
        return function(*operands)
    with torch.autocast(device, enabled=False):
        wide = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in operands)
        return function(*wide).to(operands[0].dtype)


def widened(module: nn.Module, x: Tensor) -> Tensor:
    """module(x) in the type of x: float16 parameters are widened for it, statistics are the module's own."""
    named = (*module.named_parameters(), *module.named_buffers())
    wide = {name: value.to(x.dtype) for name, value in named if value.dtype == torch.float16 != x.dtype}
    y = functional_call(module, wide, x) if wide else module(x)
    for name, statistic in module.named_buffers():
        if name in wide and module.training:
            statistic.copy_(wide[name])
    return y
