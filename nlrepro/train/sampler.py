"""The order of clips: pure functions of (seed, step), so that a run can go on from any step, on any number of devices.

Of each batch, or of the test videos, the process `rank` of `world_size` takes every `world_size`-th, from number `rank` on.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from nlrepro.config import Profile, Recipe
from nlrepro.data.crops import MIDDLE, ClipSample, Crop, training_crops

Batches = Sampler[list[ClipSample]]


class TrainBatches(Batches):
    """Batches from step `first` to the recipe's last. Videos are shuffled anew in each epoch; a batch may span two epochs."""

    def __init__(
        self,
        videos: int,
        recipe: Recipe,
        seed: int,
        anywhere: bool,
        first: int = 0,
        profile: Profile | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.videos, self.recipe, self.seed, self.anywhere, self.first = videos, recipe, seed, anywhere, first
        self.profile, self.rank, self.world_size = profile, rank, world_size

    def __len__(self) -> int:
        return self.recipe.steps  # all of them: Lightning counts the batches before `first` as done

    def __iter__(self) -> Iterator[list[ClipSample]]:
        batch = self.recipe.batch
        random = np.random.default_rng([self.seed])
        random.bit_generator.advance(self.first * batch)  # type: ignore[attr-defined]  # one sample a clip
        epoch = lru_cache(maxsize=2)(self.epoch)
        crops = self.crops()
        for step in range(self.first, self.recipe.steps):
            clips = range(step * batch, (step + 1) * batch)
            videos = [int(epoch(clip // self.videos)[clip % self.videos]) for clip in clips]
            where = random.random(batch).tolist() if self.anywhere else repeat(MIDDLE, batch)
            samples = [ClipSample(*parts) for parts in zip(videos, where, crops, strict=False)]
            yield samples[self.rank :: self.world_size]

    def epoch(self, number: int) -> npt.NDArray[np.int64]:
        """The order of the videos in one epoch."""
        return np.random.default_rng([self.seed, number]).permutation(self.videos)

    def crops(self) -> Iterator[Crop | None]:
        if self.profile is None or self.profile.real is None:
            return repeat(None)
        return training_crops(self.profile.real, self.profile.data.size, self.seed, self.first * self.recipe.batch)


class TestBatches(Batches):
    """Every video, or `at_most` evenly spaced ones, in clips at `places`, in all crops."""

    def __init__(
        self,
        videos: int,
        places: Sequence[float],
        batch: int,
        at_most: int | None = None,
        crops: Sequence[Crop | None] = (None,),
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        chosen = range(0, videos, -(-videos // at_most)) if at_most else range(videos)
        mine = chosen[rank::world_size]
        self.samples = [ClipSample(video, where, crop) for video in mine for where in places for crop in crops]
        views = len(places) * len(crops)
        self.batch = max(batch // views, 1) * views  # a video's views stay together

    def __len__(self) -> int:
        return -(-len(self.samples) // self.batch)

    def __iter__(self) -> Iterator[list[ClipSample]]:
        return (self.samples[i : i + self.batch] for i in range(0, len(self.samples), self.batch))


class Loader(DataLoader[Any]):
    """Clips from the cache are gathered in this process, in less than 1 ms a batch; `workers` processes decode files.

    Workers are never forked, as decord does not survive it.
    """

    def __init__(self, dataset: Dataset[Any], batches: Sampler[Any], workers: int = 0) -> None:
        super().__init__(
            dataset,
            batch_sampler=batches,
            collate_fn=same,
            num_workers=workers,
            persistent_workers=workers > 0,
            multiprocessing_context="spawn" if workers else None,
            generator=torch.Generator(),  # of its own: else each pass over the loader would sample from the one that dropout uses
        )

    def state_dict(self) -> dict[str, object]:
        """Nothing, as `TrainBatches` is told where to start. Lightning takes the method as a sign that the loader can resume."""
        return {}

    def load_state_dict(self, state: dict[str, object]) -> None: ...


def same(batch: Any) -> Any:
    """The batch as it is: the dataset has put it together already."""
    return batch
