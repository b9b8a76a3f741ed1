"""Clips of real videos, decoded by decord at the frames that are needed and at the size that is needed."""

from collections.abc import Sequence

import decord
import numpy as np
import torch
from torch.utils.data import Dataset

from nlrepro.data.crops import ClipSample, Crop, cropped, scaled
from nlrepro.data.kinetics import frame_step
from nlrepro.data.probe import Facts
from nlrepro.data.videos import Frames, Tree, last_line
from nlrepro.errors import BadInput
from nlrepro.profile import Clips


def chosen(reader: decord.VideoReader, wanted: Sequence[int]) -> Frames:
    """Frames of rising indices.

    decord seeks whenever it is to skip onto or over a key frame, and a seek throws away what its decoder has read ahead: 2 ms, as
    much as 8 frames at 340 x 256. So the frame before each key frame within the clip is read too, whether wanted or not; what is
    left to seek is the clip's begin.
    """
    before_keys = {key - 1 for key in reader.get_key_indices() if wanted[0] < key <= wanted[-1]}
    read = sorted(before_keys.union(wanted))
    frames: Frames = reader.get_batch(read).asnumpy()  # (T', H, W, 3)
    return frames if len(read) == len(wanted) else frames[np.searchsorted(read, wanted)]  # (T, H, W, 3)


class FileClips(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Videos of a tree with their facts as `data check` found them, in the same order.

    A reader is opened for each clip, in the worker that needs it, and closed after it: nothing stays open, and nothing was opened
    before a worker began.
    """

    def __init__(self, tree: Tree, facts: Sequence[Facts], clips: Clips) -> None:
        self.tree, self.facts, self.clips = tree, facts, clips
        self.labels = torch.tensor(tree.labels)

    def __len__(self) -> int:
        return len(self.tree.videos)

    def wanted(self, facts: Facts, where: float) -> list[int]:
        """Indices of the clip's frames; a video that is too short repeats its last one."""
        step = frame_step(facts.fps)
        span = (self.clips.span - 1) * step + 1
        first = round(where * max(facts.frames - span, 0))
        return np.minimum(np.arange(first, first + span, self.clips.stride * step), facts.frames - 1).tolist()

    def clip(self, sample: ClipSample) -> Frames:
        """(T, H, W, 3) uint8.

        Raises:
            BadInput: the file has changed since it was checked.
        """
        facts, path = self.facts[sample.video], self.tree.folder / self.tree.videos[sample.video]
        crop = sample.crop or Crop(min(facts.width, facts.height))
        width, height = scaled(facts.width, facts.height, crop.side)
        try:
            reader = decord.VideoReader(str(path), width=width, height=height, num_threads=1)
            frames = chosen(reader, self.wanted(facts, sample.where))  # (T, H, W, 3)
        except (decord.DECORDError, RuntimeError, IndexError) as error:
            raise BadInput(
                f"cannot read {path}: {last_line(error)}; run `data check` again, which finds what has changed"
            ) from None
        return cropped(frames, crop)

    def __getitems__(self, asked: Sequence[ClipSample]) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch at once: clips (B, T, H, W, 3) uint8 and labels (B,)."""
        clips = np.stack([self.clip(sample) for sample in asked])
        return torch.from_numpy(clips), self.labels[[sample.video for sample in asked]]
