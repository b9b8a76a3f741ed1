"""PySlowFast's nets and its PyAV path, imported from a checkout, with stand-ins for what neither needs.

fvcore, iopath and yacs must be installed. The project has none of its code.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

STAND_INS = ("detectron2", "pytorchvideo", "simplejson", "psutil")  # boxes, other nets, logs


class StandIn(ModuleType):
    """A module, and package, with whatever class is asked for."""

    __path__: list[str] = []  # noqa: RUF012  # what makes a module a package

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (nn.Module,), {})


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self) if name.split(".")[0] in STAND_INS else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> StandIn:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None: ...


def found(rivals: Path | None, *names: str) -> list[ModuleType]:
    """Modules of its package `slowfast`; none, with a message, if it is absent or cannot be imported."""
    if not rivals or not (rivals / "SlowFast" / "slowfast" / "config" / "defaults.py").is_file():
        print("PySlowFast is skipped: no complete checkout SlowFast in --rivals", file=sys.stderr)
        return []
    stand_ins = StandIns()
    sys.meta_path.insert(0, stand_ins)
    sys.path.insert(0, str(rivals / "SlowFast"))
    try:
        return [importlib.import_module(f"slowfast.{name}") for name in names]
    except ImportError as error:
        print(f"PySlowFast is skipped: {error}", file=sys.stderr)
        return []
    finally:
        sys.meta_path.remove(stand_ins)
        sys.path.remove(str(rivals / "SlowFast"))


class Net(nn.Module):
    """Its 8x8 net for clips of 32 frames: conv1 and pool1 stride as in the authors' code, so that all FLOPs are ours."""

    def __init__(self, build: Callable[[Any], Any], settings: Any) -> None:
        super().__init__()
        self.net = build(settings)
        stem = self.net.s1.pathway0_stem
        stem.conv.stride = (2, 2, 2)
        stem.pool_layer = nn.MaxPool3d((2, 3, 3), (2, 2, 2))

    def forward(self, clips: Tensor) -> Tensor:
        return self.net([clips])


def net(rivals: Path | None, config: str) -> nn.Module | None:
    """A net by the name of its file below configs/Kinetics."""
    modules = found(rivals, "config.defaults", "models.video_model_builder")
    if not modules or not rivals:
        return None
    defaults, builder = modules
    settings = defaults.get_cfg()
    settings.merge_from_file(str(rivals / "SlowFast" / "configs" / "Kinetics" / f"{config}.yaml"))
    return Net(builder.ResNet, settings)


def loaders(rivals: Path | None, sides: tuple[int, int], crop: int) -> dict[str, Callable[[Path, int, int], Tensor]]:
    """(video, place, places) -> a clip of 32 of 64 frames that starts at place / places of the possible starts.

    "decoding" ends with uint8 frames of the video's size; the rest is as in its Kinetics set: normalised floats, scaled, cropped.
    Its own way to its PyAV decoder is broken (`decode` hands lists to `pyav_decode`), so the decoder is called directly.
    """
    modules = found(rivals, "datasets.video_container", "datasets.decoder", "datasets.utils")
    if not modules:
        return {}
    container, decoder, tools = modules

    def decoded(video: Path, place: int, places: int) -> Tensor:
        opened = container.get_video_container(str(video), False, "pyav")
        frames, _, _ = decoder.pyav_decode(opened, 2, 32, place, places)  # (T', H, W, 3)
        return decoder.temporal_sampling(frames, 0, 63, 32)  # (T, H, W, 3)

    def whole(video: Path, place: int, places: int) -> Tensor:
        frames = tools.tensor_normalize(decoded(video, place, places), [0.45] * 3, [0.225] * 3).permute(3, 0, 1, 2)
        return tools.spatial_sampling(frames, -1, *sides, crop)  # (3, T, crop, crop)

    return {"PySlowFast, decoding alone": decoded, "PySlowFast": whole}


def same_cost(nets: Sequence[nn.Module], clips: Tensor) -> list[tuple[float, float]]:
    """Millions of parameters and billions of multiply-adds of each net."""
    from torch.utils.flop_counter import FlopCounterMode

    costs = []
    for each in nets:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            each.eval()(clips)
        each.train()
        costs.append((sum(p.numel() for p in each.parameters()) / 1e6, counter.get_total_flops() / 2e9))
    return costs
