"""Trees of real videos, such as Kinetics-400: which videos belong, which can be used, and which a run sees.

`<root>/{train,val}/<class>/<id>*.{mp4,mkv,webm,avi}`. With Kinetics' CSVs, beside the splits or in a folder
`annotations`, these say which classes there are and which videos belong; a file's name begins with its
YouTube id (`<id>.mp4`, `<id>_000010_000020.mp4`). Their columns label and youtube_id are needed.
Without CSVs every file of every class folder belongs, which serves UCF-101 or a subset as well. Class numbers
are places among the sorted class names of all splits: a class that one split lacks shifts nothing.

`data check` decodes every file once and keeps its facts in an index (facts.py). A tree such as Kinetics has
unusable files: they are counted and left out; of generated ones all must be usable. A second check examines
only files that are new, have changed, or could not be used (a time-out may have been the disk's). Training
reads the index and compares names alone: a start of training needs no 240,000 calls of stat.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from unicodedata import normalize

from pydantic import ValidationError

from nlrepro.config import Profile
from nlrepro.data.clips import UNPRINTABLE, Tree, check_command, class_folders, video_files
from nlrepro.data.facts import LINE, Facts, Index, complete_index, file_state, index_path
from nlrepro.data.rows import read_rows
from nlrepro.files import BadInput, access, names_in
from nlrepro.record import share
from nlrepro.spec import RunSpec, explain

SPLITS = ("train", "val")
SPELLINGS = {"val": ("val", "validate", "validation")}
ID_LENGTH = 11  # of YouTube's ids; they may hold the _ that the times are set off with
YOUTUBE_ID = re.compile(rf"[A-Za-z0-9_-]{{{ID_LENGTH}}}")

DIGESTS: dict[object, str] = {}  # of splits, for the life of the process, by all that they depend on


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


def read_index(root: Path, split: str, cache: Path) -> Index:
    """The facts of a split's videos, as they were last checked."""
    path = index_path(root / split, cache)
    if not path.is_file():
        raise BadInput(f"the videos in {root / split} have not been checked; run {check_command(root)} first")
    with access(path):
        lines = path.read_bytes().splitlines()
    try:
        return {facts.video: facts for facts in map(LINE.validate_json, lines)}
    except ValidationError as error:
        advice = f"run {check_command(root)} again"
        raise BadInput(f"the index {path} is damaged: {explain(error)}; {advice}") from None


def open_split(root: Path, split: str, cache: Path, classes: int | None) -> tuple[Tree, list[Facts], int]:
    """The usable videos of a checked split, their facts, and how many videos there should be.

    Raises:
        BadInput: the split is missing, empty, or contradicts its CSV; it has other than so many `classes`; a
            video was never checked, or none can be used; or the index is damaged.
    """
    (tree, listed, _), index = list_split(root, split, classes), read_index(root, split, cache)
    if unknown := [video for video in tree.videos if video not in index]:
        counts = f"{len(unknown):,} videos in {tree.folder} have not been checked, such as {unknown[0]}"
        raise BadInput(f"{counts}; run {check_command(root)} again")
    kept = [i for i, video in enumerate(tree.videos) if index[video].usable]
    if not kept:
        raise BadInput(f"none of the {len(tree.videos):,} videos in {tree.folder} can be used")
    videos, labels = tuple(tree.videos[i] for i in kept), tuple(tree.labels[i] for i in kept)
    return replace(tree, videos=videos, labels=labels), [index[video] for video in videos], listed


def splits(profile: Profile) -> dict[str, int]:
    """The splits of videos -> number of classes."""
    kinds = profile.clips.values()
    return {split: clips.classes for clips in kinds for split in (clips.train, clips.val, clips.test)}


def check_videos(profile: Profile, root: Path, cache: Path, jobs: int) -> None:
    """Check and print the splits of the profile that are there: a test of given weights needs no `train`.

    Raises:
        BadInput: no split is there, or one contradicts its CSV or has no video that can be used, or some
            generated video cannot.
    """
    classes = splits(profile)
    present = [split for split in sorted(classes) if (root / split).is_dir() or not profile.real]
    bad: list[str] = []
    for split in present or sorted(classes):
        index = check_split(root, split, cache, jobs, classes=classes[split])
        bad += [f"{root / split / video}: {facts.reason}" for video, facts in index.items() if facts.reason]
    for split in sorted({*classes} - {*present}):
        print(f"{split}: there is no folder {root / split}; what needs it, such as training, cannot be done")
    if bad and not profile.real:
        advice = "remove it; `data make` makes it anew"
        raise BadInput(f"{len(bad)} generated videos cannot be used, the first: {bad[0]}; {advice}")


def check_split(root: Path, split: str, cache: Path, jobs: int, classes: int | None = None) -> Index:
    """Check one split, write its index, and print what came out; errors as of `check_videos`."""
    tree, listed, notes = list_split(root, split)
    path, index = index_path(tree.folder, cache), complete_index(tree.folder, tree.videos, cache, jobs)
    usable, number = sum(facts.usable for facts in index.values()), len(tree.classes)
    if classes not in (None, number):
        notes.append(f"{number} classes where the profile says {classes}")
    result = f"{split}: {share(usable, listed)} can be used; the index is {path}"
    print(result, *notes, *index_notes(index), sep="\n  ")
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
    if turned := sum(facts.turned for facts in index.values()):
        yield f"{turned:,} are turned or mirrored, as their files say"
    if uneven := sum(facts.variable for facts in index.values()):
        yield f"{uneven:,} have a variable frame rate; their clips are uneven in time"


def videos_seen(spec: RunSpec, profile: Profile, data: Path) -> str | None:
    """Digest of the videos of a run's splits and of its parents'; None where they cannot be read.

    It changes when a video is added, removed, renamed or has another size.
    """
    clips = profile.clips[spec.clip]
    parent = videos_seen(spec.parent, profile, data) if spec.parent else None
    splits = sorted({clips.train, clips.val, clips.test})
    try:
        parts = [split_digest(profile, split, clips.classes, data) for split in splits]
    except (BadInput, PermissionError):
        return None
    return sha256(str([*parts, parent]).encode()).hexdigest()[:12]


def split_digest(profile: Profile, split: str, classes: int, data: Path) -> str:
    """Of the generated, or of the usable real videos of a split; errors as of `Tree.scan` and `open_split`.

    It is kept by the times of the last change of all folders and of the index; a video that is overwritten
    where it lies changes none of them, and is noticed by the next process.
    """
    root, cache, real = data / profile.data.root, data / "cache", profile.real is not None
    folders = [path for path in (root, root / split, root / "annotations") if path.is_dir()]
    listed = [folder / name for folder in folders for name in names_in(folder)]
    changed = tuple(map(file_state, [index_path(root / split, cache), *folders, *listed]))
    number = None if real and profile.dry_run else classes
    key = root, split, number, profile.name, changed
    if key not in DIGESTS and real:
        tree, facts, _ = open_split(root, split, cache, number)
        lines = [f"{video} {f.bytes}" for video, f in zip(tree.videos, facts, strict=True)]
        DIGESTS[key] = sha256("\n".join(lines).encode()).hexdigest()[:12]
    elif key not in DIGESTS:
        tree = Tree.scan(root / split, classes, profile.generator, profile.limit(split))
        DIGESTS[key] = tree.digest
    return DIGESTS[key]
