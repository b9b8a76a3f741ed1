"""Generated data as files: what is missing or damaged is made, what is there is kept.

    write_dataset(card_video_set(profile.generator), data / profile.data.root, jobs=2)

A folder holds items, such as videos, tables of all items of a split, a note of its settings, and
`checksums_<split>.json`, by which damage is noticed. All of it is a function of the settings, so a folder
that was cut off, or that an earlier version made, is completed to the same bytes.
"""

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import av
import numpy as np
import pandas as pd
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from nlrepro.config import ActionVideos, Generator, Scenes
from nlrepro.data import Frames
from nlrepro.data.charades import FOLDERS, GENERATED_FPS, SUFFIX, TABLE, format_actions
from nlrepro.data.coco import FILES, pycocotools
from nlrepro.data.decode import stored_width
from nlrepro.data.synthetic.action_videos import render_video
from nlrepro.data.synthetic.card_videos import card_video, video_path
from nlrepro.data.synthetic.drawing import INKS
from nlrepro.data.synthetic.scenes import SceneObject, render_scene
from nlrepro.files import BadInput, exclusive, write_atomic
from nlrepro.processes import Map, parallel_map, progress_bar
from nlrepro.spec import Part

Row = dict[str, Any]
CHECKSUMS = TypeAdapter(dict[str, int])  # by path below the root


def no_tables(split: Any, entries: Sequence[Any]) -> dict[str, bytes]:
    return {}


@dataclass(frozen=True, kw_only=True)
class GeneratedSet:
    """The files of one folder as a function of settings; paths are relative to the folder."""

    settings: Row  # as the note holds them
    note: str  # its file
    unit: str  # what the items are
    counts: Mapping[Any, int]  # split -> number of items
    path: Callable[[Any, int], str]  # of item `index` of a split
    render: Callable[[Any, int], tuple[bytes, Any]]  # an item's file, and its entry for the tables
    # The tables of a split by path, from the entries of all items; without entries the paths are the same.
    tables: Callable[[Any, Sequence[Any]], dict[str, bytes]] = no_tables


def write_dataset(dataset: GeneratedSet, root: Path, jobs: int = 1) -> None:
    """Write what is missing or damaged below `root`, in `jobs` processes. A second process waits.

    Raises:
        BadInput: `root` holds data of other settings, or real ones; or the settings leave no room.
    """
    with exclusive(root.with_name(f".{root.name}.lock"), f"makes the {dataset.unit} in {root}"):
        check_settings(dataset, root)
        with parallel_map(jobs) as each:
            for split in dataset.counts:
                write_split(dataset, root, split, each)


def check_settings(dataset: GeneratedSet, root: Path) -> None:
    """Write the note of the settings into a new folder; refuse data of other settings, and real ones."""
    note, settings = root / dataset.note, json.dumps(dataset.settings, indent=1)
    if not any(root.glob("[!.]*")):
        write_atomic(note, settings)
    elif not note.is_file() or note.read_text() != settings:
        advice = "remove that folder, or name another"
        raise BadInput(f"{root} holds {dataset.unit} of other settings, or no generated ones; {advice}")


