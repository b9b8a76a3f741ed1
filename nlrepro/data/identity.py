"""Which videos a run has seen, in twelve digits: they change when one is added, removed, renamed or has another size."""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from nlrepro.config import Profile
from nlrepro.data.kinetics.index import read_index, usable
from nlrepro.data.kinetics.listing import listing
from nlrepro.data.videos import Tree
from nlrepro.files import BadInput
from nlrepro.spec import RunSpec


def videos_seen(spec: RunSpec, profile: Profile, data: Path) -> str | None:
    """The videos of a run's splits and of the runs that it starts from; None where they cannot be read."""
    clips, parent = profile.clips[spec.clip], spec.parent
    try:
        parts = [split_digest(spec, profile, split, data) for split in sorted({clips.train, clips.val, clips.test})]
    except BadInput:
        return None
    return sha256(str([*parts, videos_seen(parent, profile, data) if parent else None]).encode()).hexdigest()[:12]


def split_digest(spec: RunSpec, profile: Profile, split: str, data: Path) -> str:
    """The videos of one split; of real ones those that `data check` found usable.

    Raises:
        BadInput: the split is not there, or was never checked.
    """
    root, cache, classes = data / profile.data.root, data / "cache", profile.clips[spec.clip].classes
    changed = changes(root, split, cache)
    if profile.real is None:
        return generated_digest(root / split, classes, changed)
    return real_digest(root, split, None if profile.dry_run else classes, cache, changed)


def changes(root: Path, split: str, cache: Path) -> tuple[int, ...]:
    """When the folders of a split, its CSV and its index were last changed, in nanoseconds.

    Digests of thousands of files are kept for the life of the process by these times: a video that comes, goes or is renamed
    changes that of its folder. One that is overwritten where it lies is seen by the next process.
    """
    folders = [path for path in (root, root / split, root / "annotations") if path.is_dir()]
    paths = [*folders, *(path for folder in folders for path in sorted(folder.iterdir())), cache]
    return tuple(path.stat().st_mtime_ns for path in paths if path.exists())


@lru_cache
def generated_digest(folder: Path, classes: int, changed: tuple[int, ...]) -> str:
    return Tree.index(folder, classes).digest


@lru_cache
def real_digest(root: Path, split: str, classes: int | None, cache: Path, changed: tuple[int, ...]) -> str:
    index = read_index(root, split, cache)
    tree = usable(listing(root, split, classes).tree, index)
    return sha256("\n".join(f"{video} {index[video].bytes}" for video in tree.videos).encode()).hexdigest()[:12]
