"""The checked splits of a dataset: which videos can be used, and which a run sees.

`data check` decodes every file once and keeps its facts in an index (facts.py). Real datasets have unusable
files: they are counted and left out; of generated ones all must be usable. A second check examines only
files that are new, have changed, or could not be used (a time-out may have been the disk's). Training reads
the index and compares names alone: a start of training needs no 240,000 calls of stat.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path, PurePath

from pydantic import ValidationError

from nlrepro.config import Profile, Real
from nlrepro.data import kinetics, layouts
from nlrepro.data.clips import CHECK, Tree
from nlrepro.data.facts import LINE, Facts, Index, complete_index, file_state, index_path
from nlrepro.files import BadInput, access, names_in
from nlrepro.record import share
from nlrepro.spec import RunSpec, explain

DIGESTS: dict[object, str] = {}  # of splits, for the life of the process, by all that they depend on


def list_split(
    root: Path, split: str, real: Real | None = None, classes: int | None = None
) -> tuple[Tree, int, list[str]]:
    """The videos of a split that are there, how many it should have, and oddities in words."""
    read = layouts.find_layout(root).read if real else None
    if not (read and real):
        return kinetics.list_split(root, split, classes)
    return layouts.list_split(read(root, real), split, classes)


def has_split(root: Path, split: str, real: Real | None) -> bool:
    """Whether a folder has a split, as far as its lists or the names of its folders say."""
    read = layouts.find_layout(root).read if real else None
    if not (read and real):
        return (root / split).is_dir()
    names = {name for name, videos in read(root, real).splits.items() if videos}
    return split in names or (split == "val" and "train" in names)


def read_index(folder: Path, cache: Path) -> Index:
    """The facts of the videos in a folder, as they were last checked."""
    path = index_path(folder, cache)
    if not path.is_file():
        raise BadInput(f"the videos in {folder} have not been checked; run {CHECK} first")
    with access(path):
        lines = path.read_bytes().splitlines()
    try:
        return {facts.video: facts for facts in map(LINE.validate_json, lines)}
    except ValidationError as error:
        advice = f"run {CHECK} again"
        raise BadInput(f"the index {path} is damaged: {explain(error)}; {advice}") from None


def open_split(
    root: Path, split: str, cache: Path, classes: int | None, real: Real | None = None
) -> tuple[Tree, list[Facts], int]:
    """The usable videos of a checked split, their facts, and how many videos there should be.

    Raises:
        BadInput: the split is missing, empty, or contradicts its lists; it has other than so many `classes`;
            a video was never checked, or none can be used; or the index is damaged.
    """
    tree, listed, _ = list_split(root, split, real, classes)
    index = read_index(tree.folder, cache)
    if unknown := [video for video in tree.videos if video not in index]:
        counts = f"{len(unknown):,} videos in {tree.folder} have not been checked, such as {unknown[0]}"
        raise BadInput(f"{counts}; run {CHECK} again")
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
        BadInput: no split is there, or one contradicts its lists or has no video that can be used, or some
            generated video cannot.
    """
    classes, real = splits(profile), profile.real
    if real:
        print(f"layout: {layouts.find_layout(root).name}")
    present = [split for split in sorted(classes) if not real or has_split(root, split, real)]
    bad: list[str] = []
    for split in present or sorted(classes):
        index = check_split(root, split, cache, jobs, classes=classes[split], real=real)
        bad += [f"{root / split / video}: {facts.reason}" for video, facts in index.items() if facts.reason]
    for split in sorted({*classes} - {*present}):
        print(f"{split}: {root} has no such split; what needs it, such as training, cannot be done")
    if bad and not profile.real:
        advice = "remove it; `data make` makes it anew"
        raise BadInput(f"{len(bad)} generated videos cannot be used, the first: {bad[0]}; {advice}")


def check_split(
    root: Path, split: str, cache: Path, jobs: int, classes: int | None = None, real: Real | None = None
) -> Index:
    """Check one split, write its index, and print what came out; errors as of `check_videos`."""
    tree, listed, notes = list_split(root, split, real)
    path, index = index_path(tree.folder, cache), complete_index(tree.folder, tree.videos, cache, jobs)
    usable, number = sum(facts.usable for facts in index.values()), len(tree.classes)
    if classes not in (None, number):
        notes.append(f"{number} classes where the profile says {classes}")
    result = f"{split}: {share(usable, listed)} can be used; the index is {path}"
    print(result, *notes, *index_notes(index), sep="\n  ")
    if not usable:
        words = f"videos in {tree.folder} can be used; their reasons are in {path}"
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
    root, cache, real = data / profile.data.root, data / "cache", profile.real
    folders = [root, *(root / name for name in names_in(root) if (root / name).is_dir())]
    listed = [each for folder in folders for each in changing(folder, file_state(folder))]
    indices = sorted(cache.glob("index-*.jsonl"))
    changed = tuple(map(file_state, [*indices, *folders, *listed]))
    number = None if real and profile.dry_run else classes
    key = root, split, number, profile.name, changed
    if key not in DIGESTS and real:
        tree, facts, _ = open_split(root, split, cache, number, real)
        lines = [f"{video} {f.bytes}" for video, f in zip(tree.videos, facts, strict=True)]
        DIGESTS[key] = sha256("\n".join(lines).encode()).hexdigest()[:12]
    elif key not in DIGESTS:
        tree = Tree.scan(root / split, classes, profile.generator)
        DIGESTS[key] = tree.digest
    return DIGESTS[key]


@lru_cache
def changing(folder: Path, state: tuple[int, int]) -> list[Path]:
    """What a folder's own state does not tell of: the folders in it, and lists that may be rewritten."""
    with os.scandir(folder) as entries:
        return sorted(
            Path(entry.path)
            for entry in entries
            if entry.is_dir() or PurePath(entry.name).suffix in (".csv", ".txt", ".json")
        )