def write_split(dataset: GeneratedSet, root: Path, split: str, each: Map) -> None:
    """Write the items and tables of a split that are missing or damaged, and then the checksums.

    A table is made of the entries of all items, so all are rendered where it must be written.
    """
    note, known, tables = root / f"checksums_{split}.json", dict[str, int](), dataset.tables(split, ())
    with suppress(OSError, ValidationError):
        known = CHECKSUMS.validate_json(note.read_bytes())
    paths = {i: dataset.path(split, i) for i in range(dataset.counts[split])}
    files = [*paths.values(), *tables]
    present = [path for path in files if path in known and (root / path).is_file()]
    bar = progress_bar(present, desc=f"check {split} of {root}", unit=" files", delay=1)
    checksums = {path: known[path] for path in bar if crc32((root / path).read_bytes()) == known[path]}
    if damaged := {*present} - {*checksums}:
        print(f"{len(damaged)} files of {split} in {root} are damaged and made anew", flush=True)
    listed = checksums.keys() >= tables.keys() and known.keys() >= {*paths.values()}  # all, in intact tables
    missing = [i for i, path in paths.items() if path not in checksums or (tables and not listed)]
    if not missing:
        return
    items = each(partial(write_item, dataset=dataset, root=root, split=split), missing)
    name = f"{split}: {dataset.unit} in {root}"
    entries = []
    for path, checksum, entry in progress_bar(items, total=len(missing), desc=name, unit=f" {dataset.unit}"):
        checksums[path] = checksum
        entries.append(entry)
    if len(entries) == len(paths):
        for path, content in dataset.tables(split, entries).items():
            checksums[path] = write_file(root / path, content)
    write_atomic(note, json.dumps({path: checksums[path] for path in files}, indent=0))


def write_item(index: int, *, dataset: GeneratedSet, root: Path, split: str) -> tuple[str, int, Any]:
    """Write an item; returns its path, its checksum and its entry for the tables."""
    path, (content, entry) = dataset.path(split, index), dataset.render(split, index)
    return path, write_file(root / path, content), entry


def write_file(path: Path, content: bytes) -> int:
    write_atomic(path, content, sync=False)
    return crc32(content)


def encode_small(frames: Frames, crf: int) -> bytes:
    """An mp4 file with full colour resolution: chroma subsampling would mix the inks of items this small.

    A margin of background on the right makes its rows as wide as `stored_width` says.
    """
    margin = stored_width(frames.shape[2]) - frames.shape[2]
    colour = np.median(frames[0], (0, 1)).astype(np.uint8)  # (3,), of the background
    right = np.broadcast_to(colour, (*frames.shape[:2], margin, 3))  # (T, H, margin, 3)
    frames = np.concatenate([frames, right], 2)  # (T, H, W + margin, 3)
    return encode_h264(frames, frames.shape[1:3], "yuv444p", crf=str(crf), preset="ultrafast", threads="1")


