"""Which videos a run has seen, in twelve digits: they change when one is added, removed, renamed or has another size."""

from hashlib import sha256
from pathlib import Path

from nlrepro.data.index import read_index, usable
from nlrepro.data.kinetics import listing
from nlrepro.data.videos import Tree
from nlrepro.profile import Profile
from nlrepro.spec import Clip


def identity(profile: Profile, clip: Clip, split: str, data: Path) -> str:
    """Of one split, as a run takes it: of real videos those that `data check` found usable.

    Raises:
        BadInput: the split is not there, or was never checked.
    """
    root, classes = data / profile.data.root, profile.clips[clip].classes
    if profile.real is None:
        return Tree.index(root / split, classes).digest
    index = read_index(root, split, data / "cache")
    tree = usable(listing(root, split, None if profile.dry_run else classes).tree, index)
    return sha256("\n".join(f"{video} {index[video].bytes}" for video in tree.videos).encode()).hexdigest()[:12]
