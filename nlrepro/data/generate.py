"""The generated videos as files: real H.264, one process a core, what is missing made and what is there kept."""

import io
import json
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
from tqdm import tqdm

from nlrepro.data import Frames
from nlrepro.data.synthetic import NAME, card_video
from nlrepro.errors import BadInput
from nlrepro.files import write_atomic
from nlrepro.profile import Generator
from nlrepro.sweep.lock import exclusive
from nlrepro.sweep.orphans import die_with_parent


def encode(frames: Frames, task: Generator) -> bytes:
    """An mp4 file with full colour resolution: chroma subsampling would mix the inks of things this small."""
    return h264(frames, (task.size, task.size), "yuv444p", crf=str(task.crf), preset="ultrafast")


def h264(frames: Iterable[Frames], size: tuple[int, int], pixel_format: str, **options: str) -> bytes:
    """An mp4 file of pictures (H, W, 3), 30 a second; `size` is H, W."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30, options=options)
        stream.height, stream.width = size
        stream.pix_fmt = pixel_format
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def write_video(index: int, *, task: Generator, root: Path, split: str) -> None:
    """Write one video to <root>/<split>/<class>/<index>-<kind>.mp4."""
    frames, name, kind = card_video(task, split, index)
    write_atomic(root / split / name / f"{index:05d}-{kind}.mp4", encode(frames, task), sync=False)


def made(folder: Path) -> set[int]:
    """The indices of the videos that are there; empty files, which a loss of power may leave, do not count."""
    names = {path: NAME.fullmatch(path.name) for path in folder.glob("*/*.mp4")}
    return {int(name[1]) for path, name in names.items() if name and path.stat().st_size}


def make(task: Generator, root: Path, jobs: int) -> None:
    """Write the videos of all splits that are missing below `root`, in `jobs` processes, with a progress bar.

    A second process waits for the first.

    Raises:
        BadInput: `root` holds videos of other settings.
    """
    settings = json.dumps(asdict(task), indent=1)
    note = root / "generator.json"
    if note.is_file() and note.read_text() != settings:
        raise BadInput(f"{root} holds videos of other generator settings; remove that folder and run `data make` again")
    write_atomic(note, settings)
    with exclusive(root.with_name(f".{root.name}.lock"), f"makes the videos in {root}"):
        missing = {split: sorted(set(range(number)) - made(root / split)) for split, number in task.videos.items()}
        write_videos(task, root, missing, jobs)


def write_videos(task: Generator, root: Path, wanted: dict[str, list[int]], jobs: int) -> None:
    """The videos of these numbers of each split."""
    with (
        ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=die_with_parent) as pool,
        tqdm(total=sum(map(len, wanted.values())), desc=f"videos in {root}", unit=" videos", mininterval=1) as bar,
    ):
        for split, indices in wanted.items():
            for _ in pool.map(partial(write_video, task=task, root=root, split=split), indices, chunksize=32):
                bar.update()
