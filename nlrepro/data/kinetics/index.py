"""What `data check` found out about each video of a split, kept as JSON lines, and what training and testing take from it.

    listed = listing(root, "val", classes)            nlrepro/data/kinetics/listing.py
    index = read_index(root, "val", cache)            an error says "run `data check` first"
    tree = usable(listed.tree, index, frames=span)    a Tree of the videos that can be used
    str(Count(usable=len(tree.videos), listed=listed.listed))    "19,402 of 19,761 videos (98.2 %)"
    index[tree.videos[0]].fps, .frames, .width, .height

The index stands beside the split's folder, or below the data folder's cache where the tree cannot be written. Times of change
are for `data check`, which looks at changed files again; reading compares names alone, so that a copy of the tree with its
index needs no new check and a start of training no 240,000 calls of stat.
"""

import os
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from nlrepro.data.kinetics.facts import Facts
from nlrepro.data.videos import Tree
from nlrepro.files import BadInput, write_atomic
from nlrepro.spec import explain

Index = dict[str, Facts]  # by "<class folder>/<file>"
LINE = TypeAdapter(Facts)


def check(root: Path) -> str:
    """The command that makes the index of a tree."""
    return f"`python -m ablations data check --profile paper --data {root}` (with the profile that you use)"


def places(root: Path, split: str, cache: Path) -> tuple[Path, Path]:
    """Where the index of a split may stand: beside it, and in the cache."""
    tree = sha256(str(root.resolve()).encode()).hexdigest()[:8]
    return root / f"index-{split}.jsonl", cache / f"index-{root.name}-{tree}-{split}.jsonl"


def index_path(root: Path, split: str, cache: Path) -> Path:
    """Where `data check` writes it."""
    beside, cached = places(root, split, cache)
    return beside if os.access(root, os.W_OK) else cached


def read_index(root: Path, split: str, cache: Path) -> Index:
    """The index of a split.

    Raises:
        BadInput: the split was never checked, or the index is damaged.
    """
    path = next((path for path in places(root, split, cache) if path.is_file()), None)
    if path is None:
        raise BadInput(f"the videos in {root / split} have not been checked; run {check(root)} first")
    return parse(path, path.read_bytes().splitlines(), check(root))


def parse(path: Path, lines: Iterable[bytes], again: str = "`data check`") -> Index:
    try:
        return {facts.video: facts for facts in map(LINE.validate_json, lines)}
    except ValidationError as error:
        raise BadInput(f"the index {path} is damaged: {explain(error)}; remove it and run {again} again") from None


def write_index(path: Path, index: Index) -> None:
    write_atomic(path, b"".join(line(index[video]) for video in sorted(index)))


def line(facts: Facts) -> bytes:
    return LINE.dump_json(facts) + b"\n"


def usable(tree: Tree, index: Index, frames: int = 2) -> Tree:
    """The videos of a tree that can be used, in its order; classes keep their numbers.

    `frames` is the number of consecutive frames that a clip covers at the paper's rate.

    Raises:
        BadInput: a video was never checked, or none is left.
    """
    unknown = [video for video in tree.videos if video not in index]
    if unknown:
        raise BadInput(
            f"{len(unknown):,} videos in {tree.folder} have not been checked, such as {unknown[0]}; "
            f"run {check(tree.folder.parent)} again"
        )
    kept = [i for i, video in enumerate(tree.videos) if index[video].serves(frames)]
    if not kept:
        raise BadInput(f"none of the {len(tree.videos):,} videos in {tree.folder} can be used for clips of {frames} frames")
    videos, labels = tuple(tree.videos[i] for i in kept), tuple(tree.labels[i] for i in kept)
    return replace(tree, videos=videos, labels=labels)
