"""Where a run finds videos, and where it leaves its weights, its log and its record."""

import io
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_only

from nlrepro import record as records
from nlrepro.data.identity import identity
from nlrepro.errors import BadInput
from nlrepro.files import write_whole
from nlrepro.profile import Profile
from nlrepro.record import Record
from nlrepro.spec import RunSpec


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a run finds videos and leaves what it makes."""

    data: Path = Path("data")
    results: Path = Path("results/local")
    imagenet: tuple[Path, ...] = ()  # files of torchvision's weights; without, its cache is looked at
    identities: dict[tuple[str, str], str] = field(default_factory=dict, compare=False, repr=False)  # of splits, as first seen

    def videos(self, profile: Profile, spec: RunSpec) -> str | None:
        """What tells the videos apart that a run, and those it starts from, have seen; None where they cannot be read."""
        clips, parent = profile.clips[spec.clip], spec.parent
        try:
            parts = [self.identity(profile, spec, split) for split in sorted({clips.train, clips.val, clips.test})]
        except BadInput:
            return None
        return sha256(str([*parts, self.videos(profile, parent) if parent else None]).encode()).hexdigest()[:12]

    def identity(self, profile: Profile, spec: RunSpec, split: str) -> str:
        if (profile.name, split) not in self.identities:
            self.identities[profile.name, split] = identity(profile, spec.clip, split, self.data)
        return self.identities[profile.name, split]

    def run(self, profile: Profile, spec: RunSpec, seed: int) -> Path:
        """The folder of a run's checkpoint and log."""
        return self.results / "runs" / profile.name / spec.key / f"seed{seed}"

    def lock(self, profile: Profile, spec: RunSpec, seed: int) -> Path:
        """Held by the process that trains the run."""
        return self.run(profile, spec, seed) / "lock"

    def checkpoint(self, profile: Profile, spec: RunSpec, seed: int) -> Path:
        """The state of a run that was cut off; the name tells those of other settings apart."""
        return self.run(profile, spec, seed) / f"part-{records.fingerprint(spec, profile)}.ckpt"

    def weights(self, profile: Profile, spec: RunSpec, seed: int) -> Path:
        """The trained net of a finished run; the name tells weights of other settings apart."""
        return self.run(profile, spec, seed) / f"net-{records.fingerprint(spec, profile)}.pt"


@dataclass(frozen=True, kw_only=True)
class Share:
    """Which part of each batch, or of the test videos, a process takes: number `rank` of `of`."""

    rank: int = 0
    of: int = 1


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where a run computes: so many devices on each of so many nodes."""

    devices: int = 1
    nodes: int = 1

    @property
    def all(self) -> int:
        return self.devices * self.nodes


LOCAL, WHOLE, ONE = Place(), Share(), Machine()


def rank() -> int:
    """The number of this process among those of one run, 0 for the first."""
    return int(getattr(rank_zero_only, "rank", 0))


def finished(spec: RunSpec, seed: int, profile: Profile, place: Place) -> Record | None:
    """The fresh record of this run, if it and the weights that other runs may start from are there."""
    path = records.record_path(place.results, profile.name, spec.key, seed)
    if not (path.is_file() and place.weights(profile, spec, seed).is_file()):
        return None
    found = records.read(path)
    return found if records.is_fresh(found, spec, profile, place.videos(profile, spec)) else None


def state_bytes(state: dict[str, Any]) -> bytes:
    """What `torch.save` would write."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def save_whole(state: dict[str, Any], path: Path) -> None:
    """`torch.save`, whole or not at all."""
    write_whole(path, state_bytes(state))
