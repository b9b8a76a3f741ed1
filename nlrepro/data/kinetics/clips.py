"""Clips of real videos, decoded at the frames and the size that are needed."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from nlrepro.config import Clips, Sampling
from nlrepro.data import Frames
from nlrepro.data.crops import ClipSample, Crop, cropped, scaled
from nlrepro.data.decoding import Unusable, frames
from nlrepro.data.kinetics.facts import Facts
from nlrepro.data.kinetics.index import check
from nlrepro.data.kinetics.sampling import frame_numbers
from nlrepro.data.videos import Tree
from nlrepro.files import BadInput


class FileClips(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Videos of a tree with their facts as `data check` found them, in the same order.

    A reader is opened for each clip, in the worker that needs it, and closed after it: nothing stays open, and nothing was opened
    before a worker began.
    """

    def __init__(self, tree: Tree, facts: Sequence[Facts], clips: Clips, sampling: Sampling = "paper") -> None:
        self.tree, self.facts, self.clips, self.sampling = tree, facts, clips, sampling
        self.labels = torch.tensor(tree.labels)

    def __len__(self) -> int:
        return len(self.tree.videos)

    def wanted(self, facts: Facts, where: float) -> list[int]:
        """Indices of the clip's frames."""
        return frame_numbers(self.sampling, facts.frames, facts.fps, self.clips, where)

    def clip(self, sample: ClipSample) -> Frames:
        """(T, H, W, 3) uint8.

        Raises:
            BadInput: the file has changed since it was checked.
        """
        facts, path = self.facts[sample.video], self.tree.folder / self.tree.videos[sample.video]
        crop = sample.crop or Crop(min(facts.width, facts.height))
        size = scaled(facts.width, facts.height, crop.side)
        try:
            numbers, places = np.unique(self.wanted(facts, sample.where), return_inverse=True)  # one may begin again at 0
            return cropped(frames(path, numbers.tolist(), *size)[places], crop)
        except Unusable as reason:
            raise BadInput(
                f"cannot read {path}: {reason}; run {check(self.tree.folder.parent)} again, which finds what changed"
            ) from None

    def __getitems__(self, asked: Sequence[ClipSample]) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch at once: clips (B, T, H, W, 3) uint8 and labels (B,)."""
        clips = np.stack([self.clip(sample) for sample in asked])
        return torch.from_numpy(clips), self.labels[[sample.video for sample in asked]]
