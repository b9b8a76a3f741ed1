"""Recipes: the learning rate over the steps."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from nlrepro.config import Profile
from nlrepro.spec import RunSpec
from nlrepro.train.module import VideoClassifier


def rates(profile: Profile, steps: int, warmup: float) -> list[float]:
    """The learning rate of each step."""
    recipe = replace(profile.recipes["short"], steps=steps, warmup=warmup)
    made = VideoClassifier(RunSpec(), replace(profile, recipes={**profile.recipes, "short": recipe})).configure_optimizers()
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    found = []
    for step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < steps - 1:
            schedule.step()
    return found


@pytest.mark.parametrize(("warmup", "peak"), [(0.05, 0), (0.1, 1), (0.3, 5), (0.5, 9)])
def test_the_learning_rate_of_one_cycle_rises_in_its_warm_up_and_then_falls(smoke: Profile, warmup: float, peak: int) -> None:
    """Of 20 steps; with a warm-up of one step there is nothing to rise."""
    found = rates(smoke, 20, warmup)
    assert found.index(max(found)) == peak
    assert max(found) == pytest.approx(smoke.recipes["short"].lr, rel=0.01)
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)


@pytest.mark.parametrize("warmup", [0.0, 1.0, -0.1])
def test_a_warm_up_is_a_part_of_the_steps(smoke: Profile, warmup: float) -> None:
    with pytest.raises(ValidationError, match=r"warmup\s+Input should be (greater|less) than [01]"):
        replace(smoke.recipes["short"], warmup=warmup)
