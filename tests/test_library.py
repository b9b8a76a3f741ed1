"""The block and `add_nonlocal` in nets of others."""

import copy
import doctest
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from conftest import KINDS, ROOT, SWEPT, smoke_run
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50
from torchvision.models.detection import fasterrcnn_resnet50_fpn
from torchvision.models.video import r2plus1d_18, r3d_18

import nlrepro.nets.add_nonlocal
import nlrepro.nets.nonlocal_block
from ablations.modules import MODULES
from nlrepro import NonLocalBlock, add_nonlocal
from nlrepro.config import load_profile
from nlrepro.nets.add_nonlocal import places_of
from nlrepro.nets.rcnn import detector
from nlrepro.run import Folders
from nlrepro.spec import SITES, DetectionSpec

Build = Callable[[], nn.Module]


def blocks_in(net: nn.Module) -> list[str]:
    return [name for name, module in net.named_modules() if isinstance(module, NonLocalBlock)]


def detector_backbone() -> nn.Module:
    return fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None).backbone


def conv_and_relu() -> nn.Module:
    return nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1)), nn.Sequential(nn.ReLU()))


IMAGE, CLIP = (2, 3, 64, 64), (1, 3, 4, 32, 32)
FIVE = ["layer2.1", "layer2.3", "layer3.1", "layer3.3", "layer3.5"]
NETS: list[tuple[Build, tuple[int, ...], list[str]]] = [
    (resnet18, IMAGE, ["layer2.1", "layer3.1"]),
    (resnet50, IMAGE, FIVE),
    (r3d_18, CLIP, ["layer2.1", "layer3.1"]),
    (r2plus1d_18, CLIP, ["layer2.1", "layer3.1"]),
    (detector_backbone, IMAGE, [f"body.{place}" for place in FIVE]),
]


def outputs(net: nn.Module, x: Tensor) -> list[Tensor]:
    y = net(x)
    return list(y.values()) if isinstance(y, dict) else [y]


@pytest.mark.parametrize(("build", "shape", "places"), NETS)
def test_torchvisions_nets_stay_what_they_were_until_they_are_trained(
    build: Build, shape: tuple[int, ...], places: list[str]
) -> None:
    torch.manual_seed(0)
    net, x = build().eval(), torch.randn(shape)
    with torch.no_grad():
        names, before = set(net.state_dict()), outputs(net, x)
        assert add_nonlocal(net) is net
        assert all(torch.equal(a, b) for a, b in zip(before, outputs(net, x), strict=True))
    assert blocks_in(net) == [f"{place}_nonlocal" for place in places]
    assert names < set(net.state_dict())  # so that weights of the plain net still load
    assert not any(module.training for module in net.modules())
    net.train()
    sum(y.square().mean() for y in outputs(net, x)).backward()
    assert all(net.get_submodule(name).bn.weight.grad.abs().sum() > 0 for name in blocks_in(net))


def test_places_of_other_depths_follow_the_same_steps() -> None:
    r101, r152, r18 = ({2: 3, 3: 4, 4: 23, 5: 3}, {2: 3, 3: 8, 4: 36, 5: 3}, dict.fromkeys(range(2, 6), 2))
    assert places_of(r101, "5-block") == [*SITES[101]["5-block"]]
    assert places_of(r152, "5-block") == [(3, 3), (3, 7), (4, 11), (4, 23), (4, 35)]
    assert places_of(r152, "res4") == [(4, 34)]
    assert places_of(r18, "10-block") == [(3, 0), (3, 1), (4, 0), (4, 1)]
    assert places_of(r18, "res4") == [(4, 0)]


def test_any_stage_that_is_a_sequential_takes_blocks() -> None:
    stage = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3))
    net = nn.Sequential(nn.Identity(), stage).half()
    add_nonlocal(net, at={"1": [0, -1]}, form="concatenation", domain="space", subsample=False)
    assert blocks_in(net) == ["1.0_nonlocal", "1.2_nonlocal"]
    first, last = net.get_submodule("1.0_nonlocal"), net.get_submodule("1.2_nonlocal")
    assert (first.g.in_channels, last.g.in_channels, last.g.weight.dtype) == (8, 6, torch.float16)
    assert (first.form.name, first.domain, first.subsample) == ("concatenation", "space", False)
    assert blocks_in(add_nonlocal(nn.Sequential(nn.Conv2d(3, 4, 1)), at={"": [0]})) == ["0_nonlocal"]


