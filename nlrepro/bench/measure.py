"""Seconds and bytes of one block: medians of interleaved runs, and the peak above what the input takes; with what and when."""

import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from nlrepro.train.provenance import processor

ROUNDS = 5
ENOUGH = 15.0  # seconds of timing a block after its warm-up, or one round; a warm-up of more than twice that stands alone


def step(block: nn.Module, inputs: tuple[Tensor, ...], backward: bool) -> None:
    """One forward pass, or one forward and backward pass with the inputs' gradients too, as in the midst of a net."""
    inputs = tuple(x.detach().requires_grad_(backward) for x in inputs)
    with torch.set_grad_enabled(backward):
        z = block(*inputs)
    if backward:
        z.sum().backward()
    if z.is_cuda:
        torch.cuda.synchronize()


def seconds(blocks: Mapping[str, nn.Module], inputs: tuple[Tensor, ...], backward: bool) -> dict[str, float]:
    """Median seconds of a step of each block."""
    return in_turn({name: partial(step, block, inputs, backward) for name, block in blocks.items()})


def in_turn(calls: Mapping[str, Callable[[], object]], enough: float = ENOUGH) -> dict[str, float]:
    """Median seconds of each call, in turn A B C A B C ..., so that a drift of the machine's speed meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(ROUNDS + 1):
        for name, call in calls.items():
            if turn and turn > rounds(times[name][0], enough):
                continue
            begun = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begun)
    return {name: median(taken[1:] or taken) for name, taken in times.items()}  # the first is the warm-up


def rounds(warm_up: float, enough: float = ENOUGH) -> int:
    """How often to time what took `warm_up` seconds the first time."""
    return 0 if warm_up > 2 * enough else min(max(int(enough / warm_up), 1), ROUNDS)


def peak_bytes(build: Callable[[], nn.Module], shape: tuple[int, ...], device: str, backward: bool = True) -> int:
    """Memory that a step takes at its peak, above the block and its input.

    On the CPU in a new process, which finds no freed memory that it could take again unseen; `build` must be picklable.
    """
    if device == "cuda":
        return cuda_peak(build, shape, backward)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nlrepro.bench.blocks"])
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=cpu_peak, args=(build, shape, backward, send))
    child.start()
    send.close()
    try:
        return int(receive.recv())
    finally:
        child.join()


def cpu_peak(build: Callable[[], nn.Module], shape: tuple[int, ...], backward: bool, send: Connection) -> None:
    """Send the growth of this process's largest resident size; Linux counts it in KiB, macOS in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    torch.set_num_threads(1)
    block, x = build(), torch.randn(shape)
    step(block, (x[:, :, :1, :2, :2].contiguous(),), backward)  # what libraries allocate once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step(block, (x,), backward)
    send.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit)
    os._exit(0)


def cuda_peak(build: Callable[[], nn.Module], shape: tuple[int, ...], backward: bool) -> int:
    block, x = build().cuda(), torch.randn(shape, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step(block, (x,), backward)
    return torch.cuda.max_memory_allocated() - before


def source(rivals: Path | None, device: str, with_what: str) -> str:
    """When, where and with what a bench was run; `with_what` tells versions and precision."""
    found = {path.name: commit(path) for path in sorted(rivals.iterdir())} if rivals else {}
    public = ", ".join(f"{name} at {at}" for name, at in found.items() if at) or "no public code"
    place = torch.cuda.get_device_name() if device == "cuda" else f"{processor()}, 1 thread of {os.cpu_count()} cores"
    return f"{datetime.now(UTC):%Y-%m-%d}; {place}; {with_what}; ours at {commit(Path())}; {public}."


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()}-1thread"


def commit(checkout: Path) -> str:
    told = subprocess.run(["git", "-C", checkout, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip()
