"""What came out: one JSON file per (profile, key, seed), the only thing that runs and reports share."""

import json
import re
from dataclasses import asdict, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from nlrepro import pretrained
from nlrepro.files import write_atomic
from nlrepro.profile import Profile
from nlrepro.spec import RunSpec, form_source
from nlrepro.stored import demand_place, read_as, read_good

STRICT = ConfigDict(extra="forbid")
SEED = re.compile(r"seed(0|[1-9]\d*)")  # the name of a record's file, without its ending, and of a run's folder


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
    """Test accuracy on the videos of one kind, and the digits of `Metrics.ranks` that are theirs."""

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
    kinds: dict[str, Part] = field(default_factory=dict)  # of generated videos, which are drawn in kinds
    clip_top1: float | None = None  # percent of single views that are right, where a video has several
    listed: int | None = None  # videos that the split should have, where some may be missing or unusable

    @property
    def logged(self) -> dict[str, float]:
        """What dashboards show of the test."""
        return {"test_top1": self.top1, "test_top5": self.top5, "test_loss": self.loss}

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

    @property
    def headline(self) -> str:
        return f"val {self.val_top1:.1f} %"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Cost:
    """Trainable parameters, and multiply-adds of a forward pass of one clip."""

    params: int
    macs: int


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Provenance:
    """When, where and with what something was made."""

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
    fingerprint: str  # the digest of the settings
    settings: dict[str, Any] = field(default_factory=dict)  # it was made with; {} in records from before that was kept
    metrics: Metrics
    curve: tuple[Point, ...]
    cost: Cost
    made: Provenance
    videos: str | None = None  # which ones it has seen (nlrepro/data/identity.py); None in records from before that was kept

    @property
    def headline(self) -> str:
        return f"top-1 {self.metrics.top1:.1f} %"


def settings(spec: RunSpec, profile: Profile) -> dict[str, Any]:
    """All that the result depends on besides seed and videos: the spec, its part of the profile, and the same of its parent."""
    parent = spec.parent
    return seen_in_test(spec, profile) | as_read(
        {
            "recipe": asdict(profile.recipes[spec.clip]),
            "real": asdict(profile.real) if profile.real else None,
            "start": None if parent else pretrained.digest(profile, spec.net.depth),
            "parent": settings(parent, profile) if parent else None,
        }
    )


def seen_in_test(spec: RunSpec, profile: Profile) -> dict[str, Any]:
    """The part of the settings that a test of given weights depends on: net, clips and videos, but no recipe."""
    return as_read(
        {
            "spec": asdict(spec),
            "form": form_source(spec.net.form),
            "net": asdict(profile.geometry),
            "clips": asdict(profile.clips[spec.clip]),
            "data": asdict(profile.data),
            "generator": asdict(profile.generator) if profile.generator else None,
        }
    )


def as_read(parts: dict[str, Any]) -> dict[str, Any]:
    """The parts as a record's file gives them back: lists for tuples."""
    read: dict[str, Any] = json.loads(json.dumps(parts))
    return read


def digest(parts: dict[str, Any]) -> str:
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def fingerprint(spec: RunSpec, profile: Profile) -> str:
    """The digest of the settings: changes with anything in them."""
    return digest(settings(spec, profile))


def record_path(results: Path, profile: str, key: str, seed: int) -> Path:
    return results / "records" / profile / key / f"seed{seed}.json"


def seed_of(path: Path) -> int | None:
    """The seed that the name of a record or of a run's folder tells; None for a stray such as "seed0_old.json"."""
    name = SEED.fullmatch(path.stem)
    return int(name[1]) if name else None


def paths(results: Path, profile: str) -> list[Path]:
    """Where records of a profile lie, by key and seed; strays left out."""
    found = (results / "records" / profile).glob("*/seed*.json")
    return sorted(path for path in found if seed_of(path) is not None)


def write(record: Record, results: Path) -> Path:
    path = record_path(results, record.profile, record.key, record.seed)
    write_atomic(path, json.dumps(asdict(record), indent=1) + "\n")
    return path


def read(path: Path, advice: str = "remove it; `sweep` makes it anew") -> Record:
    """Read one record, with the errors of `read_as`; one that lies in the place of another is damaged."""
    found = read_as(Record, path, "record", advice)
    demand_place(path, record_path(Path(), found.profile, found.key, found.seed), advice)
    return found


def read_all(results: Path, profile: str) -> list[Record]:
    """All records of a profile below `results/records`, by key and seed, but those of `evaluation.left_out`."""
    return read_good(paths(results, profile), read)
