"""From a split's videos to clips: which videos, which frames of them, and which part of each frame.

Generated videos are decoded once into an array that is kept on disk and mapped (`decoded`, `CachedClips`); of
real ones each clip is decoded when it is needed (`FileClips`). A clip is a (T, H, W, 3) uint8 array;
normalisation happens on the device. Where a clip lies and how it is cropped is drawn before its video is
opened (nlrepro/data/order.py).

Which frames the clips of a test are depends on the source of the weights (`Sampling`):

| sampling   | clip j of 10 begins at         | 8x8 at 30 fps   | other rates          | past the last frame |
| paper      | j/9 of what a clip leaves over | 0, 8, 16 ... 56 | whole steps near 30  | that frame again    |
| caffe2     | j/10 of the whole video        | 0, 8, 16 ... 56 | not looked at        | the video from 0    |
| pyslowfast | j/10 of what 64 frames leave   | 0, 9, 18 ... 63 | scaled, rounded down | that frame again    |
| mmaction2  | j/9 of what a clip leaves over | 0, 8, 16 ... 56 | not looked at        | the video from 0    |

Facts of public code: the authors' caffe2_customized_ops/video/customized_video_io.cc, PySlowFast's
datasets/decoder.py with its default reader, mmaction2's `SampleFrames` as its configs set it. tests/golden
has frame numbers that these give.
"""

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import sha256
from math import ceil, floor
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from nlrepro.config import Clips, Data, Generator, Real, Sampling
from nlrepro.data import Frames
from nlrepro.data.decode import Unusable, frames, read_generated
from nlrepro.data.facts import PAPER_FPS, Facts, file_state, frame_step
from nlrepro.data.synthetic.card_videos import NAME
from nlrepro.files import (
    BadInput,
    atomic,
    exclusive,
    file_digest,
    names_in,
    remove_temporaries,
    write_atomic,
)
from nlrepro.processes import parallel_map, progress_bar

SUFFIXES = {".mp4", ".mkv", ".webm", ".avi"}
UNPRINTABLE = re.compile(
    r"[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
)  # in names that JSON or a line cannot hold
CHECK = "`python -m ablations data check` with your --profile and --data"  # makes the index of a dataset
MIDDLE = 0.5
ROUNDING = 1e-6  # of products of j/10

Indices = npt.NDArray[np.int64]  # (T,)


class Crop(NamedTuple):
    """Scale the shorter side to `side` pixels, then cut a square of `size`.

    At x, y = 0 it lies left and at the top, at 1 right and at the bottom.
    """

    side: int
    size: int | None = None  # None: the whole frame
    x: float = MIDDLE
    y: float = MIDDLE
    flip: bool = False


class ClipSample(NamedTuple):
    """One clip of a batch. `where` is its place in time: 0 the video's begin, 1 as late as the clip fits."""

    video: int  # its number in the tree
    where: float
    crop: Crop | None = None  # None: frames are square and of the net's size already


def training_crop(real: Real, size: int, seed: int, number: int) -> Crop:
    """Scale jitter, a random crop and a flip for clip `number` of the training (section 4)."""
    low, high = real.train_sides
    random = np.random.default_rng([seed, 1, number])
    x, y = random.random(2).tolist()
    return Crop(int(random.integers(low, high + 1)), size, x, y, bool(random.integers(2)))


def view_crops(real: Real, release: bool) -> list[Crop]:
    """The text tests whole frames of any shape, the released code three squares along the longer side."""
    if release:
        return [Crop(real.test_side, real.test_side, place, place) for place in (0.0, MIDDLE, 1.0)]
    return [Crop(real.test_side)]


