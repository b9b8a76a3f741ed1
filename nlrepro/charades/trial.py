"""A run of Table 4 as a trial, and where its weights come from."""

from dataclasses import asdict, dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from nlrepro.beyond.trials import Measured
from nlrepro.charades.layout import FOLDERS, SUFFIX, TABLE, shelf
from nlrepro.charades.profile import Profile
from nlrepro.files import BadInput
from nlrepro.run import Run
from nlrepro.spec import TRAINED, ActionSpec, Part, form_source

PARENT_SEED = 0  # the paper fine-tunes from one Kinetics net a row; so seeds here differ in the fine-tuning alone


@dataclass(frozen=True, kw_only=True)
class ActionTrial(Measured):
    """One fine-tuning of a net of Table 2g, and its test."""

    spec: ActionSpec
    profile: Profile = field(hash=False)

    @property
    def parent(self) -> Run | None:
        """The run of Table 2g that it starts from, always of one seed; None if the profile has weights to start from."""
        if self.profile.start:
            return None
        return Run(spec=self.spec.parent, profile=self.profile.of_parents, seed=PARENT_SEED, folders=self.folders)

    @property
    def start(self) -> Path:
        """The weights that it starts from."""
        return self.parent.weights if self.parent else Path(self.profile.start) / f"{self.spec.parent.key}.pt"

    @property
    def as_run(self) -> Run:
        """The same as a run of the video task, for the code of Table 2 that serves here; its files are not there."""
        return Run(spec=self.spec.parent, profile=self.profile.as_table2, seed=self.seed, folders=self.folders)

    @property
    def settings(self) -> dict[str, Any]:
        own = asdict(self.profile)
        return {
            "spec": asdict(self.spec),
            "form": form_source(self.spec.net.form),
            "net": asdict(self.profile.of_parents.geometry),
            **{name: own[name] for name in ("data", "clips", "recipe", "over_views", "films", "real")},
            "start": None if self.parent else digest(self.start),
            "parent": self.parent.fingerprint if self.parent else None,
        }

    @property
    def data(self) -> str | None:
        """The digest of the tables and of the videos that it and its parent see."""
        root = self.profile.root(self.folders.data)
        try:
            parts = [part_digest(root, part, self.profile.clips.classes, changes(root)) for part in self.parts]
        except BadInput:
            return None
        return sha256(str([*parts, self.parent.videos if self.parent else None]).encode()).hexdigest()[:12]

    @property
    def parts(self) -> list[Part]:
        """The parts that it sees: those that it is trained on, validated on and tested on."""
        return sorted({*TRAINED[self.spec.split], "val", self.spec.tested})

    @property
    def scores(self) -> Path:
        """The scores of the tested videos, in the form that Charades' own evaluation reads: an id and its classes a line."""
        return self.folder / f"scores-{self.fingerprint}.txt"


def digest(weights: Path) -> str:
    """
    Raises:
        BadInput: there is no such file.
    """
    try:
        return sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise BadInput(f"cannot read {weights}: {error.strerror}; `start` of the profile is a folder of weights") from None


def changes(root: Path) -> tuple[int, ...]:
    """When the tables and folders were last changed, in nanoseconds."""
    paths = [root / name for name in (*TABLE.values(), *(name for names in FOLDERS.values() for name in names))]
    return tuple(path.stat().st_mtime_ns for path in paths if path.exists())


@lru_cache
def part_digest(root: Path, part: Part, classes: int, changed: tuple[int, ...]) -> str:
    """Of a part's actions and files: it changes when one is added, removed, renamed or has another size. Kept by `changed`."""
    found = shelf(root, part, classes)
    sizes = {video: (found.folder / f"{video}{SUFFIX}").stat().st_size for video in found.ids(part)}
    lines = [f"{video} {size} {found.listed[part].get(video)}" for video, size in sizes.items()]
    return sha256("\n".join(lines).encode()).hexdigest()[:12]
