"""Charades as it is unpacked, and generated videos in the same layout: files, actions, and clips with them.

    Charades_v1_train.csv, Charades_v1_test.csv    the two public parts, 7,985 and 1,863 videos
    Charades_v1_480/<id>.mp4                       the videos of both; or Charades_v1/, in their first size
    Charades_vu17_test_480/<id>.mp4                the videos of the challenge's test; or Charades_vu17_test/

The paper's "~8k training, ~1.8k validation, and ~2k testing videos" are these three: its "val" is what the
release calls "test", its "test" is that of the 2017 challenge, whose labels are held back. They are known
where a file Charades_vu17_test.csv of the same columns is there (the name is ours), as for generated videos.

Two columns of a CSV file are read, `id` and `actions`, such as "c092 11.90 21.20;c147 0.00 12.60": classes
c000 to c156, begin and end in seconds. A training clip is labelled with the actions that overlap it, a test
video with all of its own. That is our reading, as the paper says nothing. Its authors' code for Charades is
not public; their later code does the same (facebookresearch/SlowFast, slowfast/datasets/charades.py).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from nlrepro.config import Profile
from nlrepro.data.clips import UNPRINTABLE, CachedClips, ClipSample, FileClips, Tree, decoded
from nlrepro.data.facts import complete_index, file_state
from nlrepro.data.rows import read_rows
from nlrepro.files import BadInput, names_in
from nlrepro.spec import Part

TABLE: dict[Part, str] = {
    "train": "Charades_v1_train.csv",
    "val": "Charades_v1_test.csv",
    "test": "Charades_vu17_test.csv",
}
COLUMNS = ["id", "actions"]  # that are read
PUBLIC: tuple[Part, ...] = ("train", "val")  # parts that share a folder
PUBLIC_FOLDERS = "Charades_v1_480", "Charades_v1"  # either
TEST_FOLDERS = "Charades_vu17_test_480", "Charades_vu17_test"
FOLDERS: dict[Part, tuple[str, str]] = {"train": PUBLIC_FOLDERS, "val": PUBLIC_FOLDERS, "test": TEST_FOLDERS}
SUFFIX = ".mp4"
ACTION = re.compile(r"c(\d{3})\s+(\d+(?:\.\d*)?)\s+(\d+(?:\.\d*)?)")
UNPACK = (
    "unpack Charades.zip again (from https://prior.allenai.org/projects/charades), and point --data at the"
    " folder that holds it and the videos"
)
GENERATED_FPS = 30  # frames a second of generated videos


class Action(NamedTuple):
    """One class, and when it begins and ends, in seconds."""

    label: int
    begin: float
    end: float

    @property
    def backwards(self) -> bool:
        """Seven in Charades_v1_train.csv end before they begin."""
        return self.end < self.begin

    def overlaps(self, begin: float, end: float) -> bool:
        return self.begin < end and self.end > begin


Actions = tuple[Action, ...]  # of one video


def read_annotations(path: Path, classes: int) -> dict[str, Actions]:
    """The actions of each video, by its id, in the file's order."""
    actions: dict[str, Actions] = {}
    for line, row in read_rows(path, COLUMNS, UNPACK):
        video, items, place = row["id"], row["actions"].split(";"), f"{line}: the video {row['id']}"
        if not video.strip():
            raise BadInput(f"{line}: the id is empty; {UNPACK}")
        if video in actions:
            raise BadInput(f"{place} has another row above; keep one of the two")
        actions[video] = tuple(parse_action(item, classes, place) for item in items if item.strip())
    if not actions:
        raise BadInput(f"{path} lists no videos; {UNPACK}")
    return actions


def parse_action(text: str, classes: int, place: str) -> Action:
    """Of a text such as "c092 11.90 21.20"; errors begin with `place`."""
    match = ACTION.fullmatch(text.strip())
    if not match:
        example = "expected a class, a begin and an end, such as 'c092 11.90 21.20'"
        raise BadInput(f"{place} has the action {text!r}; {example}")
    if int(match[1]) >= classes:
        raise BadInput(f"{place} has the unknown class c{match[1]}; there are c000 to c{classes - 1:03d}")
    return Action(int(match[1]), float(match[2]), float(match[3]))


