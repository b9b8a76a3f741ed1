"""Which GPU each of several runs at once computes on: the one that the fewest others are on."""

import os
from collections.abc import Collection

import torch

VISIBLE = "CUDA_VISIBLE_DEVICES"


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA names them. The driver is asked; CUDA is not started."""
    count, named = torch.cuda.device_count(), os.environ.get(VISIBLE)
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


def freest(found: list[str], taken: Collection[str | None]) -> str | None:
    """The GPU that the fewest runs have taken, the first of several such; None without a GPU."""
    return min(found, key=list(taken).count, default=None)


def keep_to(gpu: str | None) -> None:
    """Let this process see one GPU only. Call it before anything starts CUDA."""
    if gpu is not None:
        os.environ[VISIBLE] = gpu
