"""The order of clips."""

from collections import Counter
from dataclasses import replace

import pytest

from nlrepro.config import Profile, Recipe
from nlrepro.data.kinetics.sampling import begins
from nlrepro.train.sampler import TestBatches as EvenBatches
from nlrepro.train.sampler import TrainBatches


@pytest.fixture
def recipe(smoke: Profile) -> Recipe:
    """10 steps of 4 of 7 videos: 5.7 epochs."""
    return replace(smoke.recipes["short"], steps=10, batch=4)


@pytest.mark.parametrize("anywhere", [True, False])
@pytest.mark.parametrize("first", [0, 1, 4, 9, 10])
def test_batches_resumed_are_the_undisturbed_ones_from_there(recipe: Recipe, anywhere: bool, first: int) -> None:
    undisturbed = list(TrainBatches(7, recipe, 3, anywhere))
    resumed = TrainBatches(7, recipe, 3, anywhere, first)
    assert list(resumed) == undisturbed[first:]
    assert list(resumed) == list(resumed)


def test_each_epoch_sees_every_video_once(recipe: Recipe) -> None:
    samples = [video for batch in TrainBatches(7, recipe, 3, True) for video, *_ in batch]
    epochs = [samples[i : i + 7] for i in range(0, 35, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 5  # each in an order of its own
    assert len(set(samples[35:])) == 5


def test_no_batch_is_short(recipe: Recipe) -> None:
    assert [len(batch) for batch in TrainBatches(7, recipe, 3, True)] == [4] * 10


def test_a_set_smaller_than_a_batch_will_do(recipe: Recipe) -> None:
    assert [len(batch) for batch in TrainBatches(3, recipe, 3, True)] == [4] * 10


def test_seeds_differ(recipe: Recipe) -> None:
    assert len({str(list(TrainBatches(7, recipe, seed, True))) for seed in range(5)}) == 5


def test_a_longer_recipe_begins_as_the_shorter_one_in_videos(recipe: Recipe) -> None:
    longer = replace(recipe, steps=20)
    assert list(TrainBatches(7, longer, 3, False))[:10] == list(TrainBatches(7, recipe, 3, False))


def test_places_are_anywhere_in_training_or_the_middle(recipe: Recipe) -> None:
    anywhere = [where for batch in TrainBatches(7, recipe, 3, True) for _, where, _ in batch]
    assert all(0 <= where < 1 for where in anywhere)
    assert len(set(anywhere)) == len(anywhere)
    assert {where for batch in TrainBatches(7, recipe, 3, False) for _, where, _ in batch} == {0.5}


@pytest.mark.parametrize(("views", "batch"), [(1, 4), (2, 5), (3, 7), (10, 4)])
def test_every_video_is_tested_exactly_views_times(views: int, batch: int) -> None:
    places = begins("paper", views)
    batches = list(EvenBatches(7, places, batch))
    samples = [sample for part in batches for sample in part]
    assert Counter(video for video, *_ in samples) == dict.fromkeys(range(7), views)
    assert [video for video, *_ in samples[::views]] == list(range(7))
    assert len(EvenBatches(7, places, batch)) == len(batches)
    assert all(len(part) % views == 0 for part in batches)  # a video's views stay together
    assert all(len(part) <= max(batch, views) for part in batches)
    assert [where for _, where, _ in samples[:views]] == places
