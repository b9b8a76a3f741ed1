"""Trees of real videos, such as Kinetics-400: which videos belong, which can be used, and which a run sees.

`<root>/{train,val}/<class>/<id>*.{mp4,mkv,webm,avi}`. With Kinetics' CSVs, these say which classes there are
and which videos belong; a file's name starts with its YouTube id (`<id>.mp4`, `<id>_000010_000020.mp4`).
Without CSVs every file of every class folder belongs, which serves UCF-101 or a subset as well. Class numbers
are places among the sorted class names of all splits, so that a class that one split lacks shifts nothing.
The CSVs have the columns label, youtube_id, time_start, time_end, split; only the first two are needed. The
releases call the validation split `val`, `validate` or `validation`, and put the files beside the videos or
into a folder `annotations`.

`data check` decodes every file once and keeps its facts in an index: JSON lines beside the split's folder, or
below the data folder's cache where the tree cannot be written. A tree such as Kinetics has unusable files:
they are counted and left out, no error; of generated ones all must be usable. Each result goes to a journal
beside the index at once, so that a check that was cut off goes on where it was. A finished one examines again
only files that are new, have changed, or could not be used (a time-out may have been the disk's). Training
reads the index and compares names alone: a copy of a tree with its index needs no new check, and a start of
training no 240,000 calls of stat.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import pandas as pd

from nlrepro.config import Clips, Profile
from nlrepro.data.clips import Tree, check_command, is_video, no_videos
from nlrepro.data.facts import LIMIT, Examine, Facts, Index, complete_index, examine, examine_all, parse_index
from nlrepro.files import BadInput
from nlrepro.processes import progress_bar
from nlrepro.record import share
from nlrepro.spec import RunSpec

SPLITS = ("train", "val")
SPELLINGS = {"val": ("val", "validate", "validation")}
COLUMNS = ("label", "youtube_id")
ID_LENGTH = 11  # of YouTube's ids; they may hold the _ that the times are set off with
YOUTUBE_ID = re.compile(rf"[A-Za-z0-9_-]{{{ID_LENGTH}}}")

DIGESTS: dict[
    object, str
] = {}  # of generated splits, kept for the life of the process by what they depend on


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The videos of a split that are there, how many there should be, and oddities of the tree, in words."""

    tree: Tree
    listed: int  # rows of the CSV; without one, the files
    notes: tuple[str, ...] = ()


def list_split(root: Path, split: str, classes: int | None = None) -> Listing:
    """The videos of a split; `classes` is the number of classes that there must be, if that matters.

    Raises:
        BadInput: the split is missing or empty, has another number of classes, or contradicts its CSV.
    """
    folder, csv = root / split, annotation_file(root, split)
    if not folder.is_dir():
        advice = f"point --data at the folder above {root.name}"
        raise BadInput(f"no folder {folder}; expected {folder}/<class>/<video>; {advice}")
    names = sorted(set().union(*(class_names(root, name) for name in {*SPLITS, split})))
    if classes not in (None, len(names)):
        counts = f"{len(names)} classes where the profile says {classes}"
        raise BadInput(f"{root} has {counts}; is a part of it missing?")
    paths = sorted(path for place in class_folders(folder) for path in place.iterdir() if is_video(path))
    videos = [f"{path.parent.name}/{path.name}" for path in paths]
    listed, notes = len(videos), list[str]()
    if csv:
        labels = read_annotations(csv, split)
        listed = len(labels)
        videos, notes = match_annotations(videos, labels, csv, folder)
    if not videos:
        raise no_videos(folder)
    if missing := sorted({*names} - set(map(class_of, videos))):
        counts = f"{len(missing):,} of {len(names):,} classes have no video in {split}"
        notes.append(f"{counts}, such as {missing[:1]}")
    number = {name: i for i, name in enumerate(names)}
    videos.sort(key=lambda video: (number[class_of(video)], video))
    labels_of = tuple(number[class_of(video)] for video in videos)
    tree = Tree(folder=folder, classes=tuple(names), videos=tuple(videos), labels=labels_of)
    return Listing(tree=tree, listed=listed, notes=tuple(notes))


