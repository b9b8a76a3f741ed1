"""What a sweep knows of a training, whatever it trains: where its files lie, and whether it is done. Imports no torch."""

from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from nlrepro import record as records
from nlrepro.files import BadInput
from nlrepro.record import Provenance


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Where videos come from, and where results go."""

    data: Path = Path("data")
    results: Path = Path("results/local")
    imagenet: tuple[Path, ...] = ()  # files of torchvision's weights; without any, its cache is looked at


class Recorded(Protocol):
    """A record, of whatever task."""

    @property
    def made(self) -> Provenance: ...
    @property
    def headline(self) -> str:
        """What came out, in a few words."""


R = TypeVar("R", bound=Recorded)


@dataclass(frozen=True, kw_only=True)
class Trial(ABC, Generic[R]):
    """One training and its test. What comes out depends on spec, profile, seed and data, and on nothing else.

    Its files, below the folder of results:

        records/<profile>/<key>/seed<seed>.json        the record
        runs/<profile>/<key>/seed<seed>/               all else: lock, log, checkpoint, weights
    """

    spec: Any  # which has a `key`
    profile: Any = field(hash=False)  # which has a `name`; it holds dictionaries
    seed: int
    folders: Folders = field(default_factory=Folders)

    @property
    def key(self) -> str:
        return str(self.spec.key)

    @property
    def profile_name(self) -> str:
        return str(self.profile.name)

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """The digest of all settings; names of files hold it, so that those of other settings are told apart."""

    @property
    @abstractmethod
    def parent(self) -> "Trial[Any] | None":
        """The one of the same seed whose weights this one starts from."""

    @abstractmethod
    def read(self, path: Path) -> R:
        """The record at a path.

        Raises:
            BadInput: it is damaged.
        """

    @abstractmethod
    def is_fresh(self, record: R) -> bool:
        """Whether this would give the record again: its settings are the same, and its data where both are known."""

    @abstractmethod
    def damaged_net(self) -> str | None:
        """What is wrong with the trained net, and what to do; None if nothing is, or there is none."""

    @property
    def name(self) -> str:
        return f"{self.key} seed {self.seed}"

    @property
    def record_path(self) -> Path:
        return records.record_path(self.folders.results, self.profile_name, self.key, self.seed)

    @property
    def folder(self) -> Path:
        return self.folders.results / "runs" / self.profile_name / self.key / f"seed{self.seed}"

    @property
    def lock(self) -> Path:
        """Held by the process that trains."""
        return self.folder / "lock"

    @property
    def checkpoint(self) -> Path:
        """The state of a training that was cut off."""
        return self.folder / f"part-{self.fingerprint}.ckpt"

    @property
    def weights(self) -> Path:
        """The trained net of a finished one."""
        return self.folder / f"net-{self.fingerprint}.pt"

    def recorded(self) -> R | None:
        """The record, fresh or stale; None if there is none or it is damaged."""
        with suppress(BadInput):
            return self.read(self.record_path) if self.record_path.exists() else None
        return None

    def finished(self) -> R | None:
        """The fresh record, if it and the weights that others may start from are there and whole."""
        record = self.recorded() if self.weights.is_file() else None
        return record if record and self.is_fresh(record) and not self.damaged_net() else None

    def damaged_record(self) -> str | None:
        """What is wrong with the record, and what to do; None if nothing is, or there is none."""
        try:
            if self.record_path.exists():
                self.read(self.record_path)
        except BadInput as error:
            return str(error)
        return None
