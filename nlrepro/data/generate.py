"""The generated videos as files: real H.264, one process a core, what is missing or damaged made and what is there kept."""

import io
import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from zlib import crc32

import av
import numpy as np
from pydantic import TypeAdapter, ValidationError

from nlrepro.config import Generator
from nlrepro.data import Frames
from nlrepro.data.decoding import Unusable, frames
from nlrepro.data.synthetic import NAME, card_video
from nlrepro.files import BadInput, exclusive, write_atomic
from nlrepro.processes import parallel_map, progress_bar

LOOK = 16  # pixels of a side at which a video is tried
CHECKSUMS = "checksums.json"  # of the videos below a root: what tells a damaged one


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


def write_video(index: int, *, task: Generator, root: Path, split: str) -> tuple[str, int]:
    """Write one video to <root>/<split>/<class>/<index>-<kind>.mp4; returns its path below `root` and its checksum."""
    frames, name, kind = card_video(task, split, index)
    video, content = f"{split}/{name}/{index:05d}-{kind}.mp4", encode(frames, task)
    write_atomic(root / video, content, sync=False)
    return video, crc32(content)


def made(folder: Path) -> set[int]:
    """The indices of the videos that are there, whole or damaged."""
    return {int(name[1]) for path in folder.glob("*/*.mp4") if (name := NAME.fullmatch(path.name))}


def known(root: Path) -> dict[str, int]:
    """The checksums of the videos by their paths below `root`, as the last `make` left them; {} if that note is damaged."""
    try:
        return TypeAdapter(dict[str, int]).validate_json((root / CHECKSUMS).read_bytes())
    except (OSError, ValidationError):
        return {}


def whole(root: Path, split: str) -> dict[str, int]:
    """The checksums of the videos of a split that are not damaged. One whose checksum is not known must decode."""
    before, found = known(root), {}
    paths = [path for path in sorted((root / split).glob("*/*.mp4")) if NAME.fullmatch(path.name)]
    for path in progress_bar(paths, desc=f"check {root / split}", unit=" videos", delay=1):
        video = str(path.relative_to(root))
        checksum = crc32(path.read_bytes())
        if before.get(video, checksum) == checksum and (video in before or decodes(path)):
            found[video] = checksum
    return found


def decodes(path: Path) -> bool:
    try:
        return bool(len(frames(path, None, LOOK, LOOK)))
    except Unusable:
        return False


def make(task: Generator, root: Path, jobs: int) -> None:
    """Write the videos of all splits that are missing or damaged below `root`, in `jobs` processes, with a progress bar.

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
        good = {split: whole(root, split) for split in task.videos}
        indices = {split: {int(Path(video).name[:5]) for video in videos} for split, videos in good.items()}
        wanted = {split: sorted(set(range(number)) - indices[split]) for split, number in task.videos.items()}
        damaged = sum(len(made(root / split) - there) for split, there in indices.items())
        if damaged:
            print(f"{damaged} of the videos in {root} are damaged and made anew", flush=True)
        checksums = {video: checksum for videos in good.values() for video, checksum in videos.items()}
        checksums |= write_videos(task, root, wanted, jobs)
        write_atomic(root / CHECKSUMS, json.dumps(checksums, indent=0, sort_keys=True))


def write_videos(task: Generator, root: Path, wanted: dict[str, list[int]], jobs: int) -> dict[str, int]:
    """The videos of these numbers of each split; returns their checksums."""
    checksums: dict[str, int] = {}
    with (
        parallel_map(jobs) as each,
        progress_bar(total=sum(map(len, wanted.values())), desc=f"videos in {root}", unit=" videos") as bar,
    ):
        for split, indices in wanted.items():
            for video, checksum in each(partial(write_video, task=task, root=root, split=split), indices):
                checksums[video] = checksum
                bar.update()
    return checksums
