"""The record of a run of Tables 4 to 6: as that of Table 2 (nlrepro/record.py), but with measures by name in place of ranks."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from nlrepro.files import write_atomic
from nlrepro.record import STRICT, Cost, Provenance, paths, record_path
from nlrepro.stored import demand_place, read_as, read_good


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Score:
    """One point of the training curve; `value` is the task's first measure on a part of the validation split, percent."""

    step: int
    train_loss: float
    value: float

    @property
    def headline(self) -> str:
        return f"val {self.value:.1f} %"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Outcome:
    key: str
    profile: str
    seed: int
    tables: tuple[str, ...]
    spec: dict[str, Any]
    fingerprint: str  # the digest of the settings
    settings: dict[str, Any]
    metrics: dict[str, float]  # percent, by the names of the paper's columns
    tested: int  # images or videos
    notes: tuple[str, ...] = ()  # what of the data was left out
    curve: tuple[Score, ...]
    cost: Cost
    made: Provenance
    data: str | None  # the digest of what it was trained and tested on

    @property
    def headline(self) -> str:
        return ", ".join(f"{name} {value:.1f}" for name, value in self.metrics.items())


def write(found: Outcome, results: Path) -> Path:
    path = record_path(results, found.profile, found.key, found.seed)
    write_atomic(path, json.dumps(asdict(found), indent=1) + "\n")
    return path


def read(path: Path, advice: str = "remove it; `sweep` makes it anew") -> Outcome:
    """Read one record, with the errors of `read_as`; one that lies in the place of another is damaged."""
    found = read_as(Outcome, path, "record", advice)
    demand_place(path, record_path(Path(), found.profile, found.key, found.seed), advice)
    return found


def read_all(results: Path, profile: str) -> list[Outcome]:
    """All records of a profile that are not damaged, by key and seed."""
    return read_good(paths(results, profile), read)
