"""Where a person sees runs while they are made: the last lines of a terminal, painted over and over, or the lines of a file.

tqdm draws the bars but does not place the lines. With its `position=` the cursor stands in the first of them, where a ^C appears,
and only what tqdm itself has written is cleared.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Protocol

from tqdm import tqdm

from nlrepro.processes import MINUTE, on_terminal
from nlrepro.sweep.progress import Line, Row
from nlrepro.train.machine import rank
from nlrepro.train.progress import Progress, Report

FRAME = 0.2  # seconds at least between two pictures
NEEDED = 3  # facts of a run for which its name is shortened
BAR, NAME = 10, 16  # columns at least
UP, CLEAR = "\x1b[A", "\r\x1b[J"  # a line up; all from the begin of this line on


class Board(Protocol):
    """Where lines are shown."""

    def show(self, runs: Sequence[Line], whole: Line | None = None) -> None:
        """What is running now. Call it often."""

    def say(self, text: str) -> None:
        """What stays, such as the end of a run."""

    def close(self) -> None: ...


def board() -> Board:
    """Of stderr."""
    return Terminal() if on_terminal() else Lines()


class Lines:
    """A file or a pipe: whole lines with their time, when there is news, else one a minute of each run.

    After an hour they become rarer, once in a 60th of the time, so that a run of days has some hundred.
    """

    def __init__(self) -> None:
        self.said: dict[str, tuple[float, float, object]] = {}  # of each name: when first, when last, in which state

    def show(self, runs: Sequence[Line], whole: Line | None = None) -> None:
        for line in (*runs, whole):
            if line and self.due(line):
                self.say(f"{line.name}: {', '.join(line.facts)}")

    def due(self, line: Line) -> bool:
        now = monotonic()
        begun, last, state = self.said.setdefault(line.name, (now, now, None))
        if state == line.state and now - last < max(MINUTE, (now - begun) / 60):
            return False
        self.said[line.name] = begun, now, line.state
        return True

    def say(self, text: str) -> None:
        print(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}", file=sys.stderr, flush=True)

    def close(self) -> None: ...


class Terminal:
    """A line a run, the whole under them; what is said goes above and scrolls away. The cursor stands behind the last line."""

    def __init__(self) -> None:
        self.lines: tuple[Sequence[Line], Line | None] = (), None
        self.picture: list[str] = []
        self.painted = 0.0

    def show(self, runs: Sequence[Line], whole: Line | None = None) -> None:
        self.lines = runs, whole
        if monotonic() - self.painted > FRAME:
            self.paint()

    def say(self, text: str) -> None:
        self.paint(text + "\n")

    def close(self) -> None:
        self.lines = (), None
        if self.picture:
            self.paint()

    def paint(self, above: str = "") -> None:
        columns, rows = shape()
        rows_taken = sum(-(-len(line) // columns) for line in self.picture)  # more than lines if it has become narrower
        self.picture = picture(*self.lines, columns - 1, rows - 1)
        print(UP * (rows_taken - 1) + CLEAR + above + "\n".join(self.picture), end="", file=sys.stderr, flush=True)
        self.painted = monotonic()


def shape() -> tuple[int, int]:
    """Columns and rows of the terminal; 80 x 24 if it does not know."""
    columns, rows = os.get_terminal_size(sys.stderr.fileno())
    return columns or 80, rows or 24


def picture(runs: Sequence[Line], whole: Line | None, columns: int, rows: int) -> list[str]:
    """At most so many rows of at most so many columns. Of runs that have no room only the number is told."""
    room = max(rows - 1, 0)
    if whole and len(runs) > room:
        whole = replace(whole, facts=(*whole.facts, f"{len(runs) - room} more running"))
    under = [f"{whole.name}: {', '.join(whole.facts)}"[:columns]] if whole else []
    return [*aligned(runs[:room], columns), *under]


def aligned(runs: Sequence[Line], columns: int) -> list[str]:
    """Names, bars and facts below each other. Where there is no room for all, bars go first, then facts, then parts of names."""
    longest = max((len(line.name) for line in runs), default=0)
    texts = [", ".join(line.facts) for line in runs]
    if longest + 1 + max(map(len, texts), default=0) > columns:
        texts = [", ".join(line.facts[:NEEDED]) for line in runs]
    wide = max(map(len, texts), default=0)
    longest = min(longest, max(columns - wide - 1, NAME))
    names = [shortened(line.name, longest).ljust(longest) for line in runs]
    bars = [drawn(line.fraction, columns - longest - wide - 2) for line in runs]
    return [" ".join(filter(None, parts))[:columns] for parts in zip(names, bars, texts, strict=True)]


def drawn(fraction: float, columns: int) -> str:
    """A bar, or none if there is no room."""
    plain = "utf" not in sys.stderr.encoding.lower()
    return str(tqdm.format_meter(fraction, 1, 0, columns, bar_format="{bar}", ascii=plain)) if columns >= BAR else ""


def shortened(name: str, columns: int) -> str:
    """Without its middle, if it is too long."""
    half = columns // 2 - 1
    return name if len(name) <= columns else f"{name[:half]}..{name[half + 2 - columns :]}"


@contextmanager
def watched(name: str) -> Iterator[Report]:
    """Show what one run reports; of several processes only the first does."""
    row = Row(name)
    with closing(board()) as shown:

        def report(told: Progress) -> None:
            row.hear(told)
            if rank() == 0:
                shown.show([row.line])

        yield report
