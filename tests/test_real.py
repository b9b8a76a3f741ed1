"""Runs of long clips and on real videos: frozen normalisation, the released recipe, from files to records."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from attempts import cut_off_at, longer
from conftest import smoke_run
from torch import Tensor

from ablations.modules import LongClips
from nlrepro.config import Profile
from nlrepro.files import BadInput
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.nets.resnet import VideoResNet
from nlrepro.run import Folders
from nlrepro.spec import NetSpec
from nlrepro.train.loop import train

LONG = "r50-i3d-3x1x1-nl-5-block-embedded-spacetime-long"
SPEC = smoke_run(LONG, Folders()).spec
pytestmark = pytest.mark.usefixtures("as_in_a_sweep")


def changed(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    assert one.keys() == other.keys()
    return {name for name in one if not torch.equal(one[name], other[name])}


def test_a_run_of_long_clips_that_was_cut_off_changes_all_but_normalisation(
    swept: Path, data: Path, tmp_path: Path, smoke: Profile
) -> None:
    """Seven steps, with a validation and a checkpoint after 2, 4 and 6; another class goes on."""
    recipes = longer(smoke, 7, 2).recipes | {"short": smoke.recipes["short"]}
    run = smoke_run(LONG, Folders(data=data, results=tmp_path))
    run = replace(run, profile=replace(smoke, recipes=recipes))
    parent = smoke_run(LONG, Folders(data=data, results=swept)).parent.weights
    run.parent.folder.mkdir(parents=True)
    run.parent.weights.write_bytes(parent.read_bytes())
    for step in (3, 5):
        with pytest.raises(RuntimeError, match="the power is gone"):
            train(replace(run, module=cut_off_at(step, VideoClassifier)))
    train(replace(run, module=LongClips))
    module = VideoClassifier(run.spec, run.profile)
    layers = [name for name, layer in module.net.named_modules() if layer in module.norms]
    norms = {f"{name}.{part}" for name in layers for part in module.net.get_submodule(name).state_dict()}
    assert len(norms) == 5 * (53 + 5)  # those of the non-local blocks too
    before, after = (torch.load(path, weights_only=True) for path in (parent, run.weights))
    assert changed(before, after) == before.keys() - norms


def test_normalisation_is_not_trained_where_it_is_frozen_and_else_not_decayed(real: Profile) -> None:
    """By the released recipe, which is Nesterov's."""
    frozen = VideoClassifier(SPEC, real)
    (group,) = frozen.optimizer(frozen.parameter_groups()).param_groups
    assert group["weight_decay"] == real.recipes["long"].weight_decay
    norms = {id(p) for norm in frozen.norms for p in norm.parameters()}
    assert {id(p) for p in group["params"]} == {id(p) for p in frozen.net.parameters()} - norms

    recipe = replace(real.recipes["long"], weight_decay=0.1, frozen_norm=False)
    trained = replace(real, recipes={**real.recipes, "long": recipe})
    module = VideoClassifier(SPEC, trained)
    others, group = module.optimizer(module.parameter_groups()).param_groups
    assert (others["nesterov"], others["weight_decay"], group["weight_decay"]) == (True, 0.1, 0.0)
    assert {id(p) for p in group["params"]} == {id(p) for norm in module.norms for p in norm.parameters()}
    assert len(others["params"]) + len(group["params"]) == len(list(module.net.parameters()))
    text = VideoClassifier(SPEC, replace(trained, geometry=replace(real.geometry, architecture="text")))
    assert [group["nesterov"] for group in text.optimizer(text.parameter_groups()).param_groups] == [False]


@pytest.mark.parametrize("clip", ["short", "long"])
def test_statistics_are_measured_again_only_where_they_are_not_frozen(real: Profile, clip: Any) -> None:
    module = VideoClassifier(replace(SPEC, clip=clip), real)
    batch = (torch.randint(256, (2, 8, 32, 32, 3), dtype=torch.uint8), torch.tensor([0, 1]))
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")))
    data: Any = SimpleNamespace(train_dataloader=lambda: [batch, batch])
    before = {name: tensor.clone() for name, tensor in module.net.state_dict().items()}
    module.after_fit(trainer, data)
    assert bool(changed(before, module.net.state_dict())) is (clip == "short")


@pytest.mark.rare  # its loaders are processes
def test_a_dry_run_goes_from_files_to_a_record_that_no_table_shows(
    real: Profile, videos: Path, tmp_path: Path
) -> None:
    run = smoke_run("r50-c2d", Folders(data=videos, results=tmp_path / "results"))
    record = train(replace(run, profile=real.dry(2)))
    assert record.profile == "real-dry-run"
    assert record.curve[-1].step == 2
    assert (record.tested, record.listed, record.views) == (2, 3, 6)  # 2 clips x 3 crops
    assert "clip_top1" in record.metrics


def test_a_run_starts_from_its_imagenet_file(real: Profile, tmp_path: Path) -> None:
    run = smoke_run("r50-i3d-3x1x1", Folders(imagenet=(tmp_path / "r50.pth",)))
    module = VideoClassifier(run.spec, real)
    with pytest.raises(BadInput, match=r"cannot read .*r50.pth: No such file"):
        module.start(replace(run, profile=real))
    given = VideoResNet(NetSpec(), real.geometry, 1000).state_dict()  # under torchvision's names
    torch.save(given, tmp_path / "r50.pth")
    assert module.start(replace(run, profile=real))["start"].startswith("r50.pth (sha256 ")
    started, name = module.net.state_dict(), "layer3.5.bn3.running_var"
    torch.testing.assert_close(started["conv1.weight"].sum(2), given["conv1.weight"])
    assert torch.equal(started[name], given[name])
