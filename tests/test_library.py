"""The block and `add_nonlocal` in nets of others."""

import doctest
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50, resnet101
from torchvision.models.detection import fasterrcnn_resnet50_fpn
from torchvision.models.video import mc3_18, r2plus1d_18, r3d_18

import nlrepro.nets.adding
import nlrepro.nets.block
from nlrepro import NonLocalBlock, add_nonlocal
from nlrepro.nets.adding import places_of
from nlrepro.spec import SITES, STAGE_BLOCKS

Build = Callable[[], nn.Module]


def blocks_in(net: nn.Module) -> list[str]:
    return [name for name, module in net.named_modules() if isinstance(module, NonLocalBlock)]


def detector() -> nn.Module:
    return fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None).backbone


IMAGE, CLIP = (2, 3, 64, 64), (1, 3, 4, 32, 32)
FIVE = ["layer2.1", "layer2.3", "layer3.1", "layer3.3", "layer3.5"]
NETS: list[tuple[Build, tuple[int, ...], list[str]]] = [
    (resnet18, IMAGE, ["layer2.1", "layer3.1"]),
    (resnet50, IMAGE, FIVE),
    (resnet101, IMAGE, ["layer2.1", "layer2.3", "layer3.6", "layer3.13", "layer3.20"]),
    (r3d_18, CLIP, ["layer2.1", "layer3.1"]),
    (mc3_18, CLIP, ["layer2.1", "layer3.1"]),
    (r2plus1d_18, CLIP, ["layer2.1", "layer3.1"]),
    (detector, IMAGE, [f"body.{place}" for place in FIVE]),
]


def outputs(net: nn.Module, x: Tensor) -> list[Tensor]:
    with torch.no_grad():
        found = net(x)
    return list(found.values()) if isinstance(found, dict) else [found]


@pytest.mark.parametrize(("build", "shape", "places"), NETS, ids=lambda value: getattr(value, "__name__", None))
def test_torchvisions_nets_stay_what_they_were_until_they_are_trained(
    build: Build, shape: tuple[int, ...], places: list[str]
) -> None:
    torch.manual_seed(0)
    net, x = build().eval(), torch.randn(shape)
    names, before = set(net.state_dict()), outputs(net, x)
    assert add_nonlocal(net) is net
    assert blocks_in(net) == [f"{place}_nonlocal" for place in places]
    assert all(torch.equal(a, b) for a, b in zip(before, outputs(net, x), strict=True))
    assert names < set(net.state_dict())  # so that weights of the plain net still load
    assert not any(module.training for module in net.modules())
    net.train()
    sum(y.square().mean() for y in outputs_of_training(net, x)).backward()
    assert all(net.get_submodule(name).bn.weight.grad.abs().sum() > 0 for name in blocks_in(net))


def outputs_of_training(net: nn.Module, x: Tensor) -> list[Tensor]:
    found = net(x)
    return list(found.values()) if isinstance(found, dict) else [found]


@pytest.mark.parametrize("depth", STAGE_BLOCKS)
@pytest.mark.parametrize("blocks", ["none", "res2", "res3", "res4", "res5", "5-block", "10-block"])
def test_places_are_the_papers(depth: int, blocks: str) -> None:
    assert places_of(STAGE_BLOCKS[depth], blocks) == list(SITES[depth][blocks])  # type: ignore[index, arg-type]


def test_places_of_other_depths_follow_the_same_steps() -> None:
    r152, r18 = {2: 3, 3: 8, 4: 36, 5: 3}, dict.fromkeys((2, 3, 4, 5), 2)
    assert places_of(r152, "5-block") == [(3, 3), (3, 7), (4, 11), (4, 23), (4, 35)]
    assert places_of(r152, "res4") == [(4, 34)]
    assert places_of(r18, "10-block") == [(3, 0), (3, 1), (4, 0), (4, 1)]
    assert places_of(r18, "res4") == [(4, 0)]


def test_any_stage_that_is_a_sequential_takes_blocks() -> None:
    stage = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3))
    net = nn.Sequential(nn.Identity(), stage).half()
    add_nonlocal(net, at={"1": [0, -1]}, form="concatenation", domain="space", subsample=False)
    assert blocks_in(net) == ["1.0_nonlocal", "1.2_nonlocal"]
    first, last = stage[1], stage[4]
    assert isinstance(first, NonLocalBlock)
    assert isinstance(last, NonLocalBlock)
    assert (first.g.in_channels, last.g.in_channels) == (8, 6)
    assert first.g.weight.dtype == torch.float16
    assert (first.form.name, first.domain, first.subsample) == ("concatenation", "space", False)
    assert blocks_in(add_nonlocal(nn.Sequential(nn.Conv2d(3, 4, 1)), at={"": [0]})) == ["0_nonlocal"]


@pytest.mark.parametrize(
    ("build", "options", "words"),
    [
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 1)), {}, "Sequential has no stages layer1, .* say `at`"),
        (resnet18, {"at": {"layer9": [0]}}, "ResNet has no stage 'layer9'"),
        (resnet18, {"at": {"layer1": [2]}}, "the stage 'layer1' has 2 blocks, counted from 0; got 2"),
        (resnet18, {"at": {"conv1": [0]}}, "must be an nn.Sequential, got Conv2d"),
        (lambda: add_nonlocal(resnet18()), {}, "the stage 'layer2' has non-local blocks already"),
        (lambda: nn.Sequential(nn.ReLU()), {"at": {"": [0]}}, "nothing tells the channels of ReLU"),
        (
            lambda: nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1)), nn.Sequential(nn.ReLU())),
            {"at": {"0": [0], "1": [0]}},
            "nothing tells",
        ),
        (resnet18, {"form": "cosine"}, "form must be one of gaussian, .*got 'cosine'"),
        (resnet18, {"domain": "depth"}, "domain must be one of space, time, spacetime, got 'depth'"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_changed(build: Build, options: dict[str, object], words: str) -> None:
    net = build()
    before = str(net)
    with pytest.raises(ValueError, match=words):
        add_nonlocal(net, **options)  # type: ignore[arg-type]
    assert str(net) == before


def test_an_image_is_a_clip_of_one_frame() -> None:
    block, x = NonLocalBlock(4).eval(), torch.randn(2, 4, 6, 5)
    nn.init.ones_(block.bn.weight)
    torch.testing.assert_close(block(x), block(x.unsqueeze(2)).squeeze(2))
    with pytest.raises(ValueError, match=r"expected a clip \(B, 4, T, H, W\) or an image \(B, 4, H, W\), got \(4, 6, 5\)"):
        block(torch.ones(4, 6, 5))


@pytest.mark.parametrize("module", [nlrepro, nlrepro.nets.adding, nlrepro.nets.block])
def test_examples_in_docstrings_give_what_they_show(module: object) -> None:
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.attempted
    assert not found.failed


def test_the_library_needs_neither_lightning_nor_wandb() -> None:
    program = "import sys, nlrepro; early = 'torch' in sys.modules; from nlrepro import NonLocalBlock, add_nonlocal; "
    heavy = "{'torch', 'pytorch_lightning', 'wandb', 'pandas', 'decord'}"
    line = [sys.executable, "-c", f"{program}print(early, sorted({heavy} & set(sys.modules)))"]
    assert subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "False ['torch']"


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
    where = [sys.executable, "-P", "-c", "import nlrepro; print(nlrepro.__file__)"]
    found = subprocess.run(where, cwd=away, env=environment, capture_output=True, text=True, check=True).stdout
    assert found.startswith(str(site))
