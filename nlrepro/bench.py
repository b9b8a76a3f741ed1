"""`python -m nlrepro.bench [--rivals FOLDER]`: the speed of one non-local block; writes results/local/bench.

It stands beside Eq. 1 computed as it is written, and beside public code, which is imported from checkouts
`<rivals>/<name>`; absent ones are skipped. The project has none of their code. Codes take turns, so that a
change of the machine's speed affects all alike. On a CPU one core computes, and processor time counts.
"""

import argparse
import importlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from math import prod
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any, get_args

import pandas as pd
import torch
from torch import Tensor, nn

from nlrepro.files import write_atomic
from nlrepro.nets.nonlocal_block import NonLocalBlock
from nlrepro.spec import PaperForm
from nlrepro.train.loop import processor

Build = Callable[[int], nn.Module]  # channels -> block
Shape = tuple[int, int, int, int]  # C, T, H, W

RIVALS = "the folder of the checkouts SlowFast, mmcv and Non-local_pytorch"
OWN = "nlrepro"  # this project's code in tables
# The authors' released architecture subsamples before phi and g, which is another function, and cheaper.
RELEASE = f"{OWN}, release"
COUNTERPART = {"PySlowFast": RELEASE, RELEASE: RELEASE}  # the block of the same function; of others OWN
REPEATS = 5

# Table 1: what a block sees in each stage, for clips of 32 frames
STAGES = {
    "res2": (256, 8, 56, 56),
    "res3": (512, 4, 28, 28),
    "res4": (1024, 4, 14, 14),
    "res5": (2048, 4, 7, 7),
}
TIMES = (1, 4)  # and of 128 frames
LIMIT = 6 << 30  # bytes that the values of all pairs may take in a training step; larger cases are left out
CAPTION = (
    "A training step of one block on one clip, in float32. Columns without a unit are multiples of"
    f" {OWN}'s time for the same function. What takes over {LIMIT >> 30} GiB for its pairs is left out."
)


class DirectBlock(NonLocalBlock):
    """Eq. 1 as it is written: all N x M values of f are held."""

    def aggregate(self, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        return self.weights(theta, phi) @ g  # (S, N, M) (S, M, K) -> (S, N, K)


@cache
def import_public(folder: Path, module: str) -> ModuleType | None:
    """A module of public code in a folder; None, with a message, if it or what it imports is missing."""
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(module)
    except ImportError as error:
        print(f"{module} of {folder} is skipped: {error}", file=sys.stderr)
        return None
    finally:
        sys.path.remove(str(folder))


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
    """A row a block: median milliseconds of a step, after a first one, and the ratio to its counterpart's."""
    clock = time.perf_counter if x.is_cuda else time.process_time
    times: dict[str, list[float]] = {name: [] for name in blocks}
    for _ in range(1 + REPEATS):
        for name, block in blocks.items():
            start = clock()
            train_step(block, x)
            times[name].append(1e3 * (clock() - start))
    ms = {name: median(each[1:]) for name, each in times.items()}
    return [
        {"code": name, "train_ms": own, "ratio": own / ms[COUNTERPART.get(name, OWN)]}
        for name, own in ms.items()
    ]


def measure(rivals: Path | None, form: PaperForm, shape: Shape, device: str) -> list[dict[str, Any]]:
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


def write(rows: pd.DataFrame, folder: Path, rivals: Path | None, device: str) -> Path:
    """Write block-<device>-torch<version>: all rows as .csv, the table as .md, which is returned."""
    place, machine = f"{processor()}, 1 thread of {os.cpu_count()} cores", f"{platform.machine()}-1thread"
    if device == "cuda":
        place = machine = torch.cuda.get_device_name()
    public = [git.parent for git in sorted(rivals.glob("*/.git"))] if rivals else []
    commits = [f"{checkout.name or OWN} at {commit(checkout)}" for checkout in (Path(), *public)]
    made = "; ".join([f"{datetime.now(UTC):%Y-%m-%d}", place, f"torch {torch.__version__}", *commits])
    path = folder / f"block-{machine.replace(' ', '-')}-torch{torch.__version__}"
    table = summary(rows).astype(object)
    text = table.where(table.notna(), "").to_markdown(index=False)
    write_atomic(Path(f"{path}.csv"), rows.to_csv(index=False))
    write_atomic(Path(f"{path}.md"), f"{made}.\n\n{CAPTION}\n\n{text}\n")
    return Path(f"{path}.md")


def commit(checkout: Path) -> str:
    """Short name of a checkout's commit."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m nlrepro.bench", description=__doc__)
    parser.add_argument("--rivals", type=Path, help=RIVALS)
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu"
    )
    options = parser.parse_args()
    if options.rivals and not options.rivals.is_dir():
        parser.error(f"--rivals {options.rivals} is not a folder; give {RIVALS}")
    if options.device == "cpu":
        torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for stage, frames, shape in cases():
        for form in get_args(PaperForm):
            measured = measure(options.rivals, form, shape, options.device)
            rows += [
                {"form": form, "stage": stage, "frames": frames, "positions": prod(shape[1:])} | r
                for r in measured
            ]
            ratios = ", ".join(f"{row['code']} {row['ratio']:.2f}" for row in measured)
            print(f"{form} in {stage}, {frames} frames: {ratios}", flush=True)
    path = write(pd.DataFrame(rows).round(3), Path("results/local/bench"), options.rivals, options.device)
    print(f"{path.read_text()}\nwritten: {path}", flush=True)


if __name__ == "__main__":
    main()
