"""Runs on real videos: the paper's recipe on few devices, the released recipe, a dry run from files to record."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from films import film
from torch.nn.modules.batchnorm import _BatchNorm

from nlrepro import profile as profiles
from nlrepro.errors import BadInput
from nlrepro.profile import Profile, dry
from nlrepro.runs.classifier import VideoClassifier
from nlrepro.runs.place import Place
from nlrepro.runs.runner import run
from nlrepro.spec import NetSpec, RunSpec

NL = RunSpec(net=NetSpec(conv="3x1x1", blocks="res4"))


def test_few_devices_make_smaller_steps_and_more_of_them() -> None:
    paper = profiles.load("paper")
    recipe = paper.recipe(RunSpec(), devices=2)
    assert (recipe.batch, recipe.lr, recipe.steps, recipe.milestones) == (16, 0.0025, 1_600_000, (600_000, 1_200_000))
    assert paper.recipe(RunSpec(), devices=8) == paper.recipes["short"]
    assert paper.recipes["short"].scaled(Fraction(1, 1000)).batch == 1


def test_the_released_recipe_is_nesterovs_and_does_not_decay_normalisation(real: Profile) -> None:
    sgd = replace(real, recipes={**real.recipes, "short": replace(real.recipes["long"], weight_decay=0.1)})
    module = VideoClassifier(NL, sgd)
    others, norms = module.optimizer(module.groups()).param_groups
    assert (others["nesterov"], others["weight_decay"], norms["weight_decay"]) == (True, 0.1, 0.0)
    layers = [layer for layer in module.net.modules() if isinstance(layer, _BatchNorm)]
    assert len(norms["params"]) == 2 * len(layers)
    assert len(others["params"]) + len(norms["params"]) == len(list(module.net.parameters()))
    text = VideoClassifier(NL, replace(sgd, net=replace(sgd.net, architecture="text")))
    assert [group["nesterov"] for group in text.optimizer(text.groups()).param_groups] == [False]


def test_a_dry_run_goes_from_files_to_a_record_that_no_table_shows(real: Profile, videos: Path, tmp_path: Path) -> None:
    record = run(VideoClassifier, NL, 0, dry(real, 2), place=Place(data=videos, results=tmp_path / "results"))
    assert record.profile == "real-dry-run"
    assert record.curve[-1].step == 2
    metrics = record.metrics
    assert (metrics.videos, metrics.listed, metrics.views) == (2, 3, 6)  # 2 clips x 3 crops
    assert metrics.clip_top1 is not None


def test_imagenet_weights_that_are_not_there_are_named(
    real: Profile, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    with pytest.raises(BadInput, match=r"no ImageNet weights of ResNet-50: download https.*resnet50-0676ba61.pth to .*hub"):
        run(VideoClassifier, NL, 0, real, place=Place(data=videos, results=tmp_path / "results"))


def test_videos_that_were_not_checked_are_named(real: Profile, tmp_path: Path) -> None:
    for split in ("train", "val"):
        film(tmp_path / split / "a" / "a.mp4")
    with pytest.raises(BadInput, match=r"have not been checked; run `data check` first"):
        run(VideoClassifier, NL, 0, dry(real, 1), place=Place(data=tmp_path, results=tmp_path / "results"))
