"""`Detector`: Mask R-CNN or Keypoint R-CNN with its recipe. Lightning trains it, COCO's own code measures it."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torchmetrics import MeanMetric

from nlrepro.beyond.outcome import Score
from nlrepro.coco.data import Tree
from nlrepro.coco.evaluation import MEASURES, Detection, Measure, Precision, detections, precision
from nlrepro.coco.profile import DetectionRecipe
from nlrepro.train.learner import Learner, demand_number

Batch = Sequence[tuple[int, Tensor | str, dict[str, Tensor]]]  # id, pixels (3, H, W) or why there are none, target


class Seen:
    """What a net has said of the images of a split so far."""

    def __init__(self, tree: Tree, measures: Sequence[Measure]) -> None:
        self.tree = tree
        self.images: list[int] = []
        self.broken: list[str] = []
        self.found: dict[Measure, list[Detection]] = {measure: [] for measure in measures}

    def add(self, image: int, output: Mapping[str, Tensor]) -> None:
        self.images.append(image)
        for measure, items in self.found.items():
            items += detections(image, output, measure)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is said of images that could not be read."""
        told = f"{len(self.broken):,} images cannot be used and are left out, such as: "
        return (told + self.broken[0],) if self.broken else ()

    def gathered(self) -> "Seen":
        """Those of all processes together."""
        if not distributed.is_initialized():
            return self
        parts: list[Any] = [None] * distributed.get_world_size()
        distributed.all_gather_object(parts, (self.images, self.broken, self.found))
        whole = Seen(self.tree, list(self.found))
        whole.images = sorted(chain.from_iterable(images for images, _, _ in parts))
        whole.broken = list(chain.from_iterable(broken for _, broken, _ in parts))
        whole.found = {measure: list(chain.from_iterable(found[measure] for *_, found in parts)) for measure in self.found}
        return whole

    def precision(self, measure: Measure) -> Precision:
        return precision(self.tree.coco, self.images, self.found[measure], measure)


class Detector(Learner):
    """A net of torchvision under a recipe. The loss is torchvision's: of proposals, classes, boxes, masks or keypoints."""

    point = Score
    recipe: DetectionRecipe

    def __init__(self, net: nn.Module, recipe: DetectionRecipe) -> None:
        super().__init__()
        self.net, self.recipe = net, recipe
        self.train_loss = MeanMetric(nan_strategy="disable")
        self.seen: Seen | None = None  # the runner gives one for each split

    def training_step(self, batch: Batch, index: int) -> Tensor:
        losses = self.net([pixels for _, pixels, _ in batch], [objects for _, _, objects in batch])
        loss: Tensor = torch.stack(list(losses.values())).sum()
        self.train_loss.update(loss.detach())
        return loss

    def look(self, batch: Batch) -> None:
        """Take down what the net says of the images that could be read."""
        assert self.seen
        self.seen.broken += [pixels for _, pixels, _ in batch if isinstance(pixels, str)]
        good = [(image, pixels) for image, pixels, _ in batch if not isinstance(pixels, str)]
        outputs = self.net([pixels for _, pixels in good]) if good else []
        for (image, _), output in zip(good, outputs, strict=True):
            self.seen.add(image, output)

    def begin(self, tree: Tree) -> None:
        """From here on what is found is of these images."""
        self.seen = Seen(tree, MEASURES[tree.kind])

    def on_validation_epoch_start(self) -> None:
        loaders = self.trainer.val_dataloaders
        assert loaders
        self.begin(loaders.dataset.tree)

    def on_test_epoch_start(self) -> None:
        loaders = self.trainer.test_dataloaders
        assert loaders
        self.begin(loaders.dataset.tree)

    def validation_step(self, batch: Batch, index: int) -> None:
        self.look(batch)

    def test_step(self, batch: Batch, index: int) -> None:
        self.look(batch)

    def on_validation_epoch_end(self) -> None:
        """Add a point to the curve: the training loss since the last point, and the AP of masks or of keypoints now."""
        assert self.seen
        value = self.seen.gathered().precision(MEASURES[self.seen.tree.kind][-1]).ap or 0.0
        loss = float(self.train_loss.compute())
        demand_number(loss, self.global_step)
        self.curve.append(Score(step=self.global_step, train_loss=loss, value=round(value, 4)))
        self.log_dict({"train_loss": loss, "value": value})
        self.train_loss.reset()

    def configure_optimizers(self) -> Any:
        """The recipe's; SGD's learning rate rises to its value in the recipe's first steps."""
        found = super().configure_optimizers()
        if self.recipe.schedule == "steps" and self.recipe.warmup_steps:
            later = found["lr_scheduler"]["scheduler"]
            rise = torch.optim.lr_scheduler.LinearLR(found["optimizer"], 1e-3, total_iters=self.recipe.warmup_steps)
            found["lr_scheduler"]["scheduler"] = torch.optim.lr_scheduler.ChainedScheduler([rise, later])
        return found
