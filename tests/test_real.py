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
from nlrepro.spec import Depth, NetSpec, RunSpec
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


def net_of(real: Profile, depth: Depth) -> dict[str, torch.Tensor]:
    """A narrow ResNet under torchvision's names."""
    return VideoResNet(NetSpec(depth=depth), real.geometry, 1000).state_dict()


def test_a_run_starts_from_the_imagenet_file_of_its_depth(real: Profile, tmp_path: Path) -> None:
    files = (tmp_path / "r101.pth", tmp_path / "r50.pth")
    for file, depth in zip(files, (101, 50), strict=True):
        torch.save(net_of(real, depth), file)
    folders = Folders(results=tmp_path, imagenet=files)
    for depth, file in ((50, files[1]), (101, files[0])):
        run = run_of(real, folders, RunSpec(net=NetSpec(depth=depth, conv="3x1x1")))
        module = VideoClassifier(run.spec, real)
        noted = module.start(run)
        given, inflated = torch.load(file, weights_only=True), module.net.conv1.weight
        assert torch.allclose(inflated.sum(2), given["conv1.weight"])
        assert torch.equal(
            module.net.state_dict()["layer3.5.bn3.running_var"], given["layer3.5.bn3.running_var"]
        )
        assert noted["start"].startswith(f"{file.name} (sha256 ")


def test_imagenet_weights_that_are_missing_or_of_another_net_are_named(
    real: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    path, good = tmp_path / "given.pth", net_of(real, 50)

    def refusal(depth: Depth, *files: Path) -> str:
        run = run_of(real, Folders(results=tmp_path, imagenet=files), RunSpec(net=NetSpec(depth=depth)))
        with pytest.raises(BadInput) as caught:
            VideoClassifier(run.spec, real).start(run)
        return str(caught.value)

    assert "resnet50-0676ba61.pth and give it as --imagenet FILE, or put " in refusal(50)
    torch.save(good, path)
    assert "given.pth lacks layer3.6.conv1.weight" in refusal(101, path)
    torch.save({name: x for name, x in good.items() if name != "layer1.0.conv1.weight"}, path)
    assert "layer1.0.conv1.weight" in refusal(50, path)
    torch.save(good | {"conv1.weight": torch.zeros(64, 3, 7, 7)}, path)
    assert "of shape (64, 3, 7, 7), expected " in refusal(50, path)
    path.write_bytes(path.read_bytes()[:500])
    assert "given.pth" in refusal(50, path)
    assert "cannot read" in refusal(50, tmp_path / "nowhere.pth")
