"""Runs on real videos: the paper's recipe on few devices, the released recipe, a dry run from files to record."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from films import film
from torch.nn.modules.batchnorm import _BatchNorm

from nlrepro.config import Profile, dry, load_profile
from nlrepro.files import BadInput
from nlrepro.nets.imagenet import imagenet
from nlrepro.nets.resnet import VideoResNet
from nlrepro.run import Run
from nlrepro.spec import Depth, NetSpec, RunSpec
from nlrepro.sweep.jobs import Job
from nlrepro.train.module import VideoClassifier
from nlrepro.train.runner import execute
from nlrepro.train.start import warm_start
from nlrepro.trial import Folders

NL = RunSpec(net=NetSpec(conv="3x1x1", blocks="res4"))


def job(profile: Profile, data: Path, results: Path) -> Job:
    return Job(Run(spec=NL, profile=profile, seed=0, folders=Folders(data=data, results=results)))


def test_few_devices_make_smaller_steps_and_more_of_them() -> None:
    paper = load_profile("paper")
    recipe = paper.recipe(RunSpec(), devices=2)
    assert (recipe.batch, recipe.lr, recipe.steps, recipe.milestones) == (16, 0.0025, 1_600_000, (600_000, 1_200_000))
    assert paper.recipe(RunSpec(), devices=8) == paper.recipes["short"]
    assert paper.recipes["short"].scaled(Fraction(1, 1000)).batch == 1


def test_the_released_recipe_is_nesterovs_and_does_not_decay_normalisation(real: Profile) -> None:
    sgd = replace(real, recipes={**real.recipes, "short": replace(real.recipes["long"], weight_decay=0.1, frozen_norm=False)})
    module = VideoClassifier(NL, sgd)
    others, norms = module.optimizer(module.groups()).param_groups
    assert (others["nesterov"], others["weight_decay"], norms["weight_decay"]) == (True, 0.1, 0.0)
    layers = [layer for layer in module.net.modules() if isinstance(layer, _BatchNorm)]
    assert len(norms["params"]) == 2 * len(layers)
    assert len(others["params"]) + len(norms["params"]) == len(list(module.net.parameters()))
    text = VideoClassifier(NL, replace(sgd, geometry=replace(sgd.geometry, architecture="text")))
    assert [group["nesterov"] for group in text.optimizer(text.groups()).param_groups] == [False]


@pytest.mark.rare  # a paper-sized net on a CPU: a minute
def test_a_dry_run_goes_from_files_to_a_record_that_no_table_shows(real: Profile, videos: Path, tmp_path: Path) -> None:
    record = execute(job(dry(real, 2), videos, tmp_path / "results"))
    assert record.profile == "real-dry-run"
    assert record.curve[-1].step == 2
    metrics = record.metrics
    assert (metrics.videos, metrics.listed, metrics.views) == (2, 3, 6)  # 2 clips x 3 crops
    assert metrics.clip_top1 is not None


def test_imagenet_weights_that_are_not_there_are_named(
    real: Profile, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    asked = (
        r"no ImageNet weights of ResNet-50: download https.*resnet50-0676ba61.pth and give it as --imagenet FILE, or put .*hub"
    )
    with pytest.raises(BadInput, match=asked):
        execute(job(real, videos, tmp_path / "results"))


def still(profile: Profile, depth: Depth) -> dict[str, torch.Tensor]:
    """A narrow ResNet under torchvision's names."""
    return VideoResNet(NetSpec(depth=depth), profile.geometry, 1000).state_dict()


def test_a_run_starts_from_the_imagenet_file_of_its_depth(real: Profile, tmp_path: Path) -> None:
    files = (tmp_path / "r101.pth", tmp_path / "r50.pth")
    for file, depth in zip(files, (101, 50), strict=True):
        torch.save(still(real, depth), file)
    for depth, file in ((50, files[1]), (101, files[0])):
        spec = RunSpec(net=NetSpec(depth=depth, conv="3x1x1"))
        module = VideoClassifier(spec, real)
        run = Run(spec=spec, profile=real, seed=0, folders=Folders(results=tmp_path, imagenet=files))
        noted = warm_start(module.net, run)
        given, inflated = torch.load(file, weights_only=True), module.net.conv1.weight
        assert torch.allclose(inflated.sum(2), given["conv1.weight"])
        assert torch.equal(module.net.state_dict()["layer3.5.bn3.running_var"], given["layer3.5.bn3.running_var"])
        assert noted["start"].startswith(f"{file.name} (sha256 ")


def test_imagenet_files_of_other_nets_are_refused(real: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    path, good = tmp_path / "given.pth", still(real, 50)

    def refusal(state: dict[str, torch.Tensor], depth: Depth = 50) -> str:
        torch.save(state, path)
        spec = RunSpec(net=NetSpec(depth=depth))
        run = Run(spec=spec, profile=real, seed=0, folders=Folders(results=tmp_path, imagenet=(path,)))
        with pytest.raises(BadInput) as caught:
            warm_start(VideoClassifier(spec, real).net, run)
        return str(caught.value)

    assert f"no ImageNet weights of ResNet-101 among {path}: download" in refusal(good, 101)
    assert "given.pth is of no ResNet-50 or -101" in refusal({"conv1.weight": good["conv1.weight"]})
    assert "lacks layer1.0.conv1.weight" in refusal({k: v for k, v in good.items() if k != "layer1.0.conv1.weight"})
    assert "expected the shape" in refusal(good | {"conv1.weight": torch.zeros(64, 3, 7, 7)})
    assert "has stray" in refusal(good | {"stray": torch.zeros(1)})
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(BadInput, match=r"given.pth is refused by torch.load"):
        imagenet(50, real.geometry, (path,))
    with pytest.raises(BadInput, match=r"cannot read .*nowhere"):
        imagenet(50, real.geometry, (tmp_path / "nowhere.pth",))


def test_videos_that_were_not_checked_are_named(real: Profile, tmp_path: Path) -> None:
    for split in ("train", "val"):
        film(tmp_path / split / "a" / "a.mp4")
    with pytest.raises(BadInput, match=r"have not been checked; run `python -m ablations data check --profile paper --data "):
        execute(job(dry(real, 1), tmp_path, tmp_path / "results"))