def encode_h264(frames: Iterable[Frames], size: Sequence[int], pixel_format: str, **options: str) -> bytes:
    """An mp4 file of pictures (H, W, 3), 30 a second; `size` is H, W."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=GENERATED_FPS, options=options)
        stream.height, stream.width = size
        stream.pix_fmt = pixel_format
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return buffer.getvalue()


# Table 2: <split>/<class>/<index>-<kind>.mp4


def card_video_set(settings: Generator) -> GeneratedSet:
    return GeneratedSet(
        settings=asdict(settings),
        note="generator.json",
        unit="videos",
        counts=settings.videos,
        path=partial(video_path, settings),
        render=partial(render_card_file, settings),
    )


def render_card_file(settings: Generator, split: str, index: int) -> tuple[bytes, None]:
    frames, *_ = card_video(settings, split, index)
    return encode_small(frames, settings.crf), None


# Table 4, laid out as Charades is unpacked; the labels of the test are there as well

COLUMNS = ["id", "subject", "scene", "quality", "relevance", "verified"]
COLUMNS += ["script", "objects", "descriptions", "actions", "length"]


def action_video_set(settings: ActionVideos) -> GeneratedSet:
    return GeneratedSet(
        settings=asdict(settings),
        note="films.json",
        unit="videos",
        counts=settings.videos,
        path=action_path,
        render=partial(render_action_file, settings),
        tables=charades_tables,
    )


def action_path(part: Part, index: int) -> str:
    return f"{FOLDERS[part][0]}/{part}{index:05d}{SUFFIX}"


def render_action_file(settings: ActionVideos, part: Part, index: int) -> tuple[bytes, Row]:
    frames, actions = render_video(settings, part, index)
    length = f"{settings.frames / GENERATED_FPS:.2f}"
    entry = {"id": Path(action_path(part, index)).stem, "actions": format_actions(actions), "length": length}
    return encode_small(frames, settings.crf), entry


def charades_tables(part: Part, entries: Sequence[Row]) -> dict[str, bytes]:
    table = pd.DataFrame(entries, columns=COLUMNS)
    return {TABLE[part]: table.to_csv(index=False, lineterminator="\n").encode()}


# Tables 5 and 6, laid out as COCO 2017 is unpacked:
#     annotations/instances_<split>2017.json         masks as compressed run lengths
#     annotations/person_keypoints_<split>2017.json  the same objects, all "person", with 17 keypoints
#     <split>2017/000000000001.png ...
# A keypoint has the name of its number in COCO; `digit_keypoints` (scenes.py) defines what it is in a digit.

SceneEntry = tuple[Row, list[Row]]  # an image, and its objects without their numbers
LICENSE = {"id": 1, "name": "optdigits: CC BY 4.0", "url": "https://archive.ics.uci.edu/dataset/80"}
PARTS = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
KEYPOINT_NAMES = ["nose", *(f"{side}_{part}" for part in PARTS for side in ("left", "right"))]
PERSON = {"id": 1, "name": "person", "supercategory": "person", "keypoints": KEYPOINT_NAMES, "skeleton": []}
CARDS, DIGITS = ([f"{ink}-{item}" for ink in INKS] for item in ("card", "digit"))
CATEGORY_NAMES = {"card ink": CARDS, "own ink": DIGITS + CARDS}


def scene_set(settings: Scenes) -> GeneratedSet:
    pycocotools()  # else its absence would be noticed late, in other processes
    return GeneratedSet(
        settings=settings.recorded,
        note="scenes.json",
        unit="images",
        counts=settings.images,
        path=scene_path,
        render=partial(render_scene_file, settings),
        tables=partial(coco_tables, CATEGORY_NAMES[settings.categories]),
    )


def scene_path(split: str, index: int) -> str:
    return f"{split}2017/{index + 1:012d}.png"


def render_scene_file(settings: Scenes, split: str, index: int) -> tuple[bytes, SceneEntry]:
    pixels, objects = render_scene(settings, split, index)
    Image.fromarray(pixels).save(content := io.BytesIO(), "png")
    name, size = Path(scene_path(split, index)).name, settings.size
    image = {"id": index + 1, "file_name": name, "width": size, "height": size, "license": 1}
    return content.getvalue(), (image, [coco_row(item) for item in objects])


def coco_row(item: SceneObject) -> Row:
    """An object's fields in both annotation files."""
    runs = pycocotools()[2].encode(np.asfortranarray(item.mask, np.uint8))
    return {
        "category_id": item.category,
        "bbox": list(item.box),
        "area": int(item.mask.sum()),
        "iscrowd": 0,
        "segmentation": {"size": runs["size"], "counts": runs["counts"].decode()},
        "keypoints": [round(value, 2) for value in item.keypoints.flatten().tolist()],
        "num_keypoints": int((item.keypoints[:, 2] > 0).sum()),
    }


def coco_tables(names: Sequence[str], split: str, entries: Sequence[SceneEntry]) -> dict[str, bytes]:
    pairs = ((image["id"], row) for image, rows in entries for row in rows)
    objects = [{"id": number, "image_id": image, **row} for number, (image, row) in enumerate(pairs, 1)]
    boxes = [{name: value for name, value in row.items() if "keypoints" not in name} for row in objects]
    people = [row | {"category_id": PERSON["id"]} for row in objects]
    categories = [{"id": i, "name": name, "supercategory": "thing"} for i, name in enumerate(names, 1)]
    info = {"description": "generated scenes of nlrepro"}
    common = {"info": info, "licenses": [LICENSE], "images": [image for image, _ in entries]}
    contents = {
        FILES["boxes"]: common | {"annotations": boxes, "categories": categories},
        FILES["keypoints"]: common | {"annotations": people, "categories": [PERSON]},
    }
    return {f"annotations/{name}_{split}2017.json": json.dumps(c).encode() for name, c in contents.items()}