def class_names(root: Path, split: str) -> set[str]:
    """The classes of one split: of its CSV, or else of its folders."""
    if csv := annotation_file(root, split):
        return set(read_annotations(csv, split).values())
    return {class_name(folder.name) for folder in class_folders(root / split)}


def class_folders(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.is_dir() and not path.name.startswith(".")]


def class_name(text: str) -> str:
    """With spaces, as in the CSVs and the authors' list: "petting_cat" and "petting cat" are one class."""
    return " ".join(text.replace("_", " ").split())


def class_of(video: str) -> str:
    """The class of the folder that a video lies in."""
    return class_name(video.split("/")[0])


def match_annotations(
    videos: list[str], labels: dict[str, str], csv: Path, folder: Path
) -> tuple[list[str], list[str]]:
    """The files that the CSV lists, one a row, and notes on the others; `labels` are classes by YouTube id.

    Raises:
        BadInput: a video lies in the folder of another class than its row says.
    """
    files: dict[str, str] = {}  # by YouTube id
    strange: list[str] = []
    doubles: list[str] = []
    for video in videos:
        identity = video.split("/")[1][:ID_LENGTH]
        label = labels.get(identity)
        if label is None:
            strange.append(video)
        elif label != class_of(video):
            place = f"its file is {folder / video}; move it, or mend the row"
            raise BadInput(f"{csv} says that {identity} is {label!r}, but {place}")
        elif files.setdefault(identity, video) != video:
            doubles.append(video)
    notes = []
    if missing := len(labels) - len(files):
        notes.append(f"{missing:,} of the {len(labels):,} videos in {csv.name} have no file")
    if strange:
        notes.append(f"{len(strange):,} files are not in {csv.name} and are left out, such as {strange[:1]}")
    if doubles:
        words = "files are of a video that has another file and are left out"
        notes.append(f"{len(doubles):,} {words}, such as {doubles[:1]}")
    return list(files.values()), notes


def annotation_file(root: Path, split: str) -> Path | None:
    """The CSV of a split, if the tree has one."""
    names = [f"{name}.csv" for name in SPELLINGS.get(split, (split,))]
    paths = [folder / name for folder in (root, root / "annotations") for name in names]
    return next((path for path in paths if path.is_file()), None)


def read_annotations(path: Path, split: str) -> dict[str, str]:
    """YouTube id -> class name, for the rows of the split, in the file's order.

    Raises:
        BadInput: no table, a column is missing, no row is of this split, or an id is not one of YouTube's or
            has two labels.
    """
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:  # pandas' own are ValueErrors
        raise BadInput(
            f"cannot read {path}: {str(error).strip()}; expected a CSV file as Kinetics' own"
        ) from None
    if missing := [name for name in COLUMNS if name not in rows]:
        columns = f"expected {', '.join(COLUMNS)}, got {', '.join(map(str, rows))}"
        raise BadInput(f"{path} lacks the column {', '.join(missing)}; {columns}")
    if "split" in rows:
        others = ", ".join(sorted(set(rows["split"]))[:5]) or "no rows"
        rows = rows[rows["split"].isin(SPELLINGS.get(split, (split,)))]
        if rows.empty:
            question = "is it the file of another split?"
            raise BadInput(f"{path} has no row of the split {split!r}, but {others}; {question}")
    labels: dict[str, str] = {}
    for identity, label in zip(rows["youtube_id"], map(class_name, rows["label"]), strict=True):
        if not YOUTUBE_ID.fullmatch(identity):
            expected = f"youtube_id has {ID_LENGTH} letters, digits, - or _, got {identity!r}"
            raise BadInput(f"{path}: {expected}; did a spreadsheet change it?")
        if labels.setdefault(identity, label) != label:
            both = f"{labels[identity]!r} and {label!r}"
            raise BadInput(f"{path} calls {identity} both {both}; keep one of the two rows")
    return labels


