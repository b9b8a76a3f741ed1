"""Which videos a tree of real videos has: Kinetics-400 as it is usually kept, or any folder of class folders.

`<root>/{train,val}/<class>/<id>*.{mp4,mkv,webm,avi}`. With Kinetics' CSVs, these say which classes there are and which videos
belong; files are told by the YouTube id that their names start with (`<id>.mp4`, `<id>_000010_000020.mp4`). Without CSVs every
file of every class folder belongs, which serves UCF-101 or a subset as well. Class numbers are places among the sorted class
names of all splits, so that a class that one split lacks shifts nothing.

The CSVs have the columns label, youtube_id, time_start, time_end, split; only the first two are needed. The releases call the
validation split `val`, `validate` or `validation`, and put the files beside the videos or into a folder `annotations`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nlrepro.data.videos import SUFFIXES, Tree
from nlrepro.files import BadInput

SPLITS = ("train", "val")
SPELLINGS = {"val": ("val", "validate", "validation")}
NEEDED = ("label", "youtube_id")
ID_LENGTH = 11  # of YouTube's ids; they may hold the _ that the times are set off with
YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The videos of a split that are there, how many there should be, and what is odd about the tree, in words."""

    tree: Tree
    listed: int  # rows of the CSV; without one, the files
    notes: tuple[str, ...] = ()


def listing(root: Path, split: str, classes: int | None = None) -> Listing:
    """The videos of a split; `classes` is the number of classes that there must be, if that matters.

    Raises:
        BadInput: the split is missing or empty, has another number of classes, or contradicts its CSV.
    """
    folder = root / split
    if not folder.is_dir():
        raise BadInput(f"no folder {folder}; expected {folder}/<class>/<video>; point --data at the folder above {root.name}")
    names = class_list(root, split)
    if classes is not None and len(names) != classes:
        raise BadInput(f"{root} has {len(names)} classes where the profile says {classes}; is a part of it missing?")
    found = list(video_files(folder))
    csv = annotation_file(root, split)
    notes: tuple[str, ...] = ()
    listed = len(found)
    if csv:
        labels = read_annotations(csv, split)
        found, notes = belonging(found, labels, csv, folder)
        listed = len(labels)
    if not found:
        raise BadInput(f"no videos in {folder}; expected {folder}/<class>/<video> ending in {', '.join(sorted(SUFFIXES))}")
    return Listing(tree=numbered(folder, names, found), listed=listed, notes=(*notes, *lacking(split, names, found)))


def class_list(root: Path, split: str) -> tuple[str, ...]:
    """Sorted names of the classes of all splits, so that they agree on the numbers."""
    return tuple(sorted(set().union(*(classes_of(root, name) for name in {*SPLITS, split}))))


def classes_of(root: Path, split: str) -> set[str]:
    """The class names of one split: of its CSV, or else of its folders."""
    csv = annotation_file(root, split)
    if csv:
        return set(read_annotations(csv, split).values())
    return {class_name(path.name) for path in class_folders(root / split)}


def class_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def video_files(folder: Path) -> Iterator[str]:
    """The paths "<class folder>/<file>" of the videos, sorted."""
    for place in class_folders(folder):
        for path in sorted(place.iterdir()):
            if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                yield f"{place.name}/{path.name}"


def shown(video: str) -> str:
    """The class of the folder that a video lies in."""
    return class_name(video.split("/")[0])


