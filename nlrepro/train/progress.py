"""What a run tells while it is made, to whoever shows it."""

from collections.abc import Callable
from dataclasses import dataclass

from nlrepro.record import Point


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is."""

    step: int  # that are done, also by earlier tries
    steps: int
    loss: float | None = None  # of a recent batch, of this process's part of it
    last: Point | None = None  # of the curve: the last validation, also of an earlier try
    tested: float | None = None  # the part of the test that is done; None before it


Report = Callable[[Progress], None]


def nobody(told: Progress) -> None:
    """A report that nobody hears."""
