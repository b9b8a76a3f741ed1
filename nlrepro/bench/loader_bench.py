"""Bench of reading videos on one core: clips of files like those of Kinetics, and whole generated videos."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from nlrepro.bench import Timings, in_turn
from nlrepro.config import Clips, Generator, load_profile
from nlrepro.data import Frames
from nlrepro.data.clips import ClipSample, Crop, FileClips, Tree
from nlrepro.data.decode import READER, frames, read_generated
from nlrepro.data.facts import examine
from nlrepro.data.synthetic.write import encode_h264, render_card_file

# As Kinetics is usually kept, H.264 in mp4. Key frames: dense ones, as in some copies, and x264's default.
WIDTH, HEIGHT, FRAMES = 340, 256, 300
KEY_FRAMES = (12, 250)
NOISE = 4.0  # standard deviation, of 255: a file then takes 0.2 to 0.6 MB, as those of Kinetics do
VIDEOS = 2  # of each kind
STARTS = 10  # clips of a video in a pass
CLIPS = Clips(frames=32, stride=2, classes=1, anywhere=True)
CROP, SIDES = 224, (256, 320)
GENERATED = 50  # videos of the `mini` profile in a pass

Read = Callable[[Path], Frames]


def texture(random: np.random.Generator) -> Frames:
    """A scene of large and small blots, twice a frame's width and height: (H, W, 3)."""
    grids = [random.integers(0, 256, (*grid, 3), np.uint8) for grid in ((24, 32), (HEIGHT // 2, WIDTH // 2))]
    large, small = (Image.fromarray(grid).resize((2 * WIDTH, 2 * HEIGHT)) for grid in grids)  # bicubic
    return np.asarray(Image.blend(large, small, 0.25))


def drift(seed: int) -> Iterator[Frames]:
    """Frames (H, W, 3) of a moving texture with noise, in place of a filmed scene; a function of the seed."""
    random = np.random.default_rng(seed)
    scene = texture(random)
    for i in range(FRAMES):
        x = int(WIDTH / 2 + WIDTH / 3 * np.sin(i / 40 + seed))
        y = int(HEIGHT / 2 + HEIGHT / 3 * np.cos(i / 55))
        frame = scene[y : y + HEIGHT, x : x + WIDTH] + random.normal(0, NOISE, (HEIGHT, WIDTH, 1))
        yield frame.clip(0, 255).astype(np.uint8)


def write_videos(folder: Path, key_frames: int) -> None:
    """Write videos in which at least every `key_frames`-th frame is a key frame."""
    for seed in range(VIDEOS):
        video = encode_h264(drift(seed), (HEIGHT, WIDTH), "yuv420p", g=str(key_frames), threads="1")
        (folder / f"{seed}.mp4").write_bytes(video)


def open_clips(folder: Path) -> FileClips:
    """The dataset of real videos over the files of a folder."""
    videos = sorted(path.name for path in folder.glob("*.mp4"))
    tree = Tree(folder=folder, classes=("a",), videos=tuple(videos), labels=(0,) * len(videos))
    return FileClips(tree, [examine(folder, video) for video in videos], CLIPS)


def read_clips(clips: FileClips, side: int) -> None:
    """Load evenly spaced clips of all videos, one after the other."""
    for video in range(len(clips)):
        for start in range(STARTS):
            clips.__getitems__([ClipSample(video, start / STARTS, Crop(side, CROP))])


def read_whole(read: Read, videos: Sequence[Path]) -> None:
    """Decode all frames of these videos, one after the other."""
    for video in videos:
        read(video)


def measure_clips(folder: Path, key_frames: int) -> list[dict[str, Any]]:
    """Time of a clip by the side that frames are scaled to."""
    seconds = in_turn({str(side): partial(read_clips, open_clips(folder), side) for side in SIDES})
    what = f"a clip, key frame every {key_frames} frames, shorter side"
    count = VIDEOS * STARTS
    return [
        {"what": f"{what} {side}", "reader": "PyAV", "ms": 1e3 * s / count} for side, s in seconds.items()
    ]


def measure_generated(folder: Path, task: Generator, number: int) -> list[dict[str, Any]]:
    """Time of a whole generated video, by each reader that is installed."""
    videos = [folder / f"{index}.mp4" for index in range(number)]
    for index, path in enumerate(videos):
        path.write_bytes(render_card_file(task, "train", index)[0])
    readers: dict[str, Read] = {"PyAV": lambda path: frames(path, None, task.size, task.size)}
    if READER == "decord":
        readers["decord"] = lambda path: read_generated(path, task.size)
    seconds = in_turn({name: partial(read_whole, read, videos) for name, read in readers.items()})
    what = f"a generated video of {task.frames} frames of {task.size} x {task.size}"
    return [{"what": what, "reader": name, "ms": 1e3 * s / number} for name, s in seconds.items()]


def bench(rivals: Path | None, device: str) -> Timings:
    """Time of a clip and of a generated video; without public code and GPU."""
    task = load_profile("mini").generator
    assert task
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        for key_frames in KEY_FRAMES:
            write_videos(Path(folder), key_frames)
            rows += measure_clips(Path(folder), key_frames)
    with TemporaryDirectory() as folder:
        rows += measure_generated(Path(folder), task, GENERATED)
    frame = pd.DataFrame(rows).round(3)
    caption = (
        f"Clips have {CLIPS.frames} frames of {CROP} x {CROP}, cropped from videos of {FRAMES} frames of"
        f" {WIDTH} x {HEIGHT}."
    )
    libraries = ("av", "decord") if READER == "decord" else ("av",)
    return Timings(libraries=libraries, caption=caption, rows=frame, table=frame)
