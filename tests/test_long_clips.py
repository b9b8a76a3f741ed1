"""Runs of long clips leave batch normalisation as their parent left it, to the bit, whatever happens to them on the way."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from attempts import cut_off_at
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ablations.long_clips import LongClips
from nlrepro.config import Profile, load_profile
from nlrepro.run import Run
from nlrepro.spec import RunSpec
from nlrepro.sweep.jobs import Build, Job
from nlrepro.train.module import VideoClassifier
from nlrepro.train.precise_bn import precise_bn
from nlrepro.train.runner import execute
from nlrepro.trial import Folders

pytestmark = pytest.mark.usefixtures("as_in_a_sweep")
MODEL = {"conv": "3x1x1", "blocks": "5-block"}
LONG = LongClips.spec(**MODEL)
SHORT = replace(LONG, clip="short")
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def profile(smoke: Profile) -> Profile:
    """Seven steps of long clips, with validations, hence checkpoints, after 2, 4 and 6."""
    return replace(smoke, recipes={**smoke.recipes, "long": replace(smoke.recipes["long"], steps=7, validate_every=2)})


@pytest.fixture(scope="module")
def parent(profile: Profile, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of short clips, trained."""
    run = Run(spec=SHORT, profile=profile, seed=0, folders=Folders(data=data, results=tmp_path_factory.mktemp("parent")))
    execute(Job(run))
    return run


def weights(run: Run) -> State:
    state: State = torch.load(run.weights, weights_only=True)
    return state


@pytest.fixture
def trained(parent: Run, tmp_path: Path) -> Callable[..., State]:
    """The net after a run of long clips that was cut off at these steps and then went on."""

    def net(name: str, *steps: int, build: Build | None = None) -> State:
        run = replace(parent, spec=LONG, folders=replace(parent.folders, results=tmp_path / name))
        assert run.parent
        run.parent.folder.mkdir(parents=True)
        run.parent.weights.write_bytes(parent.weights.read_bytes())
        for step in steps:
            with pytest.raises(RuntimeError, match="the power is gone"):
                execute(Job(run, partial(cut_off_at(step), LONG)))
        execute(Job(run, build))
        return weights(run)

    return net


def changed(one: State, other: State) -> set[str]:
    assert one.keys() == other.keys()
    return {name for name in one if not torch.equal(one[name], other[name])}


def of_normalisation(profile: Profile) -> set[str]:
    layers = {name: m for name, m in VideoClassifier(LONG, profile).net.named_modules() if isinstance(m, _BatchNorm)}
    return {f"{name}.{part}" for name, layer in layers.items() for part in layer.state_dict()}


def test_a_run_through_validations_changes_all_but_normalisation(
    profile: Profile, parent: Run, trained: Callable[..., State]
) -> None:
    before, after, norms = weights(parent), trained("a"), of_normalisation(profile)
    assert len(norms) == 5 * (53 + 5)  # that of the non-local block too
    assert changed(before, after) == before.keys() - norms


@pytest.mark.parametrize("steps", [(1,), (3,), (6,), (3, 5)])
def test_a_run_that_was_cut_off_ends_with_the_same_net(steps: tuple[int, ...], trained: Callable[..., State]) -> None:
    undisturbed = trained("a")
    assert not changed(undisturbed, trained("b", *steps))


def test_the_class_that_happens_to_train_changes_nothing(trained: Callable[..., State]) -> None:
    assert not changed(trained("a"), trained("b", build=partial(LongClips, **MODEL)))


@pytest.mark.parametrize("name", ["smoke", "mini", "paper"])
def test_long_clips_alone_are_trained_with_frozen_normalisation(name: str) -> None:
    assert {clip for clip, recipe in load_profile(name).recipes.items() if recipe.frozen_norm} == {"long"}


def test_what_is_frozen_is_not_the_optimisers(real: Profile) -> None:
    """Also with the released recipe, in which normalisation has a group of its own."""
    module = VideoClassifier(LONG, real)
    (group,) = module.optimizer(module.groups()).param_groups
    assert group["weight_decay"] == real.recipes["long"].weight_decay
    norms = {id(p) for norm in module.norms for p in norm.parameters()}
    assert {id(p) for p in group["params"]} == {id(p) for p in module.net.parameters()} - norms


@pytest.mark.parametrize("spec", [SHORT, LONG])
def test_statistics_are_measured_again_only_where_they_are_not_frozen(real: Profile, spec: RunSpec) -> None:
    module = VideoClassifier(spec, real)
    batch = (torch.randint(256, (2, 8, 32, 32, 3), dtype=torch.uint8), torch.tensor([0, 1]))
    fitter: Any = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")))
    splits: Any = SimpleNamespace(train_dataloader=lambda: [batch, batch])
    before = {name: tensor.clone() for name, tensor in module.net.state_dict().items()}
    precise_bn(module, fitter, splits)
    assert bool(changed(before, module.net.state_dict())) is (spec == SHORT)
