"""Clips of Charades' videos and of generated ones, with the actions that they show.

What Table 2 has for videos is used as it is: files are looked at once and decoded when a clip is asked for, generated ones are
decoded once and kept. Only the labels are others.

A training clip is labelled with the actions that go on while it lasts, a test video with all of its own. That is our reading, as
the paper does not say: its authors have not released what they did on Charades, but their later code for it does so
(facebookresearch/SlowFast, slowfast/datasets/charades.py, and facebookresearch/video-long-term-feature-banks).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from nlrepro.charades.annotations import Action, Actions
from nlrepro.charades.films import RATE
from nlrepro.charades.layout import SUFFIX, Shelf, shelf
from nlrepro.charades.profile import Profile
from nlrepro.data.crops import ClipSample
from nlrepro.data.kinetics.clips import FileClips
from nlrepro.data.kinetics.facts import Facts, examine
from nlrepro.data.kinetics.survey import LIMIT, completed
from nlrepro.data.videos import ClipDataset, Tree, decoded
from nlrepro.files import BadInput, exclusive
from nlrepro.spec import Part


@dataclass(frozen=True, kw_only=True)
class Videos:
    """A folder's videos as they can be used: its clips, the ids in their order, and notes on those left out, by part."""

    shelf: Shelf
    clips: FileClips | ClipDataset
    ids: tuple[str, ...]
    broken: dict[str, str]  # why a video cannot be used, by id

    def notes(self, part: Part) -> tuple[str, ...]:
        """What of a part is left out, in words."""
        bad = [video for video in self.shelf.ids(part) if video in self.broken]
        words = f"{len(bad):,} videos of {part} cannot be used and are left out, such as "
        return (*self.shelf.notes(part), *([f"{words}{bad[0]}: {self.broken[bad[0]]}"] if bad else []))


def opened(profile: Profile, part: Part, data: Path, processes: int) -> Videos:
    """The folder of a part, after a look at, or a decode of, those of its files that are new, in so many processes.

    Raises:
        BadInput: the errors of `shelf`; a generated video is damaged, or no real one can be used.
    """
    found, cache = shelf(profile.root(data), part, profile.clips.classes), data / "cache"
    if profile.films:
        tree = tree_of(found.folder, found.files)
        kept = decoded(tree, profile.data, cache, processes)
        return Videos(shelf=found, clips=ClipDataset(tree, profile.clips, kept), ids=found.files, broken={})
    facts = looked_at(found, cache, processes)
    ids = tuple(video for video in found.files if not facts[video].reason)
    if not ids:
        first = facts[found.files[0]].reason
        raise BadInput(f"none of the {len(found.files):,} videos in {found.folder} can be used; the first: {first}")
    clips = FileClips(tree_of(found.folder, ids), [facts[video] for video in ids], profile.clips)
    broken = {video: fact.reason for video, fact in facts.items() if fact.reason}
    return Videos(shelf=found, clips=clips, ids=ids, broken=broken)


def tree_of(folder: Path, ids: Sequence[str]) -> Tree:
    """As Table 2's code wants it: a tree without classes."""
    return Tree(folder=folder, classes=(), videos=tuple(f"{video}{SUFFIX}" for video in ids), labels=(0,) * len(ids))


def looked_at(found: Shelf, cache: Path, processes: int) -> dict[str, Facts]:
    """What is known of each file, by id; those that are new, have changed or could not be used are looked at."""
    place = sha256(str(found.folder.resolve()).encode()).hexdigest()[:8]
    path = cache / f"index-charades-{place}.jsonl"
    with exclusive(path.with_suffix(".lock"), f"looks at the videos in {found.folder}"):
        index = completed(tree_of(found.folder, found.files), path, processes, examine, LIMIT)
    return {video: index[f"{video}{SUFFIX}"] for video in found.files}


class ActionClips(Dataset[tuple[Tensor, Tensor]]):
    """Clips of some of a folder's videos, each with its actions: (T, H, W, 3) uint8, (classes,) of 0 and 1."""

    def __init__(self, videos: Videos, parts: Sequence[Part], classes: int, *, training: bool) -> None:
        """Without `training`, videos without actions are left out: Charades' own evaluation ranks them last in all classes."""
        listed = {video: actions for part in parts for video, actions in videos.shelf.listed[part].items()}
        self.videos, self.classes, self.training = videos, classes, training
        self.held_back = not listed
        used = {video for video, actions in listed.items() if training or actions}
        self.numbers = [i for i, video in enumerate(videos.ids) if self.held_back or video in used]
        self.ids = [videos.ids[i] for i in self.numbers]
        self.actions: list[Actions] = [listed.get(video, ()) for video in self.ids]

    def __len__(self) -> int:
        return len(self.numbers)

    def labels(self, sample: ClipSample) -> Tensor:
        """(classes,) of 0 and 1: the actions that go on while the clip lasts, or in a test in its whole video."""
        found = torch.zeros(self.classes)  # (classes,)
        begin, end = seconds(self.videos.clips, self.numbers[sample.video], sample.where)
        for action in self.actions[sample.video]:
            if not self.training or overlaps(action, begin, end):
                found[action.label] = 1
        return found

    def __getitems__(self, asked: Sequence[ClipSample]) -> tuple[Tensor, Tensor]:
        """A batch at once: clips (B, T, H, W, 3) uint8 and labels (B, classes)."""
        clips, _ = self.videos.clips.__getitems__([sample._replace(video=self.numbers[sample.video]) for sample in asked])
        return clips, torch.stack([self.labels(sample) for sample in asked])


def overlaps(action: Action, begin: float, end: float) -> bool:
    return action.begin < end and action.end > begin


def seconds(clips: FileClips | ClipDataset, video: int, where: float) -> tuple[float, float]:
    """When the clip of a video begins and ends that lies at the fraction `where` of the possible ones."""
    if isinstance(clips, FileClips):
        facts = clips.facts[video]
        numbers = clips.wanted(facts, where)
        return numbers[0] / facts.fps, (numbers[-1] + 1) / facts.fps
    first = round(where * (clips.frames.shape[1] - clips.clips.span))
    return first / RATE, (first + clips.clips.span) / RATE