def format_actions(actions: Actions) -> str:
    """The actions of a video as the CSV column has them."""
    return ";".join(f"c{label:03d} {begin:.2f} {end:.2f}" for label, begin, end in actions)


@dataclass(frozen=True, kw_only=True)
class CharadesSplit:
    """A folder of videos, and their actions."""

    folder: Path
    listed: Mapping[Part, Mapping[str, Actions]]  # by id; {} for a part whose labels are held back
    files: tuple[str, ...]  # ids of the videos that are there, sorted

    def ids(self, part: Part) -> list[str]:
        """The videos of a part that are there."""
        listed = self.listed[part]
        return [video for video in self.files if not listed or video in listed]


def open_split(root: Path, part: Part, classes: int) -> CharadesSplit:
    """The folder that holds the videos of a part: train and val share one."""
    parts = PUBLIC if part in PUBLIC else (part,)
    held_back = part not in PUBLIC and not (root / TABLE[part]).is_file()
    listed = {name: {} if held_back else read_annotations(root / TABLE[name], classes) for name in parts}
    if twice := listed.get("train", {}).keys() & listed.get("val", {}).keys():
        raise BadInput(
            f"{TABLE['train']} and {TABLE['val']} both list the video {min(twice)}; keep one of the rows"
        )
    folder = next((root / name for name in FOLDERS[part] if (root / name).is_dir()), None)
    if folder is None:
        advice = "unpack one of them there, or point --data at the folder above"
        raise BadInput(f"no folder {' or '.join(FOLDERS[part])} in {root}; {advice}")
    names = [name for name in names_in(folder) if name.endswith(SUFFIX) and not UNPRINTABLE.search(name)]
    videos = {name.removesuffix(SUFFIX) for name in names}
    known = set().union(*listed.values()) or videos
    split = CharadesSplit(folder=folder, listed=listed, files=tuple(sorted(videos & known)))
    for name in parts:
        if not split.ids(name):
            advice = f"expected {folder}/<id>{SUFFIX}"
            raise BadInput(f"{folder} has none of the videos of {TABLE[name]}; {advice}")
    return split


@dataclass(frozen=True, kw_only=True)
class Videos:
    """The usable videos of a folder."""

    split: CharadesSplit
    clips: FileClips | CachedClips
    ids: tuple[str, ...]  # in the order of `clips`
    broken: Mapping[str, str]  # why a video cannot be used, by id

    def notes(self, part: Part) -> tuple[str, ...]:
        """How many videos of a part are left out, in words."""
        listed, there = self.split.listed[part], dict.fromkeys(self.split.ids(part))
        broken = [f"{video}: {self.broken[video]}" for video in there if video in self.broken]
        notes = []
        if missing := [video for video in listed if video not in there]:
            counts = f"{len(missing):,} of {len(listed):,} videos of {TABLE[part]}"
            notes += [f"{counts} have no file and are left out, such as {missing[0]}"]
        if wrong := [video for video, actions in listed.items() for each in actions if each.backwards]:
            words = f"{TABLE[part]} end before they begin and are left out"
            notes += [f"{len(wrong):,} actions of {words}, such as one of {wrong[0]}"]
        if broken:
            words = "cannot be used and are left out, such as"
            notes += [f"{len(broken):,} videos of {part} {words} {broken[0]}"]
        return tuple(notes)

    def usable(self, part: Part) -> list[str]:
        """The ids of a part's videos that can be used."""
        return [video for video in self.split.ids(part) if video not in self.broken]

    def seconds(self, video: int, where: float) -> tuple[float, float]:
        """Begin and end of the clip of a video that lies at the fraction `where` of the possible ones."""
        frames = self.clips.frame_indices(video, where)
        fps = self.clips.facts[video].fps if isinstance(self.clips, FileClips) else GENERATED_FPS
        return frames[0] / fps, (frames[-1] + 1) / fps