def scaled(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height when the shorter of them becomes `side` pixels and their ratio stays."""
    shorter = min(width, height)
    return max(round(width * side / shorter), side), max(round(height * side / shorter), side)


def cropped(frames: Frames, crop: Crop) -> Frames:
    """Crop and flip: (T, H, W, 3) -> (T, size, size, 3), or the whole frames."""
    if crop.size:
        _, height, width, _ = frames.shape
        top, left = round(crop.y * (height - crop.size)), round(crop.x * (width - crop.size))
        frames = frames[:, top : top + crop.size, left : left + crop.size]  # (T, size, size, 3)
    return frames[:, :, ::-1] if crop.flip else frames


def view_starts(sampling: Sampling, views: int) -> list[float]:
    """Where the clips of a test begin, as fractions of the possible begins; one clip lies in the middle."""
    if views == 1:
        return [MIDDLE]
    if sampling in ("caffe2", "pyslowfast"):
        return [j / views for j in range(views)]
    return np.linspace(0, 1, views).tolist()


def paper_indices(frames: int, fps: float, clips: Clips, where: float) -> Indices:
    """Text, section 4: clips are "sampled evenly"."""
    step = frame_step(fps)
    span = (clips.span - 1) * step + 1
    first = round(where * max(frames - span, 0))
    return np.minimum(np.arange(first, first + span, clips.stride * step), frames - 1)


def caffe2_indices(frames: int, fps: float, clips: Clips, where: float) -> Indices:
    return (int(where * frames + ROUNDING) + clips.stride * np.arange(clips.frames)) % frames


def pyslowfast_indices(frames: int, fps: float, clips: Clips, where: float) -> Indices:
    """Of a video that is long enough it decodes the clip's time alone, then numbers what it got from 0 on."""
    size = max(1.0, clips.stride * clips.frames / PAPER_FPS * fps)
    begin = max(frames - size, 0.0) * where
    short = frames <= clips.stride * clips.frames
    first = 0 if short else ceil(begin - ROUNDING)
    last = frames - 1 if short else min(floor(begin + size - 1 + ROUNDING), frames - 1)
    offset = begin if short else 0.0
    places = torch.linspace(offset, offset + size - 1, clips.frames).clamp(0, last - first)  # (T,)
    return first + places.long().numpy()


def mmaction2_indices(frames: int, fps: float, clips: Clips, where: float) -> Indices:
    return (round(where * max(frames - clips.span, 0)) + clips.stride * np.arange(clips.frames)) % frames


SAMPLINGS = {
    "paper": paper_indices,
    "caffe2": caffe2_indices,
    "pyslowfast": pyslowfast_indices,
    "mmaction2": mmaction2_indices,
}


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The videos of one split, in a fixed order: paths relative to the split's folder, and class numbers."""

    folder: Path
    classes: tuple[str, ...]
    videos: tuple[str, ...]
    labels: tuple[int, ...]

    @classmethod
    def scan(cls, folder: Path, classes: int, generator: Generator | None = None) -> "Tree":
        """List `<folder>/<class>/<video>`; with a generator, its videos.

        Raises:
            BadInput: no such folder, no videos in it, another number of classes than `classes`, or a
                generated video is missing, or there is another one.
        """
        paths, _, _ = video_files(folder)
        names = tuple(sorted({path.parent.name for path in paths}))
        if len(names) != classes:
            counts = f"{len(names)} class folders where the profile says {classes}"
            raise BadInput(f"{folder} has {counts}; is a part of it missing?")
        if generator and folder.name in generator.videos:
            check_generated(folder, paths, generator.videos[folder.name])
        videos = tuple(f"{path.parent.name}/{path.name}" for path in paths)
        labels = tuple(names.index(path.parent.name) for path in paths)
        return cls(folder=folder, classes=names, videos=videos, labels=labels)

    @property
    def digest(self) -> str:
        """Changes when a video is added, removed, renamed or rewritten with another size."""
        listing = "\n".join(f"{video} {file_state(self.folder / video)[0]}" for video in self.videos)
        return sha256(listing.encode()).hexdigest()[:12]


def class_folders(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the folders in a folder that can be read, and of others, with the reasons."""
    names, closed = list[str](), list[str]()
    for name in names_in(folder):
        try:
            os.scandir(folder / name).close()
            names.append(name)
        except NotADirectoryError:
            continue
        except OSError as error:
            closed.append(f"{name!r}: {error.strerror}")
    return names, closed


def video_files(folder: Path) -> tuple[list[Path], int, list[str]]:
    """The videos `<folder>/<class>/<video>` by class and name, how many are left out, and notes on these.

    Errors are as of `Tree.scan`.
    """
    expected = f"expected {folder}/<class>/<video> ending in {', '.join(sorted(SUFFIXES))}"
    if not folder.is_dir():
        advice = "make the mini videos with `data make`, or point --data at yours"
        raise BadInput(f"no folder {folder}; {expected}; {advice}")
    names, closed = class_folders(folder)
    files = [f"{name}/{file}" for name in names for file in names_in(folder / name)]
    videos = [file for file in files if PurePath(file).suffix.lower() in SUFFIXES]
    odd, notes = [video for video in videos if UNPRINTABLE.search(video)], list[str]()
    if odd:
        encoding = sys.getfilesystemencoding()
        read = "" if encoding == "utf-8" else f" (names are read as {encoding}; set PYTHONUTF8=1)"
        reason = f"their names are no UTF-8{read}, or hold control characters"
        notes.append(f"{len(odd):,} files are left out, as {reason}, such as {odd[0]!r}")
    if closed:
        notes.append(f"{len(closed):,} folders cannot be read and are left out, such as {closed[0]}")
    if len(odd) == len(videos):
        raise BadInput("; ".join([f"no videos in {folder}", expected, *notes]))
    return [folder / video for video in videos if not UNPRINTABLE.search(video)], len(odd), notes


def check_generated(folder: Path, paths: list[Path], number: int) -> None:
    """Raise BadInput, as `Tree.scan`, unless the paths are so many generated videos and nothing else."""
    if stray := next((path for path in paths if not NAME.fullmatch(path.name)), None):
        raise BadInput(f"{folder} holds {stray.relative_to(folder)}, which is no generated video; remove it")
    if len(paths) != number:
        counts = f"{len(paths)} of the {number} videos of the profile's generator"
        raise BadInput(f"{folder} has {counts}; `data make` makes what is missing")


def decoded(tree: Tree, data: Data, cache: Path, jobs: int = 1) -> Frames:
    """All videos of a generated split as one read-only, memory-mapped array, (V, T, H, W, 3).

    They are decoded once, in `jobs` processes; an array that is damaged is made anew. To decode takes about
    1 ms a video on one core, a batch of 32 clips out of the array below 1 ms in all.
    """
    path = cache / f"{tree.folder.parent.name}-{tree.folder.name}-{data.size}px-{tree.digest}.npy"
    if not is_intact(path, file_state(path)):
        with exclusive(cache / ".lock", f"decodes {tree.folder}"):
            remove_temporaries(path)
            if not is_intact(path, file_state(path)):
                if path.exists():
                    words = "is damaged or of an earlier version; its videos are decoded again"
                    print(f"{path} {words}", flush=True)
                write_cache(path, tree, data.size, jobs)
    array: Frames = np.load(path, mmap_mode="r")
    return array


def write_cache(path: Path, tree: Tree, size: int, jobs: int) -> None:
    """Decode a tree into a .npy file, and put its checksum beside it. All videos are as long as the first.

    The file is written, not mapped: a full disk kills the process that writes to a map.
    """
    paths = [tree.folder / video for video in tree.videos]
    shape = (len(paths), *read_generated(paths[0], size).shape)
    read = partial(read_generated, size=size, number=shape[1])
    with parallel_map(jobs) as each, atomic(path) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        videos = each(read, paths)
        for video in progress_bar(videos, total=len(paths), desc=f"decode {tree.folder}", unit=" videos"):
            file.write(video.tobytes())
    write_atomic(*checksum(path))


def checksum(path: Path) -> tuple[Path, bytes]:
    """Where the checksum of a cache is kept, and the line in it, as `sha256sum` writes it."""
    return path.with_name(f"{path.name}.sha256"), f"{file_digest(path)}  {path.name}\n".encode()


@lru_cache
def is_intact(path: Path, state: tuple[int, int]) -> bool:
    """Whether a cache is as it was written; in one `file_state` it is read once a process, 0.5 s a GB."""
    with suppress(OSError, BadInput):
        file, line = checksum(path)
        return file.read_bytes() == line
    return False


class ClipDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Clips of the videos of a tree, by `ClipSample`."""

    def __init__(self, tree: Tree, clips: Clips) -> None:
        self.tree, self.clips = tree, clips
        self.labels = torch.tensor(tree.labels)

    def __len__(self) -> int:
        return len(self.tree.videos)

    def clip(self, sample: ClipSample) -> Frames:
        """(T, H, W, 3) uint8."""
        raise NotImplementedError

    def __getitems__(self, samples: Sequence[ClipSample]) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch at once: clips (B, T, H, W, 3) uint8 and labels (B,)."""
        clips = np.stack([self.clip(sample) for sample in samples])
        return torch.from_numpy(clips), self.labels[[sample.video for sample in samples]]


class CachedClips(ClipDataset):
    """Clips of a generated split out of its decoded `frames`."""

    def __init__(self, tree: Tree, clips: Clips, frames: Frames) -> None:
        super().__init__(tree, clips)
        self.frames = frames
        if frames.shape[1] < clips.span:
            counts = f"have {frames.shape[1]} frames, a clip needs {clips.span}"
            raise BadInput(f"videos in {tree.folder} {counts}")

    def frame_indices(self, video: int, where: float) -> range:
        first = round(where * (self.frames.shape[1] - self.clips.span))
        return range(first, first + self.clips.span, self.clips.stride)

    def clip(self, sample: ClipSample) -> Frames:
        indices = self.frame_indices(sample.video, sample.where)
        return self.frames[sample.video, indices.start : indices.stop : indices.step]


class FileClips(ClipDataset):
    """Clips of real videos: those of a tree, with the facts that `data check` noted, in the same order.

    A file is opened for each clip, in the worker that needs it, and closed after it: nothing stays open, and
    nothing was opened before a worker began.
    """

    def __init__(
        self, tree: Tree, facts: Sequence[Facts], clips: Clips, sampling: Sampling = "paper"
    ) -> None:
        super().__init__(tree, clips)
        self.facts, self.sampling = facts, sampling

    def frame_indices(self, video: int, where: float) -> list[int]:
        facts = self.facts[video]
        return SAMPLINGS[self.sampling](facts.frames, facts.fps, self.clips, where).tolist()

    def clip(self, sample: ClipSample) -> Frames:
        """(T, H, W, 3) uint8.

        Raises:
            BadInput: the file cannot be read, or has changed since it was checked.
        """
        facts, path = self.facts[sample.video], self.tree.folder / self.tree.videos[sample.video]
        crop = sample.crop or Crop(min(facts.width, facts.height))
        size = scaled(facts.width, facts.height, crop.side)
        # rising, and each once: a clip may begin again at 0
        indices, places = np.unique(self.frame_indices(sample.video, sample.where), return_inverse=True)
        try:
            return cropped(frames(path, indices.tolist(), *size)[places], crop)
        except Unusable as reason:
            advice = f"replace or remove it, and run {CHECK} again"
            raise BadInput(f"cannot read {path}: {reason}; {advice}") from None