def belonging(found: list[str], labels: dict[str, str], csv: Path, folder: Path) -> tuple[list[str], tuple[str, ...]]:
    """The files that the CSV lists, one a row, and notes on the others.

    Raises:
        BadInput: a video lies in the folder of another class than its row says.
    """
    of_row: dict[str, str] = {}
    strange: list[str] = []
    twice: list[str] = []
    for video in found:
        identity = video.split("/")[1][:ID_LENGTH]
        label = labels.get(identity)
        if label is None:
            strange.append(video)
        elif label != shown(video):
            raise BadInput(f"{csv} says that {identity} is {label!r}, but its file is {folder / video}; move it, or mend the row")
        elif of_row.setdefault(identity, video) != video:
            twice.append(video)
    notes = {
        f"{len(labels) - len(of_row):,} of the {len(labels):,} videos in {csv.name} have no file": len(labels) - len(of_row),
        f"{len(strange):,} files are not in {csv.name} and are left out, such as {strange[:1]}": len(strange),
        f"{len(twice):,} files are of a video that has another file and are left out, such as {twice[:1]}": len(twice),
    }
    return list(of_row.values()), tuple(note for note, number in notes.items() if number)


def numbered(folder: Path, names: tuple[str, ...], videos: list[str]) -> Tree:
    """Videos by class, then by name."""
    number = {name: i for i, name in enumerate(names)}
    pairs = sorted((number[shown(video)], video) for video in videos)
    return Tree(folder=folder, classes=names, videos=tuple(v for _, v in pairs), labels=tuple(label for label, _ in pairs))


def lacking(split: str, names: tuple[str, ...], videos: list[str]) -> tuple[str, ...]:
    """A note on the classes that have no video."""
    missing = sorted({*names} - {shown(video) for video in videos})
    return (f"{len(missing):,} of {len(names):,} classes have no video in {split}, such as {missing[:1]}",) if missing else ()


def class_name(text: str) -> str:
    """With spaces, as the CSVs and the authors' list of classes have it: "petting_cat" and "petting cat" are one class."""
    return " ".join(text.replace("_", " ").split())


def annotation_file(root: Path, split: str) -> Path | None:
    """The CSV of a split, if the tree has one."""
    names = [f"{name}.csv" for name in SPELLINGS.get(split, (split,))]
    places = [folder / name for folder in (root, root / "annotations") for name in names]
    return next((path for path in places if path.is_file()), None)


def read_annotations(path: Path, split: str) -> dict[str, str]:
    """YouTube id -> class name, for the rows of the split, in the file's order.

    Raises:
        BadInput: no table, a column is missing, no row is of this split, an id is not one of YouTube's, or an id has two labels.
    """
    rows = of_split(read_table(path), path, split)
    labels: dict[str, str] = {}
    for identity, label in zip(rows["youtube_id"], map(class_name, rows["label"]), strict=True):
        if not YOUTUBE_ID.fullmatch(identity):
            raise BadInput(f"{path}: youtube_id has 11 letters, digits, - or _, got {identity!r}; did a spreadsheet change it?")
        if labels.setdefault(identity, label) != label:
            raise BadInput(f"{path} calls {identity} both {labels[identity]!r} and {label!r}; keep one of the two rows")
    return labels


def read_table(path: Path) -> pd.DataFrame:
    """All rows of a CSV, as text.

    Raises:
        BadInput: no table, or a column is missing.
    """
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:  # pandas' own are ValueErrors
        raise BadInput(f"cannot read {path}: {str(error).strip()}; expected a CSV file as Kinetics' own") from None
    missing = [name for name in NEEDED if name not in rows]
    if missing:
        raise BadInput(
            f"{path} lacks the column {', '.join(missing)}; expected {', '.join(NEEDED)}, got {', '.join(map(str, rows))}"
        )
    return rows


def of_split(rows: pd.DataFrame, path: Path, split: str) -> pd.DataFrame:
    """The rows of one split: all of them, if there is no such column.

    Raises:
        BadInput: no row is of this split.
    """
    if "split" in rows:
        found = ", ".join(sorted(set(rows["split"]))[:5]) or "no rows"
        rows = rows[rows["split"].isin(SPELLINGS.get(split, (split,)))]
        if rows.empty:
            raise BadInput(f"{path} has no row of the split {split!r}, but {found}; is it the file of another split?")
    return rows
