"""Trees of videos `<root>/<split>/<class>/<id>.mp4`, and clips of the generated ones, which are decoded once and kept.

A clip is a (T, H, W, 3) uint8 array; normalisation happens on the device.
"""

import io
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from torch.utils.data import Dataset

from nlrepro.config import Clips, Data, Generator
from nlrepro.data import Frames
from nlrepro.data.decoding import Unusable, frames
from nlrepro.data.synthetic.card_videos import NAME
from nlrepro.files import BadInput, atomic, exclusive, remove_temporaries
from nlrepro.processes import die_with_parent, progress_bar

SUFFIXES = {".mp4", ".mkv", ".webm", ".avi"}
CHECKSUM = 4  # bytes


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

    @classmethod
    def complete(cls, folder: Path, classes: int, task: Generator | None) -> "Tree":
        """`index`, for training and testing: of generated videos exactly those that `task` says, of others what is there.

        Raises:
            BadInput: the errors of `index`; a generated video is missing, or there is another one.
        """
        tree = cls.index(folder, classes)
        if task is None or folder.name not in task.videos:
            return tree
        number = task.videos[folder.name]
        for video in tree.videos:
            if not NAME.fullmatch(Path(video).name):
                raise BadInput(f"{folder} holds {video}, which is no generated video; remove it")
        if len(tree.videos) != number:
            words = f"has {len(tree.videos)} videos where the profile's generator says {number}"
            raise BadInput(f"{folder} {words}; `data make` makes what is missing")
        return tree

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

    What is damaged is decoded again.

    A decode takes about 3 ms a video on the reference machine, so that a run of 51,200 clips is spared two and a half minutes; a
    batch of 32 clips out of the array takes below 1 ms.
    """
    path = cache / f"{tree.folder.parent.name}-{tree.folder.name}-{data.size}px-{tree.digest}.npy"
    if not is_whole(path):
        with exclusive(cache / ".lock", f"decodes {tree.folder}"):
            remove_temporaries(path)
            if not is_whole(path):
                if path.exists():
                    print(f"{path} is damaged or of an earlier version; its videos are decoded again", flush=True)
                fill(path, tree, data.size, jobs)
    mapped: Frames = np.load(path, mmap_mode="r")
    return mapped


def is_whole(path: Path) -> bool:
    """Whether the file is there and what `fill` wrote; read once a process. It takes 0.5 s a GB that is in memory."""
    try:
        now = path.stat()
        return has_its_checksum(path, now.st_size, now.st_mtime_ns)
    except OSError:
        return False


@lru_cache
def has_its_checksum(path: Path, size: int, changed: int) -> bool:
    if size <= CHECKSUM:
        return False
    content = np.memmap(path, np.uint8, "r")
    return crc32(content[:-CHECKSUM].data, crc32(path.name.encode())) == int.from_bytes(bytes(content[-CHECKSUM:]))


def fill(path: Path, tree: Tree, size: int, jobs: int) -> None:
    """Decode a tree, whose videos are all as long as the first, into a new .npy file.

    Behind the array, where NumPy does not look, stands the checksum of the file and its name. The file is written, not mapped,
    for a full disk kills who writes to a map.
    """
    paths = [tree.folder / video for video in tree.videos]
    shape = (len(paths), *decode(paths[0], size).shape)
    work = partial(decode, size=size, number=shape[1])
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    checksum = crc32(header.getvalue(), crc32(path.name.encode()))
    with get_context("spawn").Pool(jobs, die_with_parent) if jobs > 1 else nullcontext() as pool, atomic(path) as file:
        file.write(header.getvalue())
        done = pool.imap(work, paths, chunksize=64) if pool else map(work, paths)
        for video in progress_bar(done, total=len(paths), desc=f"decode {tree.folder}", unit=" videos"):
            content = video.tobytes()
            file.write(content)
            checksum = crc32(content, checksum)
        file.write(checksum.to_bytes(CHECKSUM))


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
