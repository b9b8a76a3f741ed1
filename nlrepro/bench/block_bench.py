"""Bench of one non-local block, beside Eq. 1 computed as it is written and beside public implementations.

The public ones are imported from a folder of checkouts, `<rivals>/<name>`; absent ones are skipped. The
project has none of their code.
"""

from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import torch
from torch import Tensor, nn

from nlrepro.bench import OWN, Timings, import_public, in_turn
from nlrepro.nets.nonlocal_block import NonLocalBlock
from nlrepro.spec import PaperForm

Build = Callable[[int], nn.Module]  # channels -> block
Shape = tuple[int, int, int, int]  # C, T, H, W

# The authors' released architecture subsamples before phi and g, which is another function, and cheaper.
RELEASE = f"{OWN}, release"
COUNTERPART = {"PySlowFast": RELEASE, RELEASE: RELEASE}  # the block of the same function; of others OWN

# Table 1: what a block sees in each stage, for clips of 32 frames
STAGES = {
    "res2": (256, 8, 56, 56),
    "res3": (512, 4, 28, 28),
    "res4": (1024, 4, 14, 14),
    "res5": (2048, 4, 7, 7),
}
TIMES = (1, 4)  # and of 128 frames
LIMIT = 6 << 30  # bytes that the values of all pairs may take in a training step; larger cases are left out


class DirectBlock(NonLocalBlock):
    """Eq. 1 as it is written: all N x M values of f are held."""

    def aggregate(self, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        return self.weights(theta, phi) @ g  # (S, N, M) (S, M, K) -> (S, N, K)


def public_blocks(rivals: Path, form: PaperForm) -> dict[str, Build]:
    """Blocks of this form in public code, all with subsampling.

    - PySlowFast: embedded Gaussian, of scaled scores, and dot product.
    - mmcv, which needs mmengine and OpenCV: unscaled scores. Its concatenation form cannot be trained, as it
      divides in place what the gradient of ReLU needs.
    - AlexHex7/Non-local_pytorch: all forms.
    """
    modes = {"embedded": "embedded_gaussian", "dot": "dot_product"}
    mode = modes.get(form, form)
    builds: dict[str, Build] = {}
    if form in modes and (module := import_public(rivals / "SlowFast/slowfast/models", "nonlocal_helper")):
        block, normalisation = module.Nonlocal, "softmax" if form == "embedded" else mode
        builds["PySlowFast"] = lambda channels: block(channels, channels // 2, [1, 2, 2], normalisation)
    if form != "concatenation" and (module := import_public(rivals / "mmcv", "mmcv.cnn.bricks.non_local")):
        layers = {"conv_cfg": {"type": "Conv3d"}, "norm_cfg": {"type": "BN3d"}}
        builds["mmcv"] = partial(module.NonLocal3d, mode=mode, sub_sample=True, use_scale=False, **layers)
    if module := import_public(rivals / "Non-local_pytorch" / "lib", f"non_local_{mode}"):
        builds["Non-local_pytorch"] = module.NONLocalBlock3D
    return builds


def all_blocks(rivals: Path | None, form: PaperForm) -> dict[str, Build]:
    """Blocks of this form by the names of their code."""
    return {
        OWN: partial(NonLocalBlock, form=form),
        "direct": partial(DirectBlock, form=form),
        RELEASE: partial(NonLocalBlock, form=form, architecture="release"),
        **(public_blocks(rivals, form) if rivals else {}),
    }


def fits(name: str, form: PaperForm, shape: Shape) -> bool:
    """Whether all pairs fit into the limit, in float32: about four values each, or their joined channels."""
    channels, t, h, w = shape
    pairs = t * h * w * t * (h // 2) * (w // 2)
    concatenates = name == "Non-local_pytorch" and form == "concatenation"
    return 4 * pairs * (channels if concatenates else 4) < LIMIT


def cases() -> list[tuple[str, int, Shape]]:
    """Stage, frames of a clip and shape of a block's input, wherever the direct form fits into memory."""
    return [
        (stage, 32 * times, shape)
        for times in TIMES
        for stage, (c, t, h, w) in STAGES.items()
        if fits("direct", "dot", shape := (c, t * times, h, w))
    ]


def train_step(block: nn.Module, x: Tensor) -> None:
    """One forward and backward pass, with the input's gradient, as in the middle of a net."""
    block(x.detach().requires_grad_()).sum().backward()
    if x.is_cuda:
        torch.cuda.synchronize()


def timed(blocks: Mapping[str, nn.Module], x: Tensor) -> list[dict[str, Any]]:
    """A row a block: milliseconds of a training step, and their ratio to those of its counterpart."""
    seconds = in_turn({name: partial(train_step, block, x) for name, block in blocks.items()}, x.device.type)
    return [
        {"code": name, "train_ms": 1e3 * s, "ratio": s / seconds[COUNTERPART.get(name, OWN)]}
        for name, s in seconds.items()
    ]


def measure_blocks(rivals: Path | None, form: PaperForm, shape: Shape, device: str) -> list[dict[str, Any]]:
    """Rows of all blocks of a form that fit, on an input of this shape."""
    builds = {name: build for name, build in all_blocks(rivals, form).items() if fits(name, form, shape)}
    blocks = {name: build(shape[0]).to(device) for name, build in builds.items()}
    return timed(blocks, torch.randn(1, *shape, device=device))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a case: milliseconds of this project's block, and ratios of the others."""
    index = ["form", "stage", "frames", "positions"]
    table = rows.pivot_table(["train_ms", "ratio"], index, "code", sort=False)
    ratios = table["ratio"].drop(columns=[OWN, RELEASE]).round(2)
    ratios.insert(0, f"{OWN}, ms", table["train_ms"][OWN].round(1))
    return ratios.reset_index()


def bench(rivals: Path | None, device: str) -> Timings:
    """Training steps of one block on one clip, in float32."""
    rows: list[dict[str, Any]] = []
    for stage, frames, shape in cases():
        for form in get_args(PaperForm):
            measured = measure_blocks(rivals, form, shape, device)
            case = {"form": form, "stage": stage, "frames": frames, "positions": prod(shape[1:])}
            rows += [case | row for row in measured]
            ratios = ", ".join(f"{row['code']} {row['ratio']:.2f}" for row in measured)
            print(f"{form} in {stage}, {frames} frames: {ratios}", flush=True)
    frame = pd.DataFrame(rows).round(3)
    caption = (
        "A training step of one block on one clip, in float32. Columns without a unit are multiples of"
        f" {OWN}'s time for the same function. What takes over {LIMIT >> 30} GiB for its pairs is left out."
    )
    return Timings(libraries=("torch",), caption=caption, rows=frame, table=summary(frame))
