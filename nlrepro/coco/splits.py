"""The images of one run as Lightning wants them: three loaders, each of which gives a process its part."""

from dataclasses import replace

import pytorch_lightning as pl

from nlrepro.coco.data import Tree, for_training, tree
from nlrepro.coco.loading import Drawn, Images, Once
from nlrepro.coco.profile import DetectionRecipe
from nlrepro.coco.trial import DetectionTrial
from nlrepro.train.datamodule import WORKERS
from nlrepro.train.sampler import Loader

TEST_BATCH = 8  # generated images; the real ones are of all sizes, and are tested one by one


class Splits(pl.LightningDataModule):
    """Training goes on from step `first`; a validation looks at the recipe's number of images, the test at all."""

    def __init__(self, run: DetectionTrial, recipe: DetectionRecipe, first: int = 0) -> None:
        super().__init__()
        self.run, self.recipe, self.first = run, recipe, first
        self.notes: tuple[str, ...] = ()  # what of the training images, and of those of the test, was left out

    @property
    def generated(self) -> bool:
        return self.run.spec.kind in self.run.profile.scenes

    @property
    def ranks(self) -> tuple[int, int]:
        assert self.trainer
        return self.trainer.global_rank, self.trainer.world_size

    def split(self, name: str) -> Tree:
        return tree(self.run.root, name, self.run.spec.kind)

    def loader(self, images: Images, batches: Drawn | Once) -> Loader:
        return Loader(images, batches, 0 if self.generated else WORKERS)

    def train_dataloader(self) -> Loader:
        found, recipe = for_training(self.split("train")), self.recipe
        self.notes += found.notes
        order = Drawn(
            len(found.images), recipe.steps, recipe.batch, self.run.seed, self.run.profile.flip, self.first, *self.ranks
        )
        return self.loader(Images(found, training=True), order)

    def val_dataloader(self) -> Loader:
        found = self.split("val")
        return self.once(replace(found, images=found.images[: self.recipe.validate_videos]))

    def test_dataloader(self) -> Loader:
        found = self.split(self.run.profile.test)
        self.notes += found.notes
        return self.once(found)

    def once(self, found: Tree) -> Loader:
        order = Once(len(found.images), TEST_BATCH if self.generated else 1, *self.ranks)
        return self.loader(Images(found, training=False), order)
