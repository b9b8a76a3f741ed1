"""The order of clips and images."""

from collections import Counter
from dataclasses import replace

import pytest

from nlrepro.config import Profile, Real
from nlrepro.data.clips import ClipSample, Crop, view_starts
from nlrepro.data.order import ClipTrainSampler, ImageSample, ImageTrainSampler, eval_clips, eval_images
from nlrepro.files import BadInput

REAL = Real(train_sides=(256, 320), test_side=256, devices=8, precise_batches=2)
Sampler = ClipTrainSampler | ImageTrainSampler


@pytest.fixture
def samplers(smoke: Profile) -> dict[str, Sampler]:
    """Of 10 steps of 4 of 7 items: 5.7 epochs."""
    recipe = replace(smoke.recipes["short"], steps=10, batch=4)
    clips = ClipTrainSampler(items=7, recipe=recipe, seed=3, anywhere=True)
    return {
        "anywhere": clips,
        "middle": replace(clips, anywhere=False),
        "real": replace(clips, real=REAL, size=224),
        "images": ImageTrainSampler(items=7, recipe=recipe, seed=3, flip=True),
    }


@pytest.fixture(params=["anywhere", "middle", "real", "images"])
def sampler(request: pytest.FixtureRequest, samplers: dict[str, Sampler]) -> Sampler:
    return samplers[request.param]


def test_the_streams_are_those_of_published_runs(samplers: dict[str, Sampler]) -> None:
    samples = next(iter(samplers["anywhere"]))
    assert [sample.video for sample in samples] == [5, 6, 2, 1]
    places = [0.08564917, 0.23681051, 0.80127447, 0.58216204]
    assert [sample.where for sample in samples] == pytest.approx(places)
    crop = next(iter(samplers["real"]))[1].crop
    assert crop == Crop(295, 224, pytest.approx(0.74373919), pytest.approx(0.79539354), flip=False)
    drawn = [sample for batch in samplers["images"] for sample in batch]
    assert [sample.image for sample in drawn[:4]] == [5, 6, 2, 1]
    assert "".join(str(int(sample.mirrored)) for sample in drawn[:10]) == "1001100101"


@pytest.mark.parametrize("first", [1, 4, 9, 10])
def test_batches_resumed_and_shared_are_the_undisturbed_ones(sampler: Sampler, first: int) -> None:
    batches, resumed = list(sampler), replace(sampler, first=first)
    assert list(resumed) == list(resumed) == batches[first:]
    assert len(resumed) == 10  # Lightning counts the batches before `first` as done
    parts = [list(replace(resumed, rank=rank, world_size=3)) for rank in range(3)]
    for step, batch in enumerate(batches[first:]):
        assert [parts[i % 3][step][i // 3] for i in range(4)] == batch


def test_a_device_may_take_its_share_of_a_batch_in_parts(samplers: dict[str, Sampler]) -> None:
    """They are the shares of as many devices."""
    sampler = samplers["anywhere"]
    parted = replace(sampler, recipe=replace(sampler.recipe, accumulate=2), first=3)
    shares = [list(replace(sampler, first=3, rank=rank, world_size=2)) for rank in range(2)]
    assert list(parted) == [share for step in zip(*shares, strict=True) for share in step]
    assert len(parted) == 20
    with pytest.raises(BadInput, match="a batch of 4 cannot be shared by 6 processes"):
        replace(parted, world_size=3)


def test_each_epoch_has_every_item_once_in_an_order_of_its_own_and_of_the_seed(sampler: Sampler) -> None:
    batches = list(sampler)
    assert [len(batch) for batch in batches] == [4] * 10
    items = [sample[0] for batch in batches for sample in batch]
    epochs = [tuple(items[i : i + 7]) for i in range(0, 35, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len(set(epochs)) == 5
    assert [len(batch) for batch in replace(sampler, items=3)] == [4] * 10
    assert len({str(list(replace(sampler, seed=seed))) for seed in range(5)}) == 5


def test_what_is_drawn_for_a_sample_is_the_papers(samplers: dict[str, Sampler]) -> None:
    """Places anywhere or in the middle, sides of 256 to 320, half of the crops and images mirrored."""
    recipe = replace(samplers["real"].recipe, steps=100)
    many = {
        name: [sample for batch in replace(sampler, recipe=recipe) for sample in batch]
        for name, sampler in samplers.items()
    }
    places = [sample.where for sample in many["anywhere"]]
    assert all(0 <= where < 1 for where in places)
    assert len(set(places)) == len(places)
    assert {sample.where for sample in many["middle"]} == {0.5}
    crops = [sample.crop for sample in many["real"]]
    assert 256 <= min(crop.side for crop in crops) < 260 < 316 < max(crop.side for crop in crops) <= 320
    assert {crop.size for crop in crops} == {224}
    assert 150 < sum(crop.flip for crop in crops) < 250
    assert 150 < sum(sample.mirrored for sample in many["images"]) < 250
    assert not any(sample.mirrored for batch in replace(samplers["images"], flip=False) for sample in batch)


@pytest.mark.parametrize(("views", "batch"), [(1, 4), (2, 5), (3, 7), (10, 4)])
def test_every_video_is_tested_exactly_views_times(views: int, batch: int) -> None:
    starts = view_starts("paper", views)
    batches = list(eval_clips(7, starts, batch))
    samples = [sample for part in batches for sample in part]
    assert Counter(sample.video for sample in samples) == dict.fromkeys(range(7), views)
    assert [sample.video for sample in samples[::views]] == list(range(7))
    assert [sample.where for sample in samples[:views]] == starts
    assert all(len(part) % views == 0 for part in batches)  # a video's views stay together
    assert all(len(part) <= max(batch, views) for part in batches)


def test_a_validation_takes_some_videos_and_each_process_its_part() -> None:
    some = list(eval_clips(7, [0.5], 2, at_most=3))
    assert [[sample.video for sample in batch] for batch in some] == [[0, 3], [6]]
    assert list(eval_clips(7, [0.5], 9, rank=1, world_size=2)) == [[ClipSample(i, 0.5) for i in (1, 3, 5)]]
    assert list(eval_images(5, 2, rank=1, world_size=2)) == [[ImageSample(1), ImageSample(3)]]


def test_fewer_items_than_processes_are_refused_but_in_a_dry_run(smoke: Profile) -> None:
    """Lightning skips the evaluation of a process without items, and the others would wait for it."""
    recipe = replace(smoke.recipe("short"), batch=2)
    with pytest.raises(BadInput, match="a batch of 2 cannot be shared by 3 processes; use at most 2"):
        ClipTrainSampler(items=7, recipe=recipe, seed=3, anywhere=True, world_size=3)
    for sampler in (
        lambda: eval_clips(9, [0.5], 2, at_most=2, world_size=3),
        lambda: eval_images(2, 2, world_size=3),
    ):
        with pytest.raises(BadInput, match="a validation or test of 2 cannot be shared by 3 processes"):
            sampler()
    dry = smoke.dry(1)
    shares = [(each.batch, each.validate_videos) for each in (dry.recipe("short", n) for n in (1, 3))]
    assert shares == [(2, 2), (3, 3)]
