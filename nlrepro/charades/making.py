"""The generated videos (films.py) as a folder laid out as Charades is unpacked (layout.py), so that they are read as it is.

The labels of the test, which Charades holds back, are there as well. `films.json` holds the settings, `checksums_<part>.json`
what tells damaged files. What is missing or damaged is made and what is there kept.
"""

import csv
import io
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from zlib import crc32

from pydantic import TypeAdapter, ValidationError

from nlrepro.charades.annotations import row
from nlrepro.charades.films import RATE, Films, film
from nlrepro.charades.layout import FOLDERS, PUBLIC, SUFFIX, TABLE
from nlrepro.data.generate import h264
from nlrepro.files import BadInput, exclusive, write_atomic
from nlrepro.processes import parallel_map, progress_bar
from nlrepro.spec import Part

NOTE = "films.json"
COLUMNS = ["id", "subject", "scene", "quality", "relevance", "verified", "script", "objects", "descriptions", "actions", "length"]


def make(task: Films, root: Path, jobs: int = 1) -> None:
    """Write what is missing or damaged below `root`, in `jobs` processes, with a progress bar. A second process waits.

    Raises:
        BadInput: `root` holds videos of other settings, or real ones; or the settings leave no room.
    """
    settings, note = json.dumps(asdict(task), indent=1), root / NOTE
    with exclusive(root.with_name(f".{root.name}.lock"), f"makes the videos in {root}"):
        if not (note.is_file() and note.read_text() == settings):
            if note.exists() or (root / TABLE["train"]).exists():
                raise BadInput(
                    f"{root} holds videos of other settings, or no generated ones; remove that folder, or take another"
                )
            write_atomic(note, settings)
        for part in task.videos:
            if not whole(root, part):
                write_part(task, root, part, jobs)


def whole(root: Path, part: Part) -> bool:
    """Whether the files of a part are as the last `make` left them."""
    try:
        checksums = TypeAdapter(dict[str, int]).validate_json((root / f"checksums_{part}.json").read_bytes())
        return all(crc32((root / file).read_bytes()) == checksum for file, checksum in checksums.items())
    except (OSError, ValidationError):
        return False


def write_part(task: Films, root: Path, part: Part, jobs: int) -> None:
    """Draw all videos of a part and write those that are not there as they should be; then its table."""
    files: dict[str, int] = {}
    rows: list[dict[str, str]] = []
    number, write = task.videos[part], partial(write_video, task=task, root=root, part=part)
    with (
        parallel_map(jobs) as each,
        progress_bar(total=number, desc=f"{part} videos in {root}", unit=" videos") as bar,
    ):
        for video, checksum, actions in each(write, range(number)):
            files[video] = checksum
            rows.append({"id": Path(video).stem, "actions": actions, "length": f"{task.frames / RATE:.2f}"})
            bar.update()
    written = io.StringIO()
    table = csv.DictWriter(written, COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    files[TABLE[part]] = put(root / TABLE[part], written.getvalue().encode())
    write_atomic(root / f"checksums_{part}.json", json.dumps(files, indent=0))


def write_video(index: int, *, task: Films, root: Path, part: Part) -> tuple[str, int, str]:
    """Write a video; returns its path below `root`, its checksum and its actions.

    It has its full colour resolution, as chroma subsampling would mix the inks of things this small.
    """
    frames, actions = film(task, part, index)
    content = h264(frames, (task.size, task.size), "yuv444p", crf=str(task.crf), preset="ultrafast")
    video = f"{FOLDERS['train' if part in PUBLIC else part][0]}/{part}{index:05d}{SUFFIX}"
    return video, put(root / video, content), row(actions)


def put(path: Path, content: bytes) -> int:
    """Write a file, unless it has this content already; returns its checksum."""
    if not (path.is_file() and path.read_bytes() == content):
        write_atomic(path, content, sync=False)
    return crc32(content)
