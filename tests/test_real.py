"""Runs on real videos: the released recipe, a dry run from files to record."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from nlrepro.config import Profile
from nlrepro.files import BadInput
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.nets.resnet import VideoResNet
from nlrepro.run import Folders, Run
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.task import VIDEO
from nlrepro.train.loop import train

NL = RunSpec(net=NetSpec(conv="3x1x1", blocks="res4"))
pytestmark = pytest.mark.usefixtures("as_in_a_sweep")


def run_of(profile: Profile, folders: Folders, spec: RunSpec = NL) -> Run:
    return Run(task=VIDEO, spec=spec, profile=profile, seed=0, folders=folders)


def test_the_released_recipe_is_nesterovs_and_does_not_decay_normalisation(real: Profile) -> None:
    recipe = replace(real.recipes["long"], weight_decay=0.1, frozen_norm=False)
    sgd = replace(real, recipes={**real.recipes, "short": recipe})
    module = VideoClassifier(NL, sgd)
    others, norms = module.optimizer(module.parameter_groups()).param_groups
    assert (others["nesterov"], others["weight_decay"], norms["weight_decay"]) == (True, 0.1, 0.0)
    layers = [layer for layer in module.net.modules() if isinstance(layer, _BatchNorm)]
    assert len(norms["params"]) == 2 * len(layers)
    assert len(others["params"]) + len(norms["params"]) == len(list(module.net.parameters()))
    text = VideoClassifier(NL, replace(sgd, geometry=replace(sgd.geometry, architecture="text")))
    assert [group["nesterov"] for group in text.optimizer(text.parameter_groups()).param_groups] == [False]


@pytest.mark.rare  # its loaders are processes
def test_a_dry_run_goes_from_files_to_a_record_that_no_table_shows(
    real: Profile, videos: Path, tmp_path: Path
) -> None:
    record = train(run_of(real.dry(2), Folders(data=videos, results=tmp_path / "results")))
    assert record.profile == "real-dry-run"
    assert record.curve[-1].step == 2
    assert (record.tested, record.listed, record.views) == (2, 3, 6)  # 2 clips x 3 crops
    assert "clip_top1" in record.metrics


def test_a_run_starts_from_its_imagenet_file(real: Profile, tmp_path: Path) -> None:
    run = run_of(real, Folders(results=tmp_path, imagenet=(tmp_path / "r50.pth",)))
    module = VideoClassifier(run.spec, real)
    with pytest.raises(BadInput, match=r"cannot read .*r50.pth: No such file"):
        module.start(run)
    given = VideoResNet(NetSpec(), real.geometry, 1000).state_dict()  # under torchvision's names
    torch.save(given, tmp_path / "r50.pth")
    assert module.start(run)["start"].startswith("r50.pth (sha256 ")
    started, name = module.net.state_dict(), "layer3.5.bn3.running_var"
    torch.testing.assert_close(started["conv1.weight"].sum(2), given["conv1.weight"])
    assert torch.equal(started[name], given[name])
