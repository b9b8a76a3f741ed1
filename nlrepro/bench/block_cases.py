"""The bench of blocks: which sizes, what is measured at each, and how it is written."""

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import torch

from nlrepro.bench.blocks import Operation, build, subjects
from nlrepro.bench.measure import device_name, peak_bytes, seconds, source, step
from nlrepro.bench.report import ORDERS, write
from nlrepro.spec import PaperForm

# Table 1: what a block sees in each stage, (C, T, H, W), for 32-frame clips; 128-frame clips have 4 times as many frames
STAGES = {"res2": (256, 8, 56, 56), "res3": (512, 4, 28, 28), "res4": (1024, 4, 14, 14), "res5": (2048, 4, 7, 7)}
LIMIT = 6 << 30  # bytes that the largest tensor of a block may take; larger cases are told as not measured


def cases() -> Iterator[tuple[str, int, tuple[int, ...]]]:
    for frames in (32, 128):
        for stage, (c, t, h, w) in STAGES.items():
            yield stage, frames, (1, c, t * frames // 32, h, w)


def largest(name: str, form: PaperForm, shape: tuple[int, ...]) -> int:
    """Bytes in float32 of the N x M scores, of which a training step holds about four, or of all concatenated pairs."""
    _, c, t, h, w = shape
    pairs = t * h * w * t * (h // 2) * (w // 2)
    if name in ("ours", "ours, release", "linear"):
        return 0
    return 4 * pairs * (c if form == "concatenation" and name != "direct" else 4)


def works(name: str, form: PaperForm, block: torch.nn.Module) -> bool:
    """Whether a block can be trained at all; mmcv's concatenation form cannot, for it divides in place what ReLU keeps."""
    device = next(block.parameters()).device
    x = torch.randn(1, next(p for p in block.parameters() if p.ndim == 5).shape[1], 1, 4, 4, device=device)
    try:
        step(block, (x,), backward=True)
    except RuntimeError as error:
        print(f"{name}, {form}: skipped, {str(error).splitlines()[0][:100]}", file=sys.stderr)
        return False
    return True


def lines(where: dict[str, Any], forward: dict[str, float], both: dict[str, float]) -> list[dict[str, Any]]:
    """A line a block: milliseconds, and as multiples of ours."""
    return [
        {
            **where,
            "block": name,
            "forward_ms": 1e3 * forward[name],
            "train_ms": 1e3 * both[name],
            "forward_ratio": forward[name] / forward["ours"],
            "train_ratio": both[name] / both["ours"],
        }
        for name in forward
    ]


def measured(
    form: PaperForm, stage: str, frames: int, shape: tuple[int, ...], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    builds = {n: b for n, b in subjects(arguments.rivals, form) if largest(n, form, shape) < LIMIT}
    x = torch.randn(shape, device=arguments.device)
    blocks = {name: build(shape[1]).to(arguments.device) for name, build in builds.items()}
    blocks = {name: block for name, block in blocks.items() if works(name, form, block)}
    where = {"part": "block", "form": form, "stage": stage, "frames": frames, "positions": x[0, 0].numel()}
    rows = lines(where, seconds(blocks, (x,), backward=False), seconds(blocks, (x,), backward=True))
    peaks = {name: peak(arguments.rivals, form, name, shape, arguments.device) for name in blocks}
    return [row | {"peak_mib": peaks[row["block"]]} for row in rows]


def peak(rivals: Path | None, form: PaperForm, name: str, shape: tuple[int, ...], device: str) -> float:
    """MiB of a training step."""
    return peak_bytes(partial(build, rivals, form, name, shape[1]), shape, device) / 2**20


def operations(form: PaperForm, stage: str, frames: int, shape: tuple[int, ...], device: str) -> list[dict[str, Any]]:
    """The same for Eq. 1 alone, in our order, directly and linearly."""
    _, c, t, h, w = shape
    n, m, k = t * h * w, t * (h // 2) * (w // 2), c if form == "gaussian" else c // 2
    inputs = tuple(torch.randn(1, *size, device=device) for size in ((n, k), (m, k), (m, c // 2)))
    builds = {x: b for x, b in subjects(None, form) if x in ("ours", *ORDERS) and largest(x, form, shape) < LIMIT}
    blocks = {name: Operation(build(c)).to(device) for name, build in builds.items()}  # type: ignore[arg-type]  # all ours
    where = {"part": "operation", "form": form, "stage": stage, "frames": frames, "positions": n}
    return lines(where, seconds(blocks, inputs, backward=False), seconds(blocks, inputs, backward=True))


def growth(form: PaperForm, device: str) -> list[dict[str, Any]]:
    """Peak memory of a training step at 1, 2, 4 and 8 times the frames of a 32-frame clip's res3."""
    c, t, h, w = STAGES["res3"]
    rows = []
    for times in (1, 2, 4, 8):
        shape = (1, c, times * t, h, w)
        for name in ("ours", "direct"):
            if largest(name, form, shape) < LIMIT:
                mib = peak(None, form, name, shape, device)
                rows.append({"form": form, "positions": times * t * h * w, "block": name, "peak_mib": mib})
    return rows


def bench(arguments: argparse.Namespace, folder: Path) -> str:
    """Measure, write <device>-<dtype>-torch<version>.md, two .csv and .svg, and return the sentences for the README."""
    rows: list[dict[str, Any]] = []
    for stage, frames, shape in cases():
        for form in get_args(PaperForm):
            whole = measured(form, stage, frames, shape, arguments)
            alone = operations(form, stage, frames, shape, arguments.device)
            rows += whole + alone
            for part, found in {"block": whole, "operation alone": alone}.items():
                ratios = ", ".join(f"{row['block']} {row['train_ratio']:.2f}" for row in found)
                print(f"{stage}, {frames} frames, {form}, {part}: training step, multiples of ours: {ratios}", flush=True)
    memory = pd.DataFrame([row for form in get_args(PaperForm) for row in growth(form, arguments.device)])
    name = f"{device_name(arguments.device)}-float32-torch{torch.__version__}".replace(" ", "-")
    told = source(arguments.rivals, arguments.device, f"torch {torch.__version__}, float32")
    return write(pd.DataFrame(rows), memory, told, folder / name)
