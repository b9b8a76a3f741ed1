"""Look at every file of a tree of videos once (`data check`), and of real videos keep what was found in the index.

A tree such as Kinetics has unusable files: they are counted and left out, no error; of generated ones all must be usable. Each
result of real videos goes to a journal beside the index at once, so that a check that was cut off goes on where it was. A
finished one looks again only at files that are new, have changed, or could not be used (a timeout may have been the disk's).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from nlrepro.config import Profile
from nlrepro.data.kinetics.facts import Facts, examine, fits, state
from nlrepro.data.kinetics.index import LINE, Index, index_path, line, parse, write_index
from nlrepro.data.kinetics.listing import listing
from nlrepro.data.kinetics.watched import Failure, watched
from nlrepro.data.unusable import gist
from nlrepro.data.videos import Tree
from nlrepro.files import BadInput, make_folder
from nlrepro.processes import progress_bar
from nlrepro.record import share

LIMIT = 60.0  # seconds a file; Kinetics' take about 0.2, a hang takes for ever
Look = Callable[[Path, str], Facts]  # `examine`, or a test's


def splits(profile: Profile) -> dict[str, int]:
    """The splits of videos -> number of classes."""
    return {split: clips.classes for clips in profile.clips.values() for split in (clips.train, clips.val, clips.test)}


def check_generated(profile: Profile, root: Path, jobs: int) -> None:
    """Look at all videos of the profile's splits: each must be long enough for all clips that are taken of it.

    Raises:
        BadInput: a split is missing or empty, or some of its videos cannot be used: each is named with the reason.
    """
    bad: list[str] = []
    for split, classes in sorted(splits(profile).items()):
        tree = Tree.index(root / split, classes)
        span = max(clips.span for clips in profile.clips.values() if split in (clips.train, clips.val, clips.test))
        found = examined(tree.folder, tree.videos, jobs, examine, LIMIT)
        looked = progress_bar(found, total=len(tree.videos), desc=split, unit=" videos")
        reasons = {facts.video: facts.reason or f"{facts.frames} frames of {span}" for facts in looked if not facts.serves(span)}
        print(f"{split}: {len(tree.videos) - len(reasons):,} of {len(tree.videos):,} videos can be used")
        bad += [f"{tree.folder / video}: {reasons[video]}" for video in sorted(reasons)]
    print("\n".join(bad))
    if bad:
        raise BadInput(f"{len(bad)} videos below {root} cannot be used, the first: {bad[0]}; replace or remove it")


def survey(profile: Profile, root: Path, cache: Path, jobs: int) -> None:
    """Check the splits of the profile that are there, and print what was found: a test of given weights needs no `train`.

    Raises:
        BadInput: no split is there, or one contradicts its CSV or has no video that can be used.
    """
    wanted = splits(profile)
    there = [split for split in sorted(wanted) if (root / split).is_dir()]
    for split in there or wanted:
        survey_split(root, split, cache, jobs, classes=wanted[split])
    for split in sorted({*wanted} - {*there}):
        print(f"{split}: there is no folder {root / split}; what needs it, such as training, cannot be done")


def survey_split(
    root: Path,
    split: str,
    cache: Path,
    jobs: int,
    *,
    classes: int | None = None,
    look: Look = examine,
    limit: float = LIMIT,
) -> Index:
    """Check one split, write its index, and print what was found; errors as of `survey`."""
    listed = listing(root, split)
    path = index_path(root, split, cache)
    index = completed(listed.tree, path, jobs, look, limit)
    good = [facts for facts in index.values() if facts.serves(2)]
    print(f"{split}: {share(len(good), listed.listed)} can be used; the index is {path}")
    found = len(listed.tree.classes)
    other = [f"{found} classes where the profile says {classes}"] if classes not in (None, found) else []
    for note in (*listed.notes, *other, *oddities(index)):
        print(f"  {note}")
    if not good:
        raise BadInput(f"none of the {len(index):,} videos in {root / split} can be used; their reasons are in {path}")
    return index


def oddities(index: Index) -> Iterator[str]:
    """One line a kind of trouble, the commonest first, then what is made upright or spaced unevenly.

    Reasons that differ in their numbers alone are of one kind.
    """
    bad = {video: re.sub(r"\d+", "0", facts.reason) for video, facts in index.items() if facts.reason}
    example = {kind: video for video, kind in reversed(bad.items())}
    for kind, number in Counter(bad.values()).most_common():
        yield f"{number:,} cannot be used, such as {example[kind]}: {index[example[kind]].reason}"
    good = [facts for facts in index.values() if not facts.reason]
    for words, number in {
        "have a variable frame rate; their clips are uneven in time": sum(facts.variable for facts in good),
        "are rotated by their metadata; they are read upright": sum(facts.rotation != 0 for facts in good),
    }.items():
        if number:
            yield f"{number:,} {words}"


def completed(tree: Tree, path: Path, jobs: int, look: Look, limit: float) -> Index:
    """The index of all videos of a tree, after a look at those that are not known yet."""
    make_folder(path.parent)
    journal = path.with_suffix(".journal")
    known = fresh(tree, known_before(path, journal))
    missing = [video for video in tree.videos if video not in known]
    with (
        journal.open("ab") as file,
        progress_bar(total=len(tree.videos), initial=len(known), desc=tree.folder.name, unit=" videos") as bar,
    ):
        file.write(b"\n")  # ends the half line that a check that was cut off may have left
        for facts in examined(tree.folder, missing, jobs, look, limit):
            file.write(line(facts))
            file.flush()
            known[facts.video] = facts
            bar.update()
    index = {video: known[video] for video in tree.videos}
    write_index(path, index)
    journal.unlink()
    return index


def examined(folder: Path, videos: Iterable[str], jobs: int, look: Look, limit: float) -> Iterator[Facts]:
    """The facts of each video, in the order in which they come; a hang or a crash is a reason."""
    for video, result in watched(partial(look, folder), videos, jobs, limit):
        if isinstance(result, Failure):
            size, changed = state(folder / video)
            result = Facts(video=video, bytes=size, mtime_ns=changed, reason=gist(result, folder / video))
        yield result


def known_before(path: Path, journal: Path) -> Index:
    """Usable videos of the last finished check, and all of one that was cut off, whose last line may be half."""
    finished = parse(path, path.read_bytes().splitlines()) if path.is_file() else {}
    known = {video: facts for video, facts in finished.items() if not facts.reason and fits(facts.width, facts.height)}
    for text in journal.read_bytes().splitlines() if journal.is_file() else ():
        try:
            facts = LINE.validate_json(text)
        except ValidationError:
            continue
        known[facts.video] = facts
    return known


def fresh(tree: Tree, known: Index) -> Index:
    """What is known of the tree's videos that have not changed since."""
    states = {video: state(tree.folder / video) for video in tree.videos if video in known}
    return {video: known[video] for video, now in states.items() if now == (known[video].bytes, known[video].mtime_ns)}
