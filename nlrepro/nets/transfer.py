"""Weights from one net to another: a parent's to a child's, 2D kernels inflated to 3D ones."""

import torch
from torch import Tensor, nn


def inflate(weight: Tensor, shape: torch.Size) -> Tensor:
    """A 2D kernel (C', C, k, k) as a 3D one (C', C, t, k, k), each of the t planes 1/t of it.

    On a clip of one repeated frame the inflated convolution gives what the 2D one gives (section 4, "I3D").
    """
    return weight.unsqueeze(2).expand(shape) / shape[2]


def start_from(child: nn.Module, parent: dict[str, Tensor]) -> list[str]:
    """Copy into `child` what fits of a parent's state; the names that keep their initial values are returned.

    The classifier `fc` is copied only if it has as many classes; non-local blocks only if the parent has them.

    Raises:
        ValueError: a parent's tensor has a shape that neither fits nor can be inflated.
    """
    state = child.state_dict()
    fresh = []
    for name, tensor in state.items():
        source = parent.get(name)
        if source is None or (name.startswith("fc.") and source.shape != tensor.shape):
            fresh.append(name)
            continue
        if tensor.ndim == 5 and source.shape == (*tensor.shape[:2], *tensor.shape[3:]):
            source = inflate(source, tensor.shape)
        if source.shape != tensor.shape:
            raise ValueError(f"{name}: expected the shape {tuple(tensor.shape)}, the parent has {tuple(source.shape)}")
        state[name] = source
    child.load_state_dict(state)
    return fresh