def index_paths(root: Path, split: str, cache: Path) -> tuple[Path, Path]:
    """Where the index of a split may lie: beside it, and in the cache."""
    tree = sha256(str(root.resolve()).encode()).hexdigest()[:8]
    return root / f"index-{split}.jsonl", cache / f"index-{root.name}-{tree}-{split}.jsonl"


def read_index(root: Path, split: str, cache: Path) -> Index:
    """The index of a split.

    Raises:
        BadInput: the split was never checked, or the index is damaged.
    """
    path = next((path for path in index_paths(root, split, cache) if path.is_file()), None)
    if path is None:
        raise BadInput(f"the videos in {root / split} have not been checked; run {check_command(root)} first")
    return parse_index(path, check_command(root))


def usable_videos(tree: Tree, index: Index) -> Tree:
    """The videos of a tree that can be used, in its order; classes keep their numbers.

    Raises:
        BadInput: a video was never checked, or none is left.
    """
    if unknown := [video for video in tree.videos if video not in index]:
        counts = f"{len(unknown):,} videos in {tree.folder} have not been checked, such as {unknown[0]}"
        raise BadInput(f"{counts}; run {check_command(tree.folder.parent)} again")
    kept = [i for i, video in enumerate(tree.videos) if index[video].serves(2)]
    if not kept:
        raise BadInput(f"none of the {len(tree.videos):,} videos in {tree.folder} can be used")
    videos, labels = tuple(tree.videos[i] for i in kept), tuple(tree.labels[i] for i in kept)
    return replace(tree, videos=videos, labels=labels)


def open_split(root: Path, split: str, cache: Path, classes: int | None) -> tuple[Tree, list[Facts], int]:
    """The usable videos of a checked split, their facts, and how many videos there should be.

    Raises:
        BadInput: the errors of `list_split`, `read_index` and `usable_videos`.
    """
    listing, index = list_split(root, split, classes), read_index(root, split, cache)
    tree = usable_videos(listing.tree, index)
    return tree, [index[video] for video in tree.videos], listing.listed


def splits(profile: Profile) -> dict[str, int]:
    """The splits of videos -> number of classes."""
    kinds = profile.clips.values()
    return {split: clips.classes for clips in kinds for split in (clips.train, clips.val, clips.test)}


def check_generated(profile: Profile, root: Path, jobs: int) -> None:
    """Check that each video of the profile's splits can be used and is as long as its clips.

    Raises:
        BadInput: a split is missing or empty, or some of its videos cannot be used: all are printed.
    """
    bad: list[str] = []
    for split, classes in sorted(splits(profile).items()):
        tree = Tree.scan(root / split, classes)
        span = max(c.span for c in profile.clips.values() if split in (c.train, c.val, c.test))
        results = examine_all(tree.folder, tree.videos, jobs)
        bar = progress_bar(results, total=len(tree.videos), desc=split, unit=" videos")
        reasons = {f.video: f.reason or f"{f.frames} frames of {span}" for f in bar if not f.serves(span)}
        print(f"{split}: {len(tree.videos) - len(reasons):,} of {len(tree.videos):,} videos can be used")
        bad += [f"{tree.folder / video}: {reasons[video]}" for video in sorted(reasons)]
    if bad:
        print(*bad, sep="\n")
        advice = "replace or remove it"
        raise BadInput(f"{len(bad)} videos below {root} cannot be used, the first: {bad[0]}; {advice}")


def check_real(profile: Profile, root: Path, cache: Path, jobs: int) -> None:
    """Check and print the splits of the profile that are there: a test of given weights needs no `train`.

    Raises:
        BadInput: no split is there, or one contradicts its CSV or has no video that can be used.
    """
    classes = splits(profile)
    present = [split for split in sorted(classes) if (root / split).is_dir()]
    for split in present or classes:
        check_split(root, split, cache, jobs, classes=classes[split])
    for split in sorted({*classes} - {*present}):
        print(f"{split}: there is no folder {root / split}; what needs it, such as training, cannot be done")


