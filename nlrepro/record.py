"""What came out: one JSON file per (profile, key, seed), the only thing that runs and reports share."""

import json
from dataclasses import asdict, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from nlrepro.errors import BadInput
from nlrepro.files import write_whole
from nlrepro.profile import Profile, explain
from nlrepro.spec import RunSpec

STRICT = ConfigDict(extra="forbid")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many of the videos that a split should have can be used: as it stands under a table."""

    usable: int
    listed: int

    @property
    def percent(self) -> float:
        return 100 * self.usable / max(self.listed, 1)

    def __str__(self) -> str:
        percent = min(self.percent, 99.9) if self.usable < self.listed else self.percent  # 100.0 means all
        return f"{self.usable:,} of {self.listed:,} videos ({percent:.1f} %)"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Part:
    """Test accuracy on one kind of video; `ranks` as in Metrics, of these videos only."""

    top1: float  # percent
    ranks: str


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Metrics:
    """Test accuracy. `ranks` has one digit per test video, in the tree's order: how many classes scored above the true one
    (9: nine or more), so that top-1 and top-5 can be compared video by video.
    """

    top1: float  # percent
    top5: float  # percent
    loss: float
    videos: int
    views: int
    ranks: str
    clip_top1: float | None = None  # percent of single views that are right, where a video has several
    listed: int | None = None  # videos that the split should have, where some may be missing or unusable
    kinds: dict[str, Part] = field(default_factory=dict)  # none for real videos

    @property
    def tested(self) -> str:
        """ "2000 test videos", or "19,402 of 19,761 videos (98.2 %)" where not all could be used."""
        if self.listed is None or self.listed == self.videos:
            return f"{self.videos} test videos"
        return str(Count(usable=self.videos, listed=self.listed))


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Point:
    """One point of the training curve."""

    step: int
    train_loss: float
    val_top1: float  # percent


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Cost:
    """Of one clip: trainable parameters, and multiply-adds of a forward pass."""

    params: int
    macs: int


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Made:
    """When, where and with what."""

    date: str
    git: str
    versions: dict[str, str]
    device: str
    seconds: float


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Record:
    key: str
    profile: str
    seed: int
    tables: tuple[str, ...]
    spec: RunSpec
    fingerprint: str
    metrics: Metrics
    curve: tuple[Point, ...]
    cost: Cost
    made: Made
    videos: str | None = None  # which ones it has seen (nlrepro/data/identity.py); None in records from before that was kept


def fingerprint(spec: RunSpec, profile: Profile) -> str:
    """Changes with anything that the result depends on: the spec, its part of the profile, and the same of its parents."""
    parent = profile.parent(spec)
    parts: dict[str, Any] = {
        "spec": asdict(spec),
        "clips": asdict(profile.clips[spec.clip]),
        "recipe": asdict(profile.recipes[spec.clip]),
        "data": asdict(profile.data),
        "net": asdict(profile.net),
        "generator": asdict(profile.generator) if profile.generator else None,
        "parent": fingerprint(parent, profile) if parent else None,
    }
    if profile.real:
        parts["real"] = asdict(profile.real)
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def record_path(results: Path, profile: str, key: str, seed: int) -> Path:
    return results / "records" / profile / key / f"seed{seed}.json"


def write(record: Record, results: Path) -> Path:
    path = record_path(results, record.profile, record.key, record.seed)
    write_whole(path, json.dumps(asdict(record), indent=1) + "\n")
    return path


def read_as(kind: type[T], path: Path, what: str, advice: str) -> T:
    """
    Raises:
        BadInput: the file is damaged: not JSON, or a field is missing, unknown or of the wrong type.
    """
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except ValidationError as error:
        raise BadInput(f"the {what} {path} is damaged: {explain(error)}; {advice}") from None


def read(path: Path) -> Record:
    """Read one record, with the errors of `read_as`."""
    return read_as(Record, path, "record", "remove it and run the sweep again")


def read_all(results: Path, profile: str) -> list[Record]:
    """All records of a profile below `results/records`, by key and seed."""
    return [read(path) for path in sorted((results / "records" / profile).glob("*/seed*.json"))]


def is_fresh(record: Record, spec: RunSpec, profile: Profile, videos: str | None = None) -> bool:
    """Whether the record is what `spec` would give with `profile`, and with `videos` where both are known, as they are now."""
    same_videos = None in (videos, record.videos) or record.videos == videos
    return record.fingerprint == fingerprint(spec, profile) and same_videos
