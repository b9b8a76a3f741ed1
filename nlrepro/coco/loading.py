"""Images in the order that a run sees them, a function of (seed, step), and mirrored if it says so."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from nlrepro.coco.data import Tree, picture, target
from nlrepro.files import BadInput

Target = dict[str, Tensor]
# Of a person's 17 keypoints, the number of each one's mirror image: the nose's own, then pairs of left and right.
MIRRORED = [0, *(i + 1 if i % 2 else i - 1 for i in range(1, 17))]


class Draw(NamedTuple):
    """One image of a batch."""

    image: int  # its number in the tree
    mirrored: bool = False


class Drawn(Sampler[list[Draw]]):
    """Training batches from step `first` on; images are shuffled anew in each epoch, and a batch may span two epochs.

    Of each batch the process `rank` of `world_size` takes every `world_size`-th image.
    """

    def __init__(
        self, images: int, steps: int, batch: int, seed: int, flip: bool, first: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        self.images, self.steps, self.batch, self.seed, self.flip, self.first = images, steps, batch, seed, flip, first
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return self.steps  # all of them: Lightning counts the batches before `first` as done

    def __iter__(self) -> Iterator[list[Draw]]:
        for step in range(self.first, self.steps):
            numbers = range(step * self.batch, (step + 1) * self.batch)
            yield [self.draw(number) for number in numbers[self.rank :: self.world_size]]

    def draw(self, number: int) -> Draw:
        """Image `number` of the whole training."""
        epoch, place = divmod(number, self.images)
        if (epoch, self.seed) != getattr(self, "shuffled", None):
            self.order = np.random.default_rng([self.seed, epoch]).permutation(self.images)
            self.shuffled = epoch, self.seed
        coin = np.random.default_rng([self.seed, epoch, place]).random() if self.flip else 1.0
        return Draw(int(self.order[place]), coin < 0.5)


class Once(Sampler[list[Draw]]):
    """Each of the first `images`, in batches; of all of them, the process `rank` takes every `world_size`-th."""

    def __init__(self, images: int, batch: int, rank: int = 0, world_size: int = 1) -> None:
        self.mine, self.batch = range(images)[rank::world_size], batch

    def __len__(self) -> int:
        return -(-len(self.mine) // self.batch)

    def __iter__(self) -> Iterator[list[Draw]]:
        return ([Draw(image) for image in self.mine[i : i + self.batch]] for i in range(0, len(self.mine), self.batch))


class Images(Dataset[tuple[int, Tensor | str, Target]]):
    """By `Draw`: the image's id, its pixels (3, H, W), and its target. A test needs no target, and gets {}.

    An image of a test that cannot be read comes with the reason in place of its pixels; one of the training stops it.
    """

    def __init__(self, tree: Tree, training: bool) -> None:
        self.tree, self.training = tree, training

    def __getitem__(self, drawn: Draw) -> tuple[int, Tensor | str, Target]:
        image = self.tree.images[drawn.image]
        if not self.training:
            try:
                return image, picture(self.tree, image), {}
            except BadInput as error:
                return image, str(error), {}
        pixels, objects = picture(self.tree, image), target(self.tree, image)
        return (image, *(mirror(pixels, objects) if drawn.mirrored else (pixels, objects)))


def mirror(pixels: Tensor, objects: Target) -> tuple[Tensor, Target]:
    """Left for right: pixels (3, H, W), and boxes, masks and keypoints of the objects."""
    width, found = pixels.shape[2], dict(objects)
    x1, y1, x2, y2 = objects["boxes"].unbind(1)  # (N,) each
    found["boxes"] = objects["boxes"].new_zeros(len(x1), 4)
    found["boxes"][:, 0], found["boxes"][:, 1], found["boxes"][:, 2], found["boxes"][:, 3] = width - x2, y1, width - x1, y2
    if "masks" in objects:
        found["masks"] = objects["masks"].flip(2)  # (N, H, W)
    if "keypoints" in objects:
        points = objects["keypoints"][:, MIRRORED].clone()  # (N, 17, 3)
        points[..., 0] = (width - points[..., 0]) * (points[..., 2] > 0)  # those that are not labelled stay at 0
        found["keypoints"] = points
    return pixels.flip(2), found