def check_split(
    root: Path,
    split: str,
    cache: Path,
    jobs: int,
    *,
    classes: int | None = None,
    examine: Examine = examine,
    limit: float = LIMIT,
) -> Index:
    """Check one split, write its index, and print what came out; errors as of `check_real`."""
    listing = list_split(root, split)
    beside, cached = index_paths(root, split, cache)
    path = beside if os.access(root, os.W_OK) else cached
    tree = listing.tree
    index = complete_index(tree.folder, tree.videos, path, jobs, examine, limit)
    usable, number = sum(facts.serves(2) for facts in index.values()), len(tree.classes)
    print(f"{split}: {share(usable, listing.listed)} can be used; the index is {path}")
    others = [f"{number} classes where the profile says {classes}"] if classes not in (None, number) else []
    for note in (*listing.notes, *others, *index_notes(index)):
        print(f"  {note}")
    if not usable:
        words = f"videos in {root / split} can be used; their reasons are in {path}"
        raise BadInput(f"none of the {len(index):,} {words}")
    return index


def index_notes(index: Index) -> Iterator[str]:
    """One line for reasons that differ in their numbers alone, the commonest first; then what else is odd."""
    kinds = {video: re.sub(r"\d+", "0", facts.reason) for video, facts in index.items() if facts.reason}
    example = {kind: video for video, kind in reversed(kinds.items())}
    for kind, number in Counter(kinds.values()).most_common():
        yield f"{number:,} cannot be used, such as {example[kind]}: {index[example[kind]].reason}"
    good = [facts for facts in index.values() if not facts.reason]
    if uneven := sum(facts.variable for facts in good):
        yield f"{uneven:,} have a variable frame rate; their clips are uneven in time"
    if rotated := sum(facts.rotation != 0 for facts in good):
        yield f"{rotated:,} are rotated by their metadata; they are read upright"


def videos_seen(spec: RunSpec, profile: Profile, data: Path) -> str | None:
    """Digest of the videos of a run's splits and of its parents'; None where they cannot be read.

    It changes when a video is added, removed, renamed or has another size.
    """
    clips, root, cache = profile.clips[spec.clip], data / profile.data.root, data / "cache"
    classes = None if profile.real and profile.dry_run else clips.classes
    parent = videos_seen(spec.parent, profile, data) if spec.parent else None
    try:
        parts = [
            generated_digest(profile, clips, split, data)
            if profile.real is None
            else real_digest(root, split, classes, cache, changes(root, split, cache))
            for split in sorted({clips.train, clips.val, clips.test})
        ]
    except BadInput:
        return None
    return sha256(str([*parts, parent]).encode()).hexdigest()[:12]


def changes(root: Path, split: str, cache: Path) -> tuple[int, ...]:
    """When the folders of a split, its CSV and its index were last changed, in nanoseconds.

    Digests of thousands of files are kept for the life of the process by these times: a video that comes,
    goes or is renamed changes that of its folder. One that is overwritten where it lies is noticed by the
    next process.
    """
    folders = [path for path in (root, root / split, root / "annotations") if path.is_dir()]
    paths = [*folders, *(path for folder in folders for path in sorted(folder.iterdir())), cache]
    return tuple(path.stat().st_mtime_ns for path in paths if path.exists())


def generated_digest(profile: Profile, clips: Clips, split: str, data: Path) -> str:
    """
    Raises:
        BadInput: the split is not there, or incomplete.
    """
    root = data / profile.data.root
    key = (
        root / split,
        clips.classes,
        profile.name,
        profile.limit(split),
        changes(root, split, data / "cache"),
    )
    if key not in DIGESTS:
        tree = Tree.scan(root / split, clips.classes, profile.generator, profile.limit(split))
        DIGESTS[key] = tree.digest
    return DIGESTS[key]


@lru_cache
def real_digest(root: Path, split: str, classes: int | None, cache: Path, changed: object) -> str:
    """Of the usable videos of a split.

    Raises:
        BadInput: the split is not there, or was never checked.
    """
    tree, facts, _ = open_split(root, split, cache, classes)
    lines = [f"{video} {f.bytes}" for video, f in zip(tree.videos, facts, strict=True)]
    return sha256("\n".join(lines).encode()).hexdigest()[:12]
