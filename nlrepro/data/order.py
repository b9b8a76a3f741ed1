"""The order of clips and images, as functions of (seed, step): a run goes on from any step, on any devices.

Of each training batch, and of the items of a test, the process `rank` of `world_size` takes every
`world_size`-th, from number `rank` on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from nlrepro.config import Real, Recipe
from nlrepro.data.clips import MIDDLE, ClipSample, Crop, training_crop
from nlrepro.files import BadInput
from nlrepro.processes import usable_cores

Sample = TypeVar("Sample")


WORKERS = min(usable_cores(), 8)  # processes that read files for one device


def check_shares(items: int, what: str, world_size: int) -> None:
    """Refuse fewer items than processes: those without any would keep the others waiting."""
    if items < world_size:
        raise BadInput(f"{what} of {items} cannot be shared by {world_size} processes; use at most {items}")


class ImageSample(NamedTuple):
    image: int  # its number in the split
    mirrored: bool = False


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, items: int) -> npt.NDArray[np.int64]:
    """The order of the items in one epoch, (items,)."""
    return np.random.default_rng([seed, epoch]).permutation(items)


@dataclass(frozen=True, kw_only=True)
class TrainSampler(Sampler[list[Sample]]):
    """Batches, or their parts, from step `first` to the last. Epochs are shuffled anew."""

    items: int
    recipe: Recipe
    seed: int
    first: int = 0
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        parts = self.world_size * self.recipe.accumulate
        check_shares(self.recipe.batch, "a batch", parts)

    def __len__(self) -> int:
        # all of them: Lightning counts those before `first` as done
        return self.recipe.steps * self.recipe.accumulate

    def __iter__(self) -> Iterator[list[Sample]]:
        batch = self.recipe.batch
        for step in range(self.first, self.recipe.steps):
            numbers = range(step * batch, (step + 1) * batch)[self.rank :: self.world_size]
            for part in range(self.recipe.accumulate):
                yield [self.sample(number) for number in numbers[part :: self.recipe.accumulate]]

    def item(self, number: int) -> int:
        """The item that has place `number` in the whole training."""
        epoch, place = divmod(number, self.items)
        return int(epoch_order(self.seed, epoch, self.items)[place])

    def sample(self, number: int) -> Sample:
        """That item, with all that is drawn for it."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class ClipTrainSampler(TrainSampler[ClipSample]):
    """Training clips, anywhere in their videos or in the middle; of real videos in crops of `size` pixels."""

    anywhere: bool
    real: Real | None = None
    size: int = 0

    def sample(self, number: int) -> ClipSample:
        where = MIDDLE
        if self.anywhere:
            random = np.random.default_rng([self.seed])
            random.bit_generator.advance(number)  # type: ignore[attr-defined]  # to draw `number` of its stream
            where = random.random()
        crop = training_crop(self.real, self.size, self.seed, number) if self.real else None
        return ClipSample(self.item(number), where, crop)


@dataclass(frozen=True, kw_only=True)
class ImageTrainSampler(TrainSampler[ImageSample]):
    """Training images; with `flip` half of them are mirrored."""

    flip: bool

    def sample(self, number: int) -> ImageSample:
        epoch, place = divmod(number, self.items)
        mirrored = self.flip and np.random.default_rng([self.seed, epoch, place]).random() < 0.5
        return ImageSample(self.item(number), mirrored)


def eval_clips(
    videos: int,
    starts: Sequence[float],
    batch: int,
    *,
    at_most: int | None = None,
    crops: Sequence[Crop | None] = (None,),
    rank: int = 0,
    world_size: int = 1,
) -> BatchSampler:
    """Every video, or `at_most` evenly spaced ones, in clips at `starts`, in all crops.

    All clips of a video are in one batch.
    """
    chosen = range(0, videos, -(-videos // at_most)) if at_most else range(videos)
    check_shares(len(chosen), "a validation or test", world_size)
    views = list(product(starts, crops))
    samples: Any = [ClipSample(video, *view) for video in chosen[rank::world_size] for view in views]
    return BatchSampler(samples, max(batch // len(views), 1) * len(views), drop_last=False)


def eval_images(images: int, batch: int, *, rank: int = 0, world_size: int = 1) -> BatchSampler:
    """Every image once."""
    check_shares(images, "a validation or test", world_size)
    samples: Any = [ImageSample(image) for image in range(images)[rank::world_size]]
    return BatchSampler(samples, batch, drop_last=False)


class Loader(DataLoader[Any]):
    """Batches of a dataset, in the order of a sampler; without `workers`, this process gathers them.

    Of decoded videos that takes less than 1 ms a batch. Workers are never forked: decord does not survive it.
    """

    def __init__(self, dataset: Dataset[Any], batches: Sampler[Any], workers: int = 0) -> None:
        super().__init__(
            dataset,
            batch_sampler=batches,
            collate_fn=as_it_is,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=workers > 0 and torch.cuda.is_available(),  # Lightning's copies are then asynchronous
            multiprocessing_context="spawn" if workers else None,
            generator=torch.Generator(),  # else each pass would draw from the one that dropout uses
        )

    def state_dict(self) -> dict[str, object]:
        """Nothing: the sampler knows its first step. To Lightning the method means that loaders resume."""
        return {}

    def load_state_dict(self, state: dict[str, object]) -> None: ...


def as_it_is(batch: Any) -> Any:
    """The batch, which the dataset has put together already."""
    return batch
