"""The order of clips: pure functions of (seed, step), so that a run can go on from any step."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from nlrepro.data.videos import ClipDataset
from nlrepro.profile import Recipe

Draw = tuple[int, float]  # (video, where the clip starts: 0 the video's begin, 1 its end)
MIDDLE = 0.5


class TrainBatches(Sampler[list[Draw]]):
    """Batches from step `first` to the recipe's last: epochs of shuffled videos, one after the other, no batch short."""

    def __init__(self, videos: int, recipe: Recipe, seed: int, anywhere: bool, first: int = 0) -> None:
        self.videos, self.recipe, self.seed, self.anywhere, self.first = videos, recipe, seed, anywhere, first

    def __len__(self) -> int:
        return self.recipe.steps  # all of them: Lightning counts the batches before `first` as done

    def __iter__(self) -> Iterator[list[Draw]]:
        batch = self.recipe.batch
        epochs = -(-self.recipe.steps * batch // self.videos)
        order = np.concatenate([np.random.default_rng([self.seed, epoch]).permutation(self.videos) for epoch in range(epochs)])
        where = np.random.default_rng([self.seed]).random(len(order)) if self.anywhere else np.full(len(order), MIDDLE)
        for step in range(self.first, self.recipe.steps):
            chosen = slice(step * batch, (step + 1) * batch)
            yield list(zip(order[chosen].tolist(), where[chosen].tolist(), strict=True))


class TestBatches(Sampler[list[Draw]]):
    """Every video, or `at_most` evenly spaced ones, `views` times: in the middle, or at even places from begin to end."""

    def __init__(self, videos: int, views: int, batch: int, at_most: int | None = None) -> None:
        places = [MIDDLE] if views == 1 else np.linspace(0, 1, views).tolist()
        chosen = range(0, videos, -(-videos // at_most)) if at_most else range(videos)
        self.draws = [(video, where) for video in chosen for where in places]
        self.batch = max(batch // views, 1) * views  # a video's views stay together

    def __len__(self) -> int:
        return -(-len(self.draws) // self.batch)

    def __iter__(self) -> Iterator[list[Draw]]:
        return (self.draws[i : i + self.batch] for i in range(0, len(self.draws), self.batch))


class Loader(DataLoader[object]):
    """Clips are gathered from memory in this process: below 1 ms a batch, less than a worker's hand-over costs."""

    def __init__(self, dataset: ClipDataset, batches: Sampler[list[Draw]]) -> None:
        # a generator of its own: else each pass over the loader would draw from the one that dropout uses
        super().__init__(dataset, batch_sampler=batches, collate_fn=lambda batch: batch, generator=torch.Generator())

    def state_dict(self) -> dict[str, object]:
        """Nothing: `TrainBatches` starts where it is told to. That it exists tells Lightning that this loader can resume."""
        return {}

    def load_state_dict(self, state: dict[str, object]) -> None: ...
