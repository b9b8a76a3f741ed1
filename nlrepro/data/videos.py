"""Trees of videos `<root>/<split>/<class>/<id>.mp4`, and clips of the generated ones, which are decoded once and kept.

A clip is a (T, H, W, 3) uint8 array; normalisation happens on the device.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset
from tqdm import tqdm

from nlrepro.data import Frames
from nlrepro.data.decoding import Unusable, frames
from nlrepro.errors import BadInput
from nlrepro.files import atomic, remove_temporaries
from nlrepro.profile import Clips, Data
from nlrepro.sweep.lock import exclusive

SUFFIXES = {".mp4", ".mkv", ".webm", ".avi"}


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The videos of one split, in a fixed order: paths relative to the split's folder, and class numbers."""

    folder: Path
    classes: tuple[str, ...]
    videos: tuple[str, ...]
    labels: tuple[int, ...]

    @classmethod
    def index(cls, folder: Path, classes: int) -> "Tree":
        """List `<folder>/<class>/<video>`.

        Raises:
            BadInput: no such folder, no videos in it, or another number of classes than the profile says.
        """
        if not folder.is_dir():
            raise BadInput(f"no folder {folder}; make the mini videos with `data make`, or point --data at yours")
        names = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
        videos = [
            (f"{name}/{path.name}", label)
            for label, name in enumerate(names)
            for path in sorted((folder / name).iterdir())
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        ]
        if not videos:
            raise BadInput(f"no videos in {folder}; expected {folder}/<class>/<video> ending in {', '.join(sorted(SUFFIXES))}")
        if len(names) != classes:
            raise BadInput(f"{folder} has {len(names)} class folders where the profile says {classes}; is a part of it missing?")
        return cls(folder=folder, classes=names, videos=tuple(v for v, _ in videos), labels=tuple(label for _, label in videos))

    @property
    def digest(self) -> str:
        """Changes when a video is added, removed, renamed or rewritten with another size."""
        listing = "\n".join(f"{video} {(self.folder / video).stat().st_size}" for video in self.videos)
        return sha256(listing.encode()).hexdigest()[:12]


def decode(path: Path, size: int, number: int | None = None) -> Frames:
    """The first frames of a video, or all, (number, size, size, 3).

    Raises:
        BadInput: the file is missing, empty, damaged or too short.
    """
    try:
        return frames(path, None if number is None else range(number), size, size)
    except Unusable as reason:
        raise BadInput(f"cannot read the video {path}: {reason}; replace or remove it") from None


def decoded(tree: Tree, data: Data, cache: Path, jobs: int = 1) -> Frames:
    """All videos of a tree as one read-only, memory-mapped array, (V, T, H, W, 3); decoded once, in `jobs` processes.

    A decode takes about 3 ms a video on the reference machine, so that a run of 51,200 clips is spared two and a half minutes; a
    batch of 32 clips out of the array takes below 1 ms.
    """
    path = cache / f"{tree.folder.parent.name}-{tree.folder.name}-{data.size}px-{tree.digest}.npy"
    if not path.is_file():
        with exclusive(cache / ".lock", f"decodes {tree.folder}"):
            remove_temporaries(path)
            if not path.is_file():
                fill(path, tree, data.size, jobs)
    mapped: Frames = np.load(path, mmap_mode="r")
    return mapped


def fill(path: Path, tree: Tree, size: int, jobs: int) -> None:
    """Decode a tree, whose videos are all as long as the first, into a new .npy file.

    It is written, not mapped, for a full disk kills who writes to a map.
    """
    paths = [tree.folder / video for video in tree.videos]
    shape = (len(paths), *decode(paths[0], size).shape)
    work = partial(decode, size=size, number=shape[1])
    with get_context("spawn").Pool(jobs) if jobs > 1 else nullcontext() as pool, atomic(path) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        done = pool.imap(work, paths, chunksize=64) if pool else map(work, paths)
        for video in tqdm(done, total=len(paths), desc=f"decode {tree.folder}", unit=" videos", mininterval=1):
            file.write(video.tobytes())


class ClipDataset(Dataset[tuple[torch.Tensor, int]]):
    """Clips of a split out of its decoded `frames`.

    A clip is asked for by (video, where, ...): its first frame lies at the fraction `where` of the possible ones, 0 the video's
    begin, 1 the last that leaves room for the clip.
    """

    def __init__(self, tree: Tree, clips: Clips, frames: Frames) -> None:
        self.tree, self.clips, self.frames = tree, clips, frames
        self.labels = torch.tensor(tree.labels)
        if frames.shape[1] < clips.span:
            raise BadInput(f"videos in {tree.folder} have {frames.shape[1]} frames, a clip needs {clips.span}")

    def __len__(self) -> int:
        return len(self.tree.videos)

    def clip(self, video: int, where: float) -> Frames:
        """The clip of a video, (T, H, W, 3)."""
        first = round(where * (self.frames.shape[1] - self.clips.span))
        return self.frames[video, first : first + self.clips.span : self.clips.stride]

    def __getitems__(self, asked: Sequence[tuple[int, float, object]]) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch at once: clips (B, T, H, W, 3) uint8 and labels (B,)."""
        clips = np.stack([self.clip(video, where) for video, where, _ in asked])
        return torch.from_numpy(clips), self.labels[[video for video, *_ in asked]]
