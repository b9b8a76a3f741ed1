"""A trial of Tables 4 to 6: what it adds to the files and locks that all trials have. Imports no torch."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlrepro.beyond import outcome
from nlrepro.beyond.outcome import Outcome
from nlrepro.record import as_read, digest
from nlrepro.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Measured(Trial[Outcome]):
    """One training whose record is an `Outcome`."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """All that the result depends on besides seed and data."""

    @property
    @abstractmethod
    def data(self) -> str | None:
        """The digest of what it is trained and tested on; None where that is not there."""

    @property
    def parent(self) -> Trial[Any] | None:
        return None

    @property
    def fingerprint(self) -> str:
        return digest(as_read(self.settings))

    def read(self, path: Path) -> Outcome:
        return outcome.read(path)

    def has_settings_of(self, record: Outcome) -> bool:
        return record.fingerprint == self.fingerprint

    def is_fresh(self, record: Outcome) -> bool:
        return self.has_settings_of(record) and (record.data is None or self.data in (None, record.data))

    def damaged_net(self) -> str | None:
        from nlrepro.train.intact import flaw  # which imports much

        wrong = flaw(self.weights) if self.weights.exists() else None
        return f"the net {self.weights} is damaged: {wrong}; `sweep` makes it anew" if wrong else None
