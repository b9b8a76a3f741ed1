"""The videos of one run as Lightning wants them: three loaders, as nlrepro/train/datamodule.py has them for Table 2."""

from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl

from nlrepro.charades.layout import PUBLIC
from nlrepro.charades.profile import Profile
from nlrepro.charades.videos import ActionClips, Videos, opened
from nlrepro.config import Recipe
from nlrepro.data.crops import MIDDLE, Crop, view_crops
from nlrepro.data.kinetics.sampling import begins
from nlrepro.spec import TRAINED, ActionSpec, Part
from nlrepro.train.datamodule import TEST_BATCH, WORKERS
from nlrepro.train.sampler import Loader, TestBatches, TrainBatches


class ActionSplits(pl.LightningDataModule):
    """What a spec trains on and is tested on. Training goes on from step `first`.

    The curve is about validation videos in both splits; in trainval/test they have been trained on.
    """

    def __init__(self, spec: ActionSpec, profile: Profile, data: Path, recipe: Recipe, seed: int, first: int = 0) -> None:
        super().__init__()
        self.spec, self.profile, self.data, self.recipe, self.seed, self.first = spec, profile, data, recipe, seed, first
        self.opened: dict[Part, Videos] = {}

    def videos(self, part: Part) -> Videos:
        """The folder of a part, opened once."""
        key: Part = PUBLIC[0] if part in PUBLIC else part
        if key not in self.opened:
            self.opened[key] = opened(self.profile, key, self.data, WORKERS if self.profile.real else 1)
        return self.opened[key]

    def dataset(self, parts: Sequence[Part], *, training: bool = False) -> ActionClips:
        return ActionClips(self.videos(parts[0]), parts, self.profile.clips.classes, training=training)

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the videos is left out."""
        return tuple(note for part in (*TRAINED[self.spec.split], self.spec.tested) for note in self.videos(part).notes(part))

    @property
    def ranks(self) -> tuple[int, int]:
        """The number of this process, and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    @property
    def crops(self) -> list[Crop] | list[None]:
        """The crops of a test clip."""
        table2 = self.profile.as_table2
        return view_crops(table2.real, table2.release) if table2.real else [None]

    def loader(self, dataset: ActionClips, batches: TrainBatches | TestBatches) -> Loader:
        return Loader(dataset, batches, WORKERS if self.profile.real else 0)

    def train_dataloader(self) -> Loader:
        videos = self.dataset(TRAINED[self.spec.split], training=True)
        anywhere, table2 = self.profile.clips.anywhere, self.profile.as_table2
        return self.loader(videos, TrainBatches(len(videos), self.recipe, self.seed, anywhere, self.first, table2, *self.ranks))

    def val_dataloader(self) -> Loader:
        """One clip of some videos, in one crop."""
        videos, middle = self.dataset(["val"]), self.crops[len(self.crops) // 2]
        batch = 1 if self.profile.real else TEST_BATCH
        return self.loader(videos, TestBatches(len(videos), [MIDDLE], batch, self.recipe.validate_videos, [middle], *self.ranks))

    def test_dataloader(self) -> Loader:
        videos, places = self.dataset([self.spec.tested]), begins("paper", self.profile.data.views)
        batch = 1 if self.profile.real else TEST_BATCH
        return self.loader(videos, TestBatches(len(videos), places, batch, None, self.crops, *self.ranks))
