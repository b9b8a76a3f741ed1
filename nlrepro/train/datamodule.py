"""The videos of one run as Lightning wants them: three loaders, each of which gives a process its part."""

import os

import pytorch_lightning as pl

from nlrepro.config import Recipe, Sampling
from nlrepro.data.crops import MIDDLE, Crop, view_crops
from nlrepro.data.kinetics.clips import FileClips
from nlrepro.data.kinetics.index import read_index, usable
from nlrepro.data.kinetics.listing import listing
from nlrepro.data.kinetics.sampling import begins
from nlrepro.data.synthetic import kind_of
from nlrepro.data.videos import ClipDataset, Tree, decoded
from nlrepro.record import Count
from nlrepro.run import Run
from nlrepro.train.sampler import Loader, TestBatches, TrainBatches

TEST_BATCH = 100  # clips of generated videos; changes nothing but speed
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # that this process may use
WORKERS = min(CORES, 8)  # processes that decode files for one device


class Splits(pl.LightningDataModule):
    """The three splits. Training goes on from step `first`; the test takes all videos, or at most `at_most`."""

    def __init__(self, run: Run, recipe: Recipe, first: int = 0, at_most: int | None = None) -> None:
        super().__init__()
        self.run, self.recipe, self.first, self.at_most = run, recipe, first, at_most
        self.profile, self.clips = run.profile, run.profile.clips[run.spec.clip]
        self.tested: Count | None = None  # of a real split, as it was last opened
        self.kinds: list[str] = []  # of the videos of a generated split, as it was last opened

    @property
    def rank_and_world_size(self) -> tuple[int, int]:
        assert self.trainer
        return self.trainer.global_rank, self.trainer.world_size

    def dataset(self, split: str, sampling: Sampling = "paper") -> ClipDataset | FileClips:
        """All videos of a generated split; those of a real one that `data check` found usable."""
        data, folder = self.profile.data, self.run.folders.data
        root, cache = folder / data.root, folder / "cache"
        if self.profile.real is None:
            tree = Tree.complete(root / split, self.clips.classes, self.profile.generator)
            self.kinds = [kind_of(video) for video in tree.videos]
            return ClipDataset(tree, self.clips, decoded(tree, data, cache))
        listed, index = listing(root, split, None if self.profile.dry_run else self.clips.classes), read_index(root, split, cache)
        tree = usable(listed.tree, index)
        self.tested = Count(usable=len(tree.videos), listed=listed.listed)
        return FileClips(tree, [index[video] for video in tree.videos], self.clips, sampling)

    @property
    def crops(self) -> list[Crop] | list[None]:
        """The crops of a test clip."""
        return view_crops(self.profile.real, self.profile.release) if self.profile.real else [None]

    def loader(self, dataset: ClipDataset | FileClips, batches: TrainBatches | TestBatches) -> Loader:
        return Loader(dataset, batches, WORKERS if self.profile.real else 0)

    def train_dataloader(self) -> Loader:
        videos = self.dataset(self.clips.train)
        anywhere, seed = self.clips.anywhere, self.run.seed
        batches = TrainBatches(len(videos), self.recipe, seed, anywhere, self.first, self.profile, *self.rank_and_world_size)
        return self.loader(videos, batches)

    def val_dataloader(self) -> Loader:
        """One clip of some videos, in one crop."""
        videos = self.dataset(self.clips.val)
        some, middle = self.recipe.validate_videos, self.crops[len(self.crops) // 2]
        batch = 1 if self.profile.real else TEST_BATCH
        return self.loader(videos, TestBatches(len(videos), [MIDDLE], batch, some, [middle], *self.rank_and_world_size))

    def test_dataloader(self) -> Loader:
        sampling: Sampling = self.profile.real.sampling if self.profile.real else "paper"
        videos = self.dataset(self.clips.test, sampling)
        batch = 1 if self.profile.real else TEST_BATCH
        places, some = begins(sampling, self.profile.data.views), self.at_most
        return self.loader(videos, TestBatches(len(videos), places, batch, some, self.crops, *self.rank_and_world_size))