@pytest.mark.parametrize(
    ("build", "options", "words"),
    [
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 1)), {}, "Sequential has no stages layer1, .* give `at`"),
        (resnet18, {"at": {"layer9": [0]}}, "ResNet has no stage 'layer9'"),
        (resnet18, {"at": {"layer1": [2]}}, "the stage 'layer1' has 2 blocks, counted from 0; got 2"),
        (resnet18, {"at": {"conv1": [0]}}, "must be an nn.Sequential, got Conv2d"),
        (lambda: add_nonlocal(resnet18()), {}, "the stage 'layer2' has non-local blocks already"),
        (conv_and_relu, {"at": {"0": [0], "1": [0]}}, "the channels of ReLU are not known"),
        (resnet18, {"blocks": "7-block"}, "blocks must be one of none, .*got '7-block'"),
        (resnet18, {"form": "cosine"}, "form must be one of gaussian, .*got 'cosine'"),
        (resnet18, {"domain": "depth"}, "domain must be one of space, time, spacetime, got 'depth'"),
    ],
)
def test_what_cannot_be_done_is_an_error_and_nothing_is_changed(
    build: Build, options: dict[str, object], words: str
) -> None:
    net = build()
    before = str(net)
    with pytest.raises(ValueError, match=words):
        add_nonlocal(net, **options)  # type: ignore[arg-type]
    assert str(net) == before


@pytest.mark.parametrize("module", [nlrepro, nlrepro.nets.add_nonlocal, nlrepro.nets.nonlocal_block])
def test_examples_in_docstrings_give_what_they_show(module: object) -> None:
    results = doctest.testmod(module)  # type: ignore[arg-type]
    assert results.attempted
    assert not results.failed


def public_modules() -> dict[str, nn.Module]:
    """Every net and Lightning module; of the nets those with blocks."""
    kinds = {"2a": SWEPT[1], "4": KINDS[1], "5": KINDS[2], "6": KINDS[3]}
    runs = {table: smoke_run(key, Folders()) for table, key in kinds.items()}
    learners = {table: MODULES[table](run.spec, run.profile) for table, run in runs.items()}
    profile = load_profile("coco-smoke")
    points = DetectionSpec(kind="keypoints", backbone="r50", block=True, head_blocks=True)
    return {**learners, "detector": detector(points, profile)[0], "torchvision": add_nonlocal(resnet18())}


def saved(net: nn.Module) -> nn.Module:
    torch.save(net, file := BytesIO())
    file.seek(0)
    return torch.load(file, weights_only=False)


def test_modules_can_be_pickled_saved_and_copied() -> None:
    for name, net in public_modules().items():
        for copied in (pickle.loads(pickle.dumps(net)), saved(net), copy.deepcopy(net)):
            assert str(copied) == str(net), name
            assert all(map(torch.equal, copied.state_dict().values(), net.state_dict().values())), name


@pytest.mark.rare
def test_modules_can_be_sent_to_spawned_processes() -> None:
    modules = public_modules()
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert [*pool.map(str, modules.values())] == [*map(str, modules.values())]


@pytest.mark.rare
def test_an_installed_copy_works_outside_of_a_checkout(data: Path, tmp_path: Path) -> None:
    """With the pretrained nets that it ships, in a folder that has nothing of the project."""
    source, site, away = (tmp_path / name for name in ("source", "site", "away"))
    away.mkdir()
    for name in ("ablations", "nlrepro"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    environment = os.environ | {"PYTHONPATH": str(site)}
    for words in (
        ["pip", "install", "--quiet", "--no-deps", "--target", site, source],
        ["ablations", "run", "r50-c2d", "--profile", "smoke", "--data", data],
        ["ablations", "report", "2a", "--profile", "smoke"],
    ):
        line = [sys.executable, "-P", "-m", *map(str, words)]
        done = subprocess.run(line, cwd=away, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (away / "results" / "local" / "report.html").is_file()
