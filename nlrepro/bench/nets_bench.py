"""Bench of training steps of whole nets at the paper's size, beside PySlowFast's nets of the same FLOPs.

PySlowFast is imported from `<rivals>/SlowFast`; what its INSTALL.md lists must be installed. The project has
none of its code.
"""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlrepro.bench import OWN, Timings, import_public, in_turn
from nlrepro.config import load_profile
from nlrepro.nets.resnet import VideoResNet, count
from nlrepro.spec import NetSpec

NETS = {  # name -> the net here, PySlowFast's configuration
    "C2D": (NetSpec(), "C2D_8x8_R50"),
    "I3D": (NetSpec(conv="3x1x1"), "I3D_8x8_R50"),
    "NL I3D": (NetSpec(conv="3x1x1", blocks="5-block"), "I3D_NLN_8x8_R50"),
}
FRAMES, SIDE, CLASSES = 32, 224, 400
BATCH = {"cpu": 2, "cuda": 8}  # eight clips a GPU are the paper's


class PySlowFastNet(nn.Module):
    """An 8x8 net of PySlowFast on 32 frames; conv1 and pool1 get the authors' strides, for equal FLOPs."""

    def __init__(self, build: Callable[[Any], Any], settings: Any) -> None:
        super().__init__()
        self.net = build(settings)
        stem = self.net.s1.pathway0_stem
        stem.conv.stride = (2, 2, 2)
        stem.pool_layer = nn.MaxPool3d((2, 3, 3), (2, 2, 2))

    def forward(self, clips: Tensor) -> Tensor:
        return self.net([clips])  # (B, classes)


def pyslowfast(rivals: Path, config: str) -> nn.Module | None:
    """A net by the name of its file in configs/Kinetics; None if PySlowFast cannot be imported."""
    folder = rivals / "SlowFast"
    models = import_public(folder, "slowfast.models.video_model_builder")
    defaults = import_public(folder, "slowfast.config.defaults")
    if not (models and defaults):
        return None
    settings = defaults.get_cfg()
    settings.merge_from_file(str(folder / "configs" / "Kinetics" / f"{config}.yaml"))
    return PySlowFastNet(models.ResNet, settings)


def nets_of(name: str, rivals: Path | None) -> dict[str, nn.Module]:
    """The net of the `paper` profile, in the released architecture, and PySlowFast's, if available."""
    spec, config = NETS[name]
    nets: dict[str, nn.Module] = {OWN: VideoResNet(spec, load_profile("paper").geometry, CLASSES)}
    if rivals and (net := pyslowfast(rivals, config)):
        nets["PySlowFast"] = net
    return nets


def train_step(net: nn.Module, optimizer: torch.optim.Optimizer, clips: Tensor) -> None:
    """One step of SGD; in bfloat16 on a GPU."""
    with torch.autocast(clips.device.type, torch.bfloat16, enabled=clips.is_cuda):
        loss = F.cross_entropy(net(clips).float(), torch.arange(len(clips), device=clips.device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if clips.is_cuda:
        torch.cuda.synchronize()


def measure(name: str, nets: dict[str, nn.Module], clips: Tensor) -> list[dict[str, Any]]:
    """A row a net: its cost, and seconds of a step, also as multiples of this project's."""
    steps = {}
    for code, net in nets.items():
        sgd = torch.optim.SGD(net.to(clips.device).train().parameters(), 0.01, 0.9, weight_decay=1e-4)
        steps[code] = partial(train_step, net, sgd, clips)
    seconds = in_turn(steps, clips.device.type)
    rows = []
    for code, net in nets.items():
        _, macs = count(copy.deepcopy(net).eval().to("meta"), clips[:1].to("meta"))
        counts = {"parameters_m": sum(p.numel() for p in net.parameters()) / 1e6, "macs_g": macs / 1e9}
        times = {"step_s": seconds[code], "ratio": seconds[code] / seconds[OWN]}
        rows.append({"net": name, "code": code, **counts, **times})
    return rows


def bench(rivals: Path | None, device: str) -> Timings:
    """Training steps of ResNet-50 nets."""
    rows: list[dict[str, Any]] = []
    clips = torch.randn(BATCH[device], 3, FRAMES, SIDE, SIDE, device=device)
    for name in NETS:
        measured = measure(name, nets_of(name, rivals), clips)
        print(name, "; ".join(f"{row['code']} {row['step_s']:.2f} s" for row in measured), flush=True)
        rows += measured
    frame = pd.DataFrame(rows).round(3)
    caption = (
        f"A training step (forward, backward, SGD) of ResNet-50 nets on {BATCH[device]} clips of"
        f" {FRAMES} x {SIDE} x {SIDE} in {'bfloat16' if device == 'cuda' else 'float32'}."
        f" Ratios are multiples of {OWN}'s seconds."
    )
    return Timings(libraries=("torch",), caption=caption, rows=frame, table=frame)
