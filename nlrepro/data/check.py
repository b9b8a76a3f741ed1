"""Open every video of a tree once and tell which cannot be used."""

from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from nlrepro.data.videos import Tree, decode
from nlrepro.errors import BadInput
from nlrepro.profile import Profile


def trouble(path: Path, size: int, frames: int) -> str | None:
    """Why a video cannot be used, or None."""
    try:
        decode(path, size, frames)
    except BadInput as error:
        return str(error)
    return None


def check(profile: Profile, root: Path, jobs: int) -> None:
    """Decode the first frames, as many as a clip needs, of every video of the profile's splits.

    Raises:
        BadInput: a split is missing or empty, or some of its videos cannot be used: each is named with the reason.
    """
    wanted = {split: clips for clips in profile.clips.values() for split in (clips.train, clips.val, clips.test)}
    bad: list[str] = []
    for split, clips in sorted(wanted.items()):
        tree = Tree.index(root / split, clips.classes)
        span = max(other.span for other in profile.clips.values() if split in (other.train, other.val, other.test))
        paths = [tree.folder / video for video in tree.videos]
        with get_context("spawn").Pool(jobs) as pool:
            found = pool.imap(partial(trouble, size=profile.data.size, frames=span), paths, chunksize=32)
            reasons = [reason for reason in tqdm(found, total=len(paths), desc=split, unit=" videos", mininterval=1) if reason]
        print(f"{split}: {len(paths) - len(reasons):,} of {len(paths):,} videos can be used")
        bad += reasons
    print("\n".join(bad))
    if bad:
        raise BadInput(f"{len(bad)} videos below {root} cannot be used, the first: {bad[0]}")
