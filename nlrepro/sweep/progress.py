"""What is known of runs while they are made: how far they are, how long the rest takes, how good they are so far."""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from tqdm import tqdm

from nlrepro.train.progress import Progress
from nlrepro.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Line:
    """What is told of a run, or of a whole sweep."""

    name: str
    facts: tuple[str, ...]  # the least needed last
    fraction: float = 0.0  # that is done
    state: Hashable = None  # news when it changes; None before there is any


class Pace:
    """How fast something goes on, from when it was first looked at: what was done before has taken none of this time."""

    def __init__(self) -> None:
        self.begun: tuple[float, float] | None = None

    def left(self, done: float, rest: float) -> float | None:
        """The seconds that the rest takes at this pace; None before anything is done."""
        now = monotonic()
        since, first = self.begun = self.begun or (now, done)
        return rest * (now - since) / (done - first) if done > first else None


class Row:
    """One try of a run. Its training and its test have each a pace, and the time that is left is that of the one under way."""

    def __init__(self, name: str, steps: int = 0) -> None:
        self.name, self.steps, self.first, self.done = name, steps, 0, 0
        self.pace = Pace()
        self.left: float | None = None
        self.told: Progress | None = None

    def hear(self, told: Progress) -> None:
        if self.told is None:
            self.first = told.step
        if told.tested == 0:
            self.pace = Pace()
        done, of = (told.step, told.steps) if told.tested is None else (told.tested, 1.0)
        self.left = self.pace.left(done, of - done)
        self.told, self.done, self.steps = told, told.step, told.steps

    @property
    def made(self) -> int:
        """The steps of this try."""
        return self.done - self.first

    @property
    def line(self) -> Line:
        told = self.told
        if told is None:
            return Line(name=self.name, facts=("starting",))
        facts = [
            f"step {told.step}/{told.steps}" if told.tested is None else f"testing {told.tested:.0%}",
            f"{clock(self.left)} left" if self.left is not None else "",
            told.last.headline if told.last else "",
            f"loss {told.loss:.2f}" if told.loss is not None and told.tested is None else "",
        ]
        fraction = told.step / told.steps if told.tested is None else told.tested
        return Line(name=self.name, facts=tuple(filter(None, facts)), fraction=fraction, state=(told.last,))


class Whole:
    """A sweep's runs together, with the time that their steps take at the pace of this sweep, as if all steps took the same."""

    def __init__(self) -> None:
        self.rows: list[Row] = []  # of all that were started
        self.pace = Pace()

    def line(self, *, runs: int, running: Sequence[Row], waiting: Collection[int], failed: int, elsewhere: int) -> Line:
        """Of so many runs those that run, the steps of those that wait, and how many have failed or are in another sweep."""
        made = sum(row.made for row in self.rows)
        rest = sum(waiting) + sum(row.steps - row.done for row in running)
        done = runs - len(waiting) - len(running)
        lefts = [row.left for row in running if row.left is not None]
        pace = self.pace.left(made, rest) if made else None  # the first steps come late: processes start, videos are read
        left = max([pace, *lefts]) if pace is not None else None
        facts = [
            f"{done}/{runs} runs done",
            f"{clock(left)} left" if left is not None else "",
            f"{failed} failed" if failed else "",
            f"{elsewhere} in another sweep" if elsewhere else "",
        ]
        return Line(name="sweep", facts=tuple(filter(None, facts)), state=(done, failed, elsewhere))


def clock(seconds: float) -> str:
    """ "12:31" or "2:12:31"."""
    return str(tqdm.format_interval(seconds))


def outcome(run: Trial[Any]) -> str:
    """What a run that is done has come to, and how long it took, all tries together."""
    record = run.recorded()
    return f"done, {record.headline}, took {clock(record.made.seconds)}" if record else "done"