def load_videos(profile: Profile, part: Part, data: Path, processes: int) -> Videos:
    """The videos in the folder of a part; new files are examined, or decoded, in so many processes.

    Raises:
        BadInput: the folder or a table is missing or damaged; two tables list one video; a part is empty; a
            generated video is damaged, or no real one can be used.
    """
    clips, cache = profile.clips["long"], data / "cache"
    split = open_split(data / profile.data.root, part, clips.classes)
    if profile.actions and profile.actions.generator:
        tree = video_tree(split.folder, split.files)
        frames = decoded(tree, profile.data, cache, processes)
        return Videos(split=split, clips=CachedClips(tree, clips, frames), ids=split.files, broken={})
    index = complete_index(split.folder, [f"{video}{SUFFIX}" for video in split.files], cache, processes)
    facts = {video: index[f"{video}{SUFFIX}"] for video in split.files}
    ids = tuple(video for video in split.files if not facts[video].reason)
    if not ids:
        number, first = len(split.files), facts[split.files[0]].reason
        raise BadInput(f"none of the {number:,} videos in {split.folder} can be used; the first: {first}")
    usable = FileClips(video_tree(split.folder, ids), [facts[video] for video in ids], clips)
    broken = {video: fact.reason for video, fact in facts.items() if fact.reason}
    return Videos(split=split, clips=usable, ids=ids, broken=broken)


def video_tree(folder: Path, ids: Sequence[str]) -> Tree:
    """A `Tree` without classes."""
    videos = tuple(f"{video}{SUFFIX}" for video in ids)
    return Tree(folder=folder, classes=(), videos=videos, labels=(0,) * len(ids))


def parts_digest(root: Path, parts: Sequence[Part], classes: int, parents: str | None) -> str | None:
    """Digest of the actions and files of these parts, and of the parents' data; None if they cannot be read.

    It changes when a video is added, removed, renamed or has another size.
    """
    names = (*TABLE.values(), *dict.fromkeys(name for names in FOLDERS.values() for name in names))
    changed = tuple(path.stat().st_mtime_ns for name in names if (path := root / name).exists())
    try:
        digests = [part_digest(root, part, classes, changed) for part in parts]
    except BadInput:
        return None
    return sha256(str([*digests, parents]).encode()).hexdigest()[:12]


@lru_cache
def part_digest(root: Path, part: Part, classes: int, changed: tuple[int, ...]) -> str:
    """Kept by the times at which the tables and folders were last changed, in nanoseconds."""
    split = open_split(root, part, classes)
    sizes = {video: file_state(split.folder / f"{video}{SUFFIX}")[0] for video in split.ids(part)}
    lines = [f"{video} {size} {split.listed[part].get(video)}" for video, size in sizes.items()]
    return sha256("\n".join(lines).encode()).hexdigest()[:12]


class ActionClips(Dataset[tuple[Tensor, Tensor]]):
    """Clips of the videos of some parts, each with its actions: (T, H, W, 3) uint8, (classes,) of 0 and 1.

    A test leaves out videos without actions: Charades' own evaluation ranks them last.
    """

    def __init__(self, videos: Videos, parts: Sequence[Part], classes: int, *, training: bool) -> None:
        listed: dict[str, Actions] = {}
        for part in parts:
            for video, actions in videos.split.listed[part].items():
                listed[video] = tuple(action for action in actions if not action.backwards)
        self.videos, self.classes, self.training = videos, classes, training
        self.held_back = not listed
        used = {video for video, actions in listed.items() if training or actions}
        self.numbers = [i for i, video in enumerate(videos.ids) if self.held_back or video in used]
        self.ids = [videos.ids[i] for i in self.numbers]
        self.actions: list[Actions] = [listed.get(video, ()) for video in self.ids]
        if not self.ids:
            use = "can be used" if training else "can be used and has an action"
            raise BadInput(f"no video of {' and '.join(parts)} in {videos.split.folder} {use}; {UNPACK}")

    def __len__(self) -> int:
        return len(self.numbers)

    def labels(self, sample: ClipSample) -> Tensor:
        """(classes,) of 0 and 1: the actions that overlap the clip, or in a test those of its whole video."""
        labels = torch.zeros(self.classes)  # (classes,)
        clip = self.videos.seconds(self.numbers[sample.video], sample.where)
        for action in self.actions[sample.video]:
            if not self.training or action.overlaps(*clip):
                labels[action.label] = 1
        return labels

    def __getitems__(self, samples: Sequence[ClipSample]) -> tuple[Tensor, Tensor]:
        """A batch at once: clips (B, T, H, W, 3) uint8 and labels (B, classes)."""
        asked = [sample._replace(video=self.numbers[sample.video]) for sample in samples]
        clips, _ = self.videos.clips.__getitems__(asked)
        return clips, torch.stack([self.labels(sample) for sample in samples])
