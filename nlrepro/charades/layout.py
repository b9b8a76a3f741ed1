"""Charades as it is unpacked: which files hold the videos of a part, and which of them are there.

    Charades_v1_train.csv, Charades_v1_test.csv    the two public parts, 7,985 and 1,863 videos
    Charades_v1_480/<id>.mp4                       the videos of both; or Charades_v1/, in their first size
    Charades_vu17_test_480/<id>.mp4                the videos of the challenge's test; or Charades_vu17_test/

The paper's "~8k training, ~1.8k validation, and ~2k testing videos" are these three: its "val" is what the release calls "test",
and its "test" is that of the 2017 challenge, whose labels are held back. If a file Charades_vu17_test.csv of the same columns is
there (that name is ours), as it is for generated videos, they are known.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nlrepro.charades.annotations import Actions, annotations
from nlrepro.files import BadInput
from nlrepro.spec import Part

TABLE: dict[Part, str] = {"train": "Charades_v1_train.csv", "val": "Charades_v1_test.csv", "test": "Charades_vu17_test.csv"}
PUBLIC: tuple[Part, ...] = ("train", "val")
FOLDERS = {"train": ("Charades_v1_480", "Charades_v1"), "test": ("Charades_vu17_test_480", "Charades_vu17_test")}
SUFFIX = ".mp4"


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """A folder of videos, and what is known of them; `files` are their names without ending, sorted."""

    folder: Path
    listed: Mapping[Part, Mapping[str, Actions]]  # by id; {} for a part whose labels are held back
    files: tuple[str, ...]

    def ids(self, part: Part) -> list[str]:
        """The videos of a part that are there."""
        known = self.listed[part]
        return [video for video in self.files if not known or video in known]

    def notes(self, part: Part) -> tuple[str, ...]:
        """What is not there, in words."""
        listed = self.listed[part]
        missing = len(listed) - len(self.ids(part)) if listed else 0
        return (f"{missing:,} of {len(listed):,} videos of {TABLE[part]} have no file and are left out",) if missing else ()


def shelf(root: Path, part: Part, classes: int) -> Shelf:
    """The folder that holds the videos of a part: train and val share one.

    Raises:
        BadInput: the folder or a table is missing or damaged, two tables list one video, or a part has no video.
    """
    parts = PUBLIC if part in PUBLIC else (part,)
    tables = [name for name in parts if name in PUBLIC or (root / TABLE[name]).is_file()]
    listed = {name: annotations(root / TABLE[name], classes) for name in tables}
    for video in listed.get("train", {}).keys() & listed.get("val", {}).keys():
        raise BadInput(f"{root / TABLE['train']} and {TABLE['val']} both list the video {video}; remove it from one of them")
    folder = folder_of(root, parts[0])
    names = sorted(name.removesuffix(SUFFIX) for name in os.listdir(folder) if name.endswith(SUFFIX) and name[0] != ".")
    known = set().union(*listed.values()) if listed else set(names)
    found = Shelf(
        folder=folder,
        listed={name: listed.get(name, {}) for name in parts},
        files=tuple(name for name in names if name in known),
    )
    for name in parts:
        if not found.ids(name):
            raise BadInput(f"{folder} has none of the videos of {TABLE[name]}; expected {folder}/<id>{SUFFIX}")
    return found


def folder_of(root: Path, part: Part) -> Path:
    """
    Raises:
        BadInput: it is not there.
    """
    names = FOLDERS[part]
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise BadInput(f"no folder {' or '.join(names)} in {root}; unpack one of them there, or point --data at the folder above")
