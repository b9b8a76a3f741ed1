"""Results: one JSON file a profile, key and seed, all that runs and reports share. Imports no torch.

A test of given weights is a record too. It has no seed, as nobody trained here, and names its weights
instead; no mean and no verdict takes it in.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from nlrepro.files import BadInput, write_atomic
from nlrepro.spec import STRICT, explain

SEED = re.compile(r"seed(0|[1-9]\d*)")  # names a record's file, without its ending, and a run's folder
OWN = "run"  # the source of weights that this project has trained


class Damaged(BadInput):
    """A file that cannot be read as what its place says, or whose content belongs elsewhere."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Point:
    """A point of the training curve; `value` is a measure of a part of the validation split, percent."""

    step: int
    train_loss: float
    value: float


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Cost:
    """Trainable parameters, and multiply-adds of a forward pass of one clip or image."""

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

    @property
    def start(self) -> str:
        """The pretrained weights that the run began with; empty if none, or not recorded."""
        return self.versions.get("start", "")

    @property
    def setting(self) -> str:
        """Versions and device, in one line."""
        versions = ", ".join(
            f"{name} {version}" for name, version in sorted(self.versions.items()) if name != "start"
        )
        return f"{versions}; {self.device}"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Weights:
    """Where weights come from: what `weights import` notes beside them, or a run's net."""

    source: str  # caffe2, pyslowfast, mmaction2, torchvision, or "run"
    variant: str | None  # frames x stride of the source's nets
    key: str
    file: str  # name of the released file
    sha256: str  # of the released file
    state: str  # sha256 of the imported one
    used: tuple[str, ...] = ()  # names in the released file that the net is made of
    left: tuple[str, ...] = ()  # and those that it has no use for

    @property
    def name(self) -> str:
        return f"{self.source} {self.variant}" if self.variant else self.source


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Record:
    """A run and its test, or a test of given weights.

    `ranks` has one digit per test video, in the order of the split: how many classes scored above the true
    one (9: nine or more), so that top-1 and top-5 can be compared video by video. Measures such as average
    precision, which are no mean over items, have none.
    """

    key: str
    profile: str
    seed: int | None
    tables: tuple[str, ...]  # that show it
    spec: dict[str, Any]
    fingerprint: str  # the digest of the settings
    settings: dict[str, Any]  # all that the result depends on besides seed and data
    metrics: dict[str, float]  # percent, by the paper's columns, the headline first; and the loss
    tested: int  # videos or images
    listed: int | None = None  # that the split should have, where some may be missing or unusable
    views: int = 1  # clips of a test video
    ranks: str = ""
    kinds: dict[str, str] = field(default_factory=dict)  # kind of generated videos -> their ranks
    notes: tuple[str, ...] = ()  # on the data that were left out, or on the test
    curve: tuple[Point, ...] = ()
    cost: Cost
    made: Provenance
    data: str | None = None  # the digest of what it was trained and tested on; None if it is not known
    net: str | None = None  # sha256 of the file of the trained net; None in records from before that was kept
    weights: Weights | None = None  # of a test of given weights

    @property
    def headline(self) -> str:
        """What came out, in a few words."""
        return ", ".join(f"{name} {value:.1f}" for name, value in self.metrics.items() if name != "loss")

    @property
    def released(self) -> bool:
        """Whether it tests weights of others."""
        return self.weights is not None and self.weights.source != OWN


def share(usable: int, listed: int, noun: str = "videos") -> str:
    """How many of the items that a split should have can be used: "19,402 of 19,761 videos (98.2 %)"."""
    percent = 100 * usable / max(listed, 1)
    percent = min(percent, 99.9) if usable < listed else percent  # 100.0 means all
    return f"{usable:,} of {listed:,} {noun} ({percent:.1f} %)"


def digest(settings: dict[str, Any]) -> str:
    """The fingerprint of settings: changes with anything in them."""
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def record_path(results: Path, record: Record) -> Path:
    """The file of a record: seed<k>.json of a run, weights-<source>-<variant>-<sha256>.json of a test."""
    name = f"seed{record.seed}"
    if weights := record.weights:
        name = "-".join(
            part for part in ("weights", weights.source, weights.variant, weights.state[:8]) if part
        )
    return results / "records" / record.profile / record.key / f"{name}.json"


def seed_of(path: Path) -> int | None:
    """The seed in the name of a record or of a run's folder; None for a stray such as "seed0_old.json"."""
    name = SEED.fullmatch(path.stem)
    return int(name[1]) if name else None


def record_paths(results: Path, profile: str) -> list[Path]:
    """Where records of a profile lie, by key and seed, then tests of given weights; strays left out."""
    folder = results / "records" / profile
    runs = sorted(path for path in folder.glob("*/seed*.json") if seed_of(path) is not None)
    return runs + sorted(folder.glob("*/weights-*.json"))


def write_record(record: Record, results: Path) -> Path:
    path = record_path(results, record)
    write_atomic(path, json.dumps(asdict(record), indent=1) + "\n")
    return path


def read_record(path: Path) -> Record:
    """Read one record.

    Raises:
        Damaged: the file cannot be read, is not JSON, a field is missing, unknown or of the wrong type, or it
            lies in the place of another.
    """
    advice = "remove it; `sweep` or `evaluate` makes it anew"
    record = read_json(Record, path, "record", advice)
    place = record_path(Path(), record).parts[-3:]
    if path.parts[-3:] != place:
        raise Damaged(f"the record {path} is damaged: its content is that of {'/'.join(place)}; {advice}")
    return record


def read_records(results: Path, profile: str) -> list[Record]:
    """The undamaged records of a profile: runs by key and seed, then tests of weights, oldest first."""
    records = []
    for path in record_paths(results, profile):
        with suppress(Damaged):
            records.append(read_record(path))
    return sorted(
        records, key=lambda record: (record.weights is not None, record.weights and record.made.date)
    )


def damaged_records(results: Path, profile: str) -> Iterator[str]:
    """A line for each record that cannot be read."""
    for path in record_paths(results, profile):
        try:
            read_record(path)
        except Damaged as error:
            yield str(error)


def read_json(kind: type[Any], path: Path, what: str, advice: str) -> Any:
    """Read a JSON file as a dataclass; errors call it `what` and give the `advice`.

    Raises:
        Damaged: the file cannot be read, is not JSON, or a field is missing, unknown or of the wrong type.
    """
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except OSError as error:
        raise Damaged(f"the {what} {path} is damaged: {error.strerror}; {advice}") from None
    except ValidationError as error:
        raise Damaged(f"the {what} {path} is damaged: {explain(error)}; {advice}") from None
