"""Training steps of whole nets at the paper's size, beside PySlowFast's nets of the same FLOPs."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlrepro.bench import pyslowfast
from nlrepro.bench.measure import device_name, in_turn, source
from nlrepro.bench.report import listed
from nlrepro.files import write_atomic
from nlrepro.nets.resnet import VideoResNet
from nlrepro.spec import NetSpec

NETS = {  # name -> ours, PySlowFast's configuration
    "C2D": (NetSpec(), "C2D_8x8_R50"),
    "I3D": (NetSpec(conv="3x1x1"), "I3D_8x8_R50"),
    "NL I3D": (NetSpec(conv="3x1x1", blocks="5-block"), "I3D_NLN_8x8_R50"),
}
SHAPE = (3, 32, 224, 224)
BATCHES = {"cpu": (1, 2), "cuda": (2, 8)}  # eight clips a GPU are the paper's
PATIENCE = 40.0  # seconds of timing a net, for a step may take ten


def train(net: nn.Module, optimizer: torch.optim.Optimizer, clips: Tensor, half: bool) -> None:
    """One step of SGD."""
    with torch.autocast(clips.device.type, torch.bfloat16, enabled=half):
        loss = F.cross_entropy(net(clips).float(), torch.arange(len(clips), device=clips.device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if clips.is_cuda:
        torch.cuda.synchronize()


def pair(name: str, rivals: Path | None, device: str) -> dict[str, nn.Module]:
    """Ours as the paper profile has it, in the authors' released architecture, which is PySlowFast's; and theirs if at hand."""
    spec, config = NETS[name]
    ours = VideoResNet(spec, load("paper").geometry, 400)
    theirs = pyslowfast.net(rivals, config)
    nets = {"ours": ours, "PySlowFast": theirs} if theirs else {"ours": ours}
    return {who: net.to(device).train() for who, net in nets.items()}


def measured(name: str, batch: int, half: bool, rivals: Path | None, device: str) -> list[dict[str, Any]]:
    nets = pair(name, rivals, device)
    clips = torch.randn(batch, *SHAPE, device=device)
    costs = dict(zip(nets, pyslowfast.same_cost(list(nets.values()), clips[:1]), strict=True))
    steps = {
        who: partial(train, net, torch.optim.SGD(net.parameters(), 0.01, 0.9, weight_decay=1e-4), clips, half)
        for who, net in nets.items()
    }
    taken = in_turn(steps, PATIENCE)
    where = {"net": name, "batch": batch, "precision": "bfloat16" if half else "float32"}
    return [
        {
            **where,
            "code": who,
            "parameters_m": costs[who][0],
            "macs_g": costs[who][1],
            "step_s": taken[who],
            "clips_per_s": batch / taken[who],
            "ratio": taken[who] / taken["ours"],
        }
        for who in nets
    ]


def sentence(frame: pd.DataFrame) -> str:
    """Ours in seconds, PySlowFast's in multiples of it."""
    parts = []
    for (precision, batch), found in frame.groupby(["precision", "batch"]):
        ours, theirs = (found[found["code"] == who].set_index("net") for who in ("ours", "PySlowFast"))
        seconds = listed([f"{row['step_s']:.2f} s for {name}" for name, row in ours.iterrows()])
        ratios = listed([f"{row['ratio']:.2f}" for _, row in theirs.iterrows()])
        rival = f", PySlowFast's nets of the same FLOPs {ratios} times as long" if len(theirs) else ""
        parts.append(f"{batch} clip{'s' if batch != 1 else ''} in {precision}: {seconds}{rival}")
    return f"- A training step of ResNet-50 nets on clips of 32 x 224 x 224 takes, for {'; for '.join(parts)}."


def write(frame: pd.DataFrame, told: str, path: Path) -> str:
    """`<path>.csv` and `<path>.md`; returns the sentence."""
    frame = frame.round(3)
    said = sentence(frame)
    write_atomic(path.with_name(f"{path.name}.csv"), frame.to_csv(index=False))
    heading = "One training step (forward, backward, SGD); ratios are multiples of ours:"
    parts = [told, said, heading, frame.to_markdown(index=False)]
    write_atomic(path.with_name(f"{path.name}.md"), "\n\n".join(map(str, parts)) + "\n")
    return said


def bench(arguments: argparse.Namespace, folder: Path) -> str:
    """Measure, write nets-<device>-torch<version>.md and .csv, and return the sentence for the README."""
    rows: list[dict[str, Any]] = []
    for half in (False, True) if arguments.device == "cuda" else (False,):
        for batch in BATCHES[arguments.device]:
            for name in NETS:
                rows += measured(name, batch, half, arguments.rivals, arguments.device)
                print(", ".join(f"{name}, {batch} clips: {row['code']} {row['step_s']:.2f} s" for row in rows[-2:]), flush=True)
    path = folder / f"nets-{device_name(arguments.device)}-torch{torch.__version__}".replace(" ", "-")
    return write(pd.DataFrame(rows), source(arguments.rivals, arguments.device, f"torch {torch.__version__}"), path)
