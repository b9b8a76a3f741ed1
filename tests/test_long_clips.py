"""Runs of long clips leave batch normalisation as their parent left it, whatever happens on the way."""

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
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.run import Folders, Run
from nlrepro.train.loop import train

pytestmark = pytest.mark.usefixtures("as_in_a_sweep")
KEY = "r50-i3d-3x1x1-nl-5-block-embedded-spacetime-long"
State = dict[str, Tensor]


def weights(run: Run) -> State:
    return torch.load(run.weights, weights_only=True)


def changed(one: State, other: State) -> set[str]:
    assert one.keys() == other.keys()
    return {name for name in one if not torch.equal(one[name], other[name])}


def test_a_run_that_was_cut_off_changes_all_but_normalisation(
    swept: Path, data: Path, tmp_path: Path, smoke: Profile
) -> None:
    """Seven steps, with a validation and a checkpoint after 2, 4 and 6; another class goes on."""
    recipes = longer(smoke, 7, 2).recipes | {"short": smoke.recipes["short"]}
    run = smoke_run(KEY, Folders(data=data, results=tmp_path))
    run = replace(run, profile=replace(smoke, recipes=recipes))
    run.parent.folder.mkdir(parents=True)
    parent = replace(run, folders=replace(run.folders, results=swept)).parent
    run.parent.weights.write_bytes(parent.weights.read_bytes())
    for step in (3, 5):
        with pytest.raises(RuntimeError, match="the power is gone"):
            train(replace(run, module=cut_off_at(step, VideoClassifier)))
    train(replace(run, module=LongClips))
    module = VideoClassifier(run.spec, run.profile)
    layers = [name for name, layer in module.net.named_modules() if layer in module.norms]
    norms = {f"{name}.{part}" for name in layers for part in module.net.get_submodule(name).state_dict()}
    assert len(norms) == 5 * (53 + 5)  # those of the non-local blocks too
    assert changed(weights(parent), weights(run)) == module.net.state_dict().keys() - norms


def test_what_is_frozen_is_not_the_optimisers(real: Profile) -> None:
    """Also with the released recipe, in which normalisation has a group of its own."""
    module = VideoClassifier(smoke_run(KEY, Folders()).spec, real)
    (group,) = module.optimizer(module.parameter_groups()).param_groups
    assert group["weight_decay"] == real.recipes["long"].weight_decay
    norms = {id(p) for norm in module.norms for p in norm.parameters()}
    assert {id(p) for p in group["params"]} == {id(p) for p in module.net.parameters()} - norms


@pytest.mark.parametrize("clip", ["short", "long"])
def test_statistics_are_measured_again_only_where_they_are_not_frozen(real: Profile, clip: Any) -> None:
    module = VideoClassifier(replace(smoke_run(KEY, Folders()).spec, clip=clip), real)
    batch = (torch.randint(256, (2, 8, 32, 32, 3), dtype=torch.uint8), torch.tensor([0, 1]))
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")))
    data: Any = SimpleNamespace(train_dataloader=lambda: [batch, batch])
    before = {name: tensor.clone() for name, tensor in module.net.state_dict().items()}
    module.after_fit(trainer, data)
    assert bool(changed(before, module.net.state_dict())) is (clip == "short")
