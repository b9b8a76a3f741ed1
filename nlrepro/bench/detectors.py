"""Training steps of Mask R-CNN at COCO's size, without and with a non-local block in res4."""

import argparse
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from nlrepro.bench.measure import device_name, in_turn, source
from nlrepro.bench.report import listed
from nlrepro.coco.nets import LONGEST, SIDE, mask_rcnn
from nlrepro.files import write_atomic
from nlrepro.spec import Backbone

BACKBONES: tuple[Backbone, ...] = ("r50", "r101")
OBJECTS = 10  # of an image
IMAGES = {"cpu": 1, "cuda": 2}  # a step; two a GPU are the paper's


def objects(device: str) -> dict[str, Tensor]:
    """Boxes and masks of random objects of one image; the time of a step depends little on them."""
    corner = torch.rand(OBJECTS, 2) * torch.tensor([LONGEST - 200, SIDE - 200])
    boxes = torch.cat([corner, corner + 50 + 150 * torch.rand(OBJECTS, 2)], 1)  # (N, 4)
    masks = torch.zeros(OBJECTS, SIDE, LONGEST, dtype=torch.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = 1
    found = {"boxes": boxes, "labels": torch.randint(1, 91, (OBJECTS,)), "masks": masks}
    return {name: value.to(device) for name, value in found.items()}


def train(net: nn.Module, optimizer: torch.optim.Optimizer, images: list[Tensor], targets: list[dict[str, Tensor]]) -> None:
    """One step of SGD."""
    with torch.autocast(images[0].device.type, torch.bfloat16, enabled=images[0].is_cuda):
        loss = torch.stack(list(net(images, targets).values())).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if images[0].is_cuda:
        torch.cuda.synchronize()


def measured(backbone: Backbone, device: str) -> list[dict[str, object]]:
    """A line a net: seconds of a step, and on a GPU the peak of its memory."""
    number = IMAGES[device]
    images = [torch.rand(3, SIDE, LONGEST, device=device) for _ in range(number)]
    targets = [objects(device) for _ in range(number)]
    nets = {block: mask_rcnn(backbone, block=block).to(device).train() for block in (False, True)}
    steps = {
        str(block): partial(train, net, torch.optim.SGD(net.parameters(), 1e-3, 0.9), images, targets)
        for block, net in nets.items()
    }
    taken = in_turn(steps)
    lines = []
    for block, seconds in taken.items():
        peak = peak_gib(steps[block]) if device == "cuda" else float("nan")
        ratio = seconds / taken["False"]
        lines.append(
            {"backbone": backbone, "block": block, "images": number, "step_s": seconds, "ratio": ratio, "peak_gib": peak}
        )
    return lines


def peak_gib(step: partial[None]) -> float:
    """Of all that lies on the GPU while a step runs, the other net of the pair included."""
    torch.cuda.reset_peak_memory_stats()
    step()
    return torch.cuda.max_memory_allocated() / 2**30


def sentence(frame: pd.DataFrame) -> str:
    plain, blocked = (frame[frame["block"] == word] for word in ("False", "True"))
    seconds = listed([f"{row['step_s']:.3f} s for {row['backbone']}" for _, row in plain.iterrows()])
    ratios = listed([f"{row['ratio']:.2f}" for _, row in blocked.iterrows()])
    number = frame["images"].iloc[0]
    what = f"A training step of Mask R-CNN on {number} images of {SIDE}x{LONGEST}"
    return f"- {what} takes {seconds}; with a block {ratios} times that."


def bench(arguments: argparse.Namespace, folder: Path) -> str:
    """Measure, write detectors-<device>-torch<version>.md and .csv, and return the sentence for the README."""
    frame = pd.DataFrame([line for backbone in BACKBONES for line in measured(backbone, arguments.device)]).round(4)
    said, told = sentence(frame), source(None, arguments.device, f"torch {torch.__version__}")
    path = folder / f"detectors-{device_name(arguments.device)}-torch{torch.__version__}".replace(" ", "-")
    write_atomic(path.with_name(f"{path.name}.csv"), frame.to_csv(index=False))
    write_atomic(path.with_name(f"{path.name}.md"), "\n\n".join([told, said, str(frame.to_markdown(index=False))]) + "\n")
    return said
