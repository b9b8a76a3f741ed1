"""Kinetics' layout: which videos belong to a split.

`<root>/{train,val}/<class>/<id>*.{mp4,mkv,webm,avi}`. With Kinetics' CSVs, beside the splits or in a folder
`annotations`, these say which classes there are and which videos belong; a file's name begins with its
YouTube id (`<id>.mp4`, `<id>_000010_000020.mp4`). Their columns label and youtube_id are needed.
Without CSVs every file of every class folder belongs. Class numbers
are places among the sorted class names of all splits: a class that one split lacks shifts nothing.
"""

import re
from collections import Counter
from pathlib import Path
from unicodedata import normalize

from nlrepro.data.clips import UNPRINTABLE, Tree, class_folders, video_files
from nlrepro.data.rows import read_rows
from nlrepro.files import BadInput, access

SPLITS = ("train", "val")
SPELLINGS = {"val": ("val", "validate", "validation")}
ID_LENGTH = 11  # of YouTube's ids; they may hold the _ that the times are set off with
YOUTUBE_ID = re.compile(rf"[A-Za-z0-9_-]{{{ID_LENGTH}}}")


def list_split(root: Path, split: str, classes: int | None = None) -> tuple[Tree, int, list[str]]:
    """The videos of a split that are there, how many there should be, and oddities of the tree, in words."""
    folder, csv = root / split, annotation_file(root, split)
    paths, left_out, notes = video_files(folder)
    spellings = set().union(*(class_spellings(root, name) for name in {*SPLITS, split}))
    names = sorted({*map(class_name, spellings)})
    if classes not in (None, len(names)):
        counts = f"{len(names)} classes where the profile says {classes}"
        raise BadInput("; ".join([f"{root} has {counts}", *notes, "is a part of it missing?"]))
    videos = [f"{path.parent.name}/{path.name}" for path in paths]
    listed = len(videos) + left_out
    if csv:
        labels = read_annotations(csv, split)
        listed = len(labels)
        videos, others = match_annotations(videos, labels, csv, folder)
        notes += others
    spellings |= {spelling(video.split("/")[0]) for video in videos}
    if twice := [name for name, number in Counter(map(class_name, spellings)).items() if number > 1]:
        words = "classes are written in two Unicode forms and taken as one, such as"
        notes.append(f"{len(twice):,} {words} {min(twice)!r}")
    if missing := sorted({*names} - set(map(class_of, videos))):
        counts = f"{len(missing):,} of {len(names):,} classes have no video in {split}"
        notes.append(f"{counts}, such as {missing[0]!r}")
    number = {name: i for i, name in enumerate(names)}
    videos.sort(key=lambda video: (number[class_of(video)], video))
    numbers = tuple(number[class_of(video)] for video in videos)
    return Tree(folder=folder, classes=tuple(names), videos=tuple(videos), labels=numbers), listed, notes


def class_spellings(root: Path, split: str) -> set[str]:
    """The classes of one split as they are written: in its CSV, or else as its folders."""
    if csv := annotation_file(root, split):
        return set(read_annotations(csv, split).values())
    names, _ = class_folders(root / split) if (root / split).is_dir() else ([], [])
    return {spelling(name) for name in names if not UNPRINTABLE.search(name)}


def spelling(text: str) -> str:
    """With spaces, as in the CSVs and the authors' list: "petting_cat" and "petting cat" are one class."""
    return " ".join(text.replace("_", " ").split())


def class_name(text: str) -> str:
    """In Unicode's composed form: file systems and unpackers change the form of accented letters."""
    return normalize("NFC", spelling(text))


def class_of(video: str) -> str:
    """The class of the folder that a video lies in."""
    return class_name(video.split("/")[0])


def match_annotations(
    videos: list[str], labels: dict[str, str], csv: Path, folder: Path
) -> tuple[list[str], list[str]]:
    """The files that the CSV lists, one a row, and notes on others; `labels` are classes by YouTube id."""
    files: dict[str, str] = {}  # by YouTube id
    for video in videos:
        identity = video.split("/")[1][:ID_LENGTH]
        label = labels.get(identity)
        if label and class_name(label) != class_of(video):
            place = f"its file is {folder / video}; move it, or mend the row"
            raise BadInput(f"{csv} says that {identity} is {label!r}, but {place}")
        if label:
            files.setdefault(identity, video)
    if not files:
        raise BadInput(f"none of the {len(videos):,} videos in {folder} is in {csv}; is it of another tree?")
    kept, reasons = {*files.values()}, f"not in {csv.name}, or of a video that has another file"
    lines = {
        f"of the {len(labels):,} videos in {csv.name} have no file": [x for x in labels if x not in files],
        f"files are left out, as they are {reasons}": [video for video in videos if video not in kept],
    }
    notes = [f"{len(ids):,} {words}, such as {ids[0]}" for words, ids in lines.items() if ids]
    return list(files.values()), notes


def annotation_file(root: Path, split: str) -> Path | None:
    """The CSV of a split, if the tree has one."""
    names = [f"{name}.csv" for name in SPELLINGS.get(split, (split,))]
    paths = [folder / name for folder in (root, root / "annotations") for name in names]
    with access(root / "annotations"):
        return next((path for path in paths if path.is_file()), None)


def read_annotations(path: Path, split: str) -> dict[str, str]:
    """YouTube id -> class name, for the rows of the split, in the file's order."""
    advice = "expected a CSV file as Kinetics' own, with the columns label and youtube_id"
    labels, spellings, others = dict[str, str](), SPELLINGS.get(split, (split,)), set[str]()
    for place, row in read_rows(path, ("label", "youtube_id"), advice):
        identity, label, part = row["youtube_id"], spelling(row["label"]), row.get("split", split)
        if not YOUTUBE_ID.fullmatch(identity):
            expected = f"youtube_id has {ID_LENGTH} letters, digits, - or _, got {identity!r}"
            raise BadInput(f"{place}: {expected}; did a spreadsheet change it?")
        if not (label and part):
            raise BadInput(f"{place}: the {'split' if label else 'label'} is empty; {advice}")
        if part not in spellings:
            others.add(part)
        elif class_name(labels.setdefault(identity, label)) != class_name(label):
            both = f"{labels[identity]!r} and {label!r}"
            raise BadInput(f"{place} calls {identity} both {both}; keep one of the two rows")
    if others and not labels:
        names = ", ".join(sorted(others)[:5])
        raise BadInput(
            f"{path} has no row of the split {split!r}, but {names}; is it the file of another split?"
        )
    return labels
