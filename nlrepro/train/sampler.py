"""The order of clips: pure functions of (seed, step), so that a run can go on from any step, on any number of devices."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from nlrepro.data.crops import MIDDLE, ClipSample, Crop, training_crops
from nlrepro.profile import Profile, Recipe
from nlrepro.train.paths import WHOLE, Share

Batches = Sampler[list[ClipSample]]


class TrainBatches(Batches):
    """Batches from step `first` to the recipe's last: epochs of shuffled videos, one after the other, no batch short.

    `share` is the part of each batch that this device takes.
    """

    def __init__(
        self,
        videos: int,
        recipe: Recipe,
        seed: int,
        anywhere: bool,
        first: int = 0,
        profile: Profile | None = None,
        share: Share = WHOLE,
    ) -> None:
        self.videos, self.recipe, self.seed, self.anywhere, self.first = videos, recipe, seed, anywhere, first
        self.profile, self.share = profile, share

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
            yield samples[self.share.rank :: self.share.of]

    def epoch(self, number: int) -> npt.NDArray[np.int64]:
        """The order of the videos in one epoch."""
        return np.random.default_rng([self.seed, number]).permutation(self.videos)

    def crops(self) -> Iterator[Crop | None]:
        if self.profile is None or self.profile.real is None:
            return repeat(None)
        return training_crops(self.profile.real, self.profile.data.size, self.seed, self.first * self.recipe.batch)


class TestBatches(Batches):
    """Every video, or `at_most` evenly spaced ones, in `views` clips from begin to end (one: its middle), in all crops."""

    def __init__(
        self,
        videos: int,
        views: int,
        batch: int,
        at_most: int | None = None,
        crops: Sequence[Crop | None] = (None,),
        share: Share = WHOLE,
    ) -> None:
        places = [MIDDLE] if views == 1 else np.linspace(0, 1, views).tolist()
        chosen = range(0, videos, -(-videos // at_most)) if at_most else range(videos)
        mine = chosen[share.rank :: share.of]
        self.samples = [ClipSample(video, where, crop) for video in mine for where in places for crop in crops]
        views *= len(crops)
        self.batch = max(batch // views, 1) * views  # a video's views stay together

    def __len__(self) -> int:
        return -(-len(self.samples) // self.batch)

    def __iter__(self) -> Iterator[list[ClipSample]]:
        return (self.samples[i : i + self.batch] for i in range(0, len(self.samples), self.batch))


class Loader(DataLoader[Any]):
    """Cached clips are gathered in this process, below 1 ms a batch; files are decoded by `workers` processes.

    Workers are never forked: decord does not survive it.
    """

    def __init__(self, dataset: Dataset[Any], batches: Batches, workers: int = 0) -> None:
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
        """Nothing: `TrainBatches` starts where it is told to. That it exists tells Lightning that this loader can resume."""
        return {}

    def load_state_dict(self, state: dict[str, object]) -> None: ...


def same(batch: Any) -> Any:
    """The dataset makes whole batches; there is nothing left to collate."""
    return batch
