"""Where a run finds videos, and where it leaves its weights, its log and its record."""

import io
from dataclasses import dataclass
from pathlib import Path

import torch

from nlrepro import record as records
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

    def run(self, profile: Profile, spec: RunSpec, seed: int) -> Path:
        """The folder of a run's checkpoint and log."""
        return self.results / "runs" / profile.name / spec.key / f"seed{seed}"

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


def finished(spec: RunSpec, seed: int, profile: Profile, place: Place) -> Record | None:
    """The fresh record of this run, if it and the weights that other runs may start from are there."""
    path = records.record_path(place.results, profile.name, spec.key, seed)
    if not (path.is_file() and place.weights(profile, spec, seed).is_file()):
        return None
    found = records.read(path)
    return found if records.is_fresh(found, spec, profile) else None


def state_bytes(state: dict[str, torch.Tensor]) -> bytes:
    """What `torch.save` would write."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def save_whole(state: dict[str, torch.Tensor], path: Path) -> None:
    """`torch.save`, whole or not at all."""
    write_whole(path, state_bytes(state))
