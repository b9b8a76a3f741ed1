"""What a run tells while it is made, to whoever shows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Told(Protocol):
    """A point of a training curve."""

    @property
    def headline(self) -> str:
        """What a validation gave, in a few words."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is."""

    step: int  # that are done, also by earlier tries
    steps: int
    loss: float | None = None  # of a recent batch, of this process's part of it
    last: Told | None = None  # of the curve: the last validation, also of an earlier try
    tested: float | None = None  # the part of the test that is done; None before it


Report = Callable[[Progress], None]


def nobody(told: Progress) -> None:
    """A report that nobody hears."""
