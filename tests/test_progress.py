"""What a person sees of runs while they are made: in a terminal (tests/terminal.py) and in a file."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import pytest
from conftest import ROOT, command
from terminal import Pty, terminal

from nlrepro import bars
from nlrepro.processes import progress_bar
from nlrepro.record import Point
from nlrepro.sweep import board, progress
from nlrepro.sweep.board import Lines, Terminal, picture, watched
from nlrepro.sweep.progress import Line, Row, Whole
from nlrepro.train.progress import Progress

KEY = "r50-c2d-nl-res4-embedded-spacetime"


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (board, progress):
        monkeypatch.setattr(module, "monotonic", clock)
    return clock


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


@contextmanager
def watching() -> Iterator[Pty]:
    """A terminal of 24 rows and 80 columns that is stderr."""
    with terminal() as pty, redirect_stderr(pty.file):
        yield pty


def at(step: int, val: float | None = None, loss: float | None = None, tested: float | None = None) -> Progress:
    last = None if val is None else Point(step=step, train_loss=1.0, val_top1=val)
    return Progress(step=step, steps=300, loss=loss, last=last, tested=tested)


def row(name: str, *told: Progress) -> Row:
    found = Row(name, 300)
    for each in told:
        found.hear(each)
    return found


def line(name: str = f"{KEY} seed 0", val: float = 61.3) -> Line:
    return row(name, at(120, val, 1.214)).line


def whole(*facts: str) -> Line:
    return Line(name="sweep", facts=facts, state=facts)


def test_a_run_that_goes_on_shows_what_it_has_reached_and_counts_its_own_steps_only(clock: Clock) -> None:
    again = row("a", at(200, 55.0))
    assert again.line.facts == ("step 200/300", "val 55.0 %")
    clock.now += 10
    again.hear(at(220, 55.0, 1.214))
    assert again.line.facts == ("step 220/300", "00:40 left", "val 55.0 %", "loss 1.21")
    assert again.made == 20


def test_a_test_has_a_pace_of_its_own(clock: Clock) -> None:
    run = row("a", at(0))
    clock.now += 1000
    run.hear(at(300, 61.3, 1.2))
    run.hear(at(300, 61.3, 1.2, tested=0.0))
    assert run.line.facts == ("testing 0%", "val 61.3 %")
    clock.now += 10
    run.hear(at(300, 61.3, 1.2, tested=0.25))
    assert run.line.facts == ("testing 25%", "00:30 left", "val 61.3 %")


def test_a_sweep_s_time_is_that_of_its_own_steps_and_no_shorter_than_a_run_s(clock: Clock) -> None:
    """The first run goes on from step 200; a third waits."""
    sweep, rows = Whole(), [row("a", at(200)), row("b", at(0))]
    sweep.rows += rows

    def left() -> tuple[str, ...]:
        return sweep.line(runs=4, running=rows, waiting=[300], failed=0, elsewhere=1).facts

    assert left() == ("1/4 runs done", "1 in another sweep")
    clock.now += 7  # no step is done yet: the time does not count
    rows[1].hear(at(1))
    left()
    clock.now += 10
    rows[0].hear(at(210))
    rows[1].hear(at(11))
    rest, rows[1].left = 90 + 289 + 300, None
    assert left() == ("1/4 runs done", f"{progress.clock(rest / 2)} left", "1 in another sweep")  # 20 steps in 10 s
    rows[1].left = 4000
    assert left()[1] == "1:06:40 left"


def test_a_file_has_whole_lines_when_there_is_news_and_once_a_minute(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    lines, run = Lines(), Row("r50-c2d seed 0", 300)

    def said(told: Progress | None, seconds: float) -> list[str]:
        clock.now += seconds
        if told:
            run.hear(told)
        lines.show([run.line])
        found = capsys.readouterr().err
        assert not re.search(r"[\r\x1b]", found)
        assert found.count("\n") == len(found.splitlines())
        return [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", line) for line in found.splitlines()]

    assert said(None, 0) == said(None, 59) == []
    assert said(None, 1) == ["r50-c2d seed 0: starting"]
    assert said(at(0), 1) == ["r50-c2d seed 0: step 0/300"]
    assert said(at(10, loss=2), 10) == []
    validated = at(50, 20.0, 1.5)
    assert said(validated, 20) == ["r50-c2d seed 0: step 50/300, 02:30 left, val 20.0 %, loss 1.50"]
    assert said(validated, 1) == []
    assert said(validated, 58) == []
    assert said(validated, 1) == ["r50-c2d seed 0: step 50/300, 07:30 left, val 20.0 %, loss 1.50"]


def test_a_file_tells_of_days_in_some_hundred_lines(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    lines, run = Lines(), line()
    for _ in range(5 * 24 * 60):
        clock.now += 60
        lines.show([run])
    assert 100 < capsys.readouterr().err.count("\n") < 500


def test_a_file_tells_of_the_whole_when_a_run_has_ended(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    for facts in (("0/2 runs done",), ("0/2 runs done",), ("1/2 runs done", "1 in another sweep")):
        lines.show([], whole(*facts))
    said = capsys.readouterr().err.splitlines()
    assert [text.split(" sweep: ")[1] for text in said] == ["0/2 runs done", "1/2 runs done, 1 in another sweep"]


def test_a_terminal_has_a_line_a_run_and_the_whole_below_and_what_ends_above(clock: Clock) -> None:
    with watching() as pty:
        shown = Terminal()
        shown.show([line("a seed 0"), line("long-name seed 1")], whole("0/3 runs done", "12:31 left"))
        clock.now += 1
        shown.say("a seed 0: done, top-1 64.3 %, took 00:59")
        shown.show([line("long-name seed 1", 70.0)], whole("1/3 runs done", "10:00 left"))
        assert len(pty.seen().shown) == 4  # not so soon
        clock.now += 1
        shown.show([line("long-name seed 1", 70.0)], whole("1/3 runs done", "10:00 left"))
        assert pty.seen().shown == [
            "a seed 0: done, top-1 64.3 %, took 00:59",
            "long-name seed 1 ██████████▍                step 120/300, val 70.0 %, loss 1.21",
            "sweep: 1/3 runs done, 10:00 left",
        ]
        shown.close()
        screen = pty.seen()
        assert screen.shown == ["a seed 0: done, top-1 64.3 %, took 00:59"]
        assert (screen.row, screen.column) == (1, 0)


def test_lines_are_never_longer_than_the_terminal() -> None:
    """Bars go first, then the loss, then parts of names."""
    told = row(f"{KEY} seed 0", at(0), at(120, 61.3, 1.214))
    told.left = 3725
    runs = [told.line, line("r50-c2d seed 0")]
    for columns in range(1, 200):
        for text in picture(runs, whole("0/3 runs done", "12:31 left", "1 in another sweep"), columns, 10):
            assert len(text) <= columns
    wide, middle, narrow, tiny = (picture(runs, None, columns, 10)[0] for columns in (110, 93, 83, 60))
    assert re.fullmatch(rf"{KEY} seed 0 █+\S? +step 120/300, 1:02:05 left, val 61.3 %, loss 1.21", wide)
    assert middle == f"{KEY} seed 0 step 120/300, 1:02:05 left, val 61.3 %, loss 1.21"
    assert narrow == f"{KEY} seed 0 step 120/300, 1:02:05 left, val 61.3 %".ljust(len(narrow))
    assert tiny == "r50-c2d-n..ime seed 0 step 120/300, 1:02:05 left, val 61.3 %"


def test_more_runs_than_rows_do_not_scroll(clock: Clock) -> None:
    with watching() as pty:
        shown, runs = Terminal(), [line(f"run {number} seed 0") for number in range(64)]
        for _ in range(5):
            clock.now += 1
            shown.show(runs, whole("0/90 runs done"))
        found = pty.seen().shown
        assert len(found) == 23
        assert found[0].startswith("run 0 seed 0 ")
        assert found[-1] == "sweep: 0/90 runs done, 42 more running"


def test_a_terminal_that_has_become_narrower_or_lower_keeps_no_old_lines(clock: Clock) -> None:
    with watching() as pty:
        shown, runs = Terminal(), [line(f"run {number} seed 0") for number in range(6)]
        shown.show(runs, whole("0/90 runs done"))
        written = len(pty.seen().lines)
        pty.resize(5, 40)
        clock.now += 1
        before = len(pty.text)
        shown.show(runs, whole("0/90 runs done"))
        pty.seen()
        text = pty.text[before:]
        assert text.startswith("\x1b[A" * (2 * written - 2) + "\r\x1b[J")  # each run's line takes two rows now, the last one
        assert text.count("\n") + 1 <= 4
        shown.close()


def test_a_stderr_of_another_encoding_has_bars_of_ascii(clock: Clock) -> None:
    with watching() as pty:
        pty.file.reconfigure(encoding="ascii")  # type: ignore[attr-defined]
        Terminal().show([line("a seed 0")])
        assert "#" in pty.seen().shown[0]


@pytest.mark.parametrize("rank", [0, 1])
def test_of_a_run_s_processes_the_first_alone_is_shown(rank: int, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    with watching() as pty:
        monkeypatch.setattr(board, "rank", lambda: rank)
        with watched("a seed 0") as report:
            report(at(0))
            clock.now += 1
            report(at(120, 61.3))
            seen = pty.seen().shown
        assert ("step 120/300, 00:01 left, val 61.3 %" in seen[0]) == (rank == 0)
        assert pty.seen().shown == [""]


def test_bars_are_whole_lines_in_a_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(progress_bar([1, 2, 3], desc="videos")) == [1, 2, 3]
    found = capsys.readouterr().err
    assert "\r" not in found
    assert [line.split("|")[0].split(": ")[1].strip() for line in found.splitlines()] == ["0%", "100%"]
    assert progress_bar([]).maxinterval == bars.MINUTE  # else tqdm would tell a slow thing's state every 10 s
    monkeypatch.setattr(bars, "MINUTE", 0.0)
    assert list(progress_bar([1, 2, 3], desc="often", miniters=1)) == [1, 2, 3]
    assert capsys.readouterr().err.count("often: ") > 2


@pytest.mark.parametrize(("name", "moves"), [("xterm", True), ("dumb", False)])
def test_bars_move_in_a_terminal_that_can(name: str, moves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with watching() as pty:
        monkeypatch.setenv("TERM", name)
        assert list(progress_bar([1, 2, 3], desc="videos")) == [1, 2, 3]
        (first, *more) = pty.seen().shown
        assert ("100%" in first) == moves
        assert bool(more) != moves


def sweep_words(data: Path, results: Path, *only: str) -> list[str]:
    words = ["sweep", "2a", "--only", *only, "--seeds", "0", "--jobs", "2", "--profile", "smoke"]
    return [*words, "--data", str(data), "--results", str(results)]


@pytest.mark.rare
def test_a_sweep_into_a_file_can_be_read_line_by_line(data: Path, tmp_path: Path) -> None:
    done = command(*sweep_words(data, tmp_path, "r50-c2d"))
    assert done.status == 0, done.err
    assert not re.search(r"[\r\x1b]", done.out + done.err)
    mine = [re.sub(r"^[-\d]+ [:\d]+ |, loss .*|took .*|[:\d]+ left, |, [:\d]+ left$", "", line) for line in done.err.splitlines()]
    shape = [re.sub(r"\d+\.\d %", "P", text) for text in mine if not text.startswith("decode ")]
    assert shape == [
        "sweep: 0/1 runs done",
        "r50-c2d seed 0: step 0/4",
        "r50-c2d seed 0: step 2/4, val P",
        "r50-c2d seed 0: step 4/4, val P",
        "r50-c2d seed 0: done, top-1 P, ",
        "sweep: 1/1 runs done",
    ]


@pytest.mark.rare
def test_a_sweep_in_a_terminal_shows_its_runs_and_leaves_it_clean(data: Path, tmp_path: Path) -> None:
    """The second is stopped with Ctrl-C while it trains."""
    environment = os.environ | {"TERM": "xterm"}
    line = [sys.executable, "-m", "ablations", *sweep_words(data, tmp_path, "r50-c2d*")]
    with terminal(columns=200) as both:
        subprocess.run(line, stdout=both.file, stderr=both.file, cwd=ROOT, env=environment, check=True)
    pictures = both.text.split("\r\x1b[J")
    assert any(len(re.findall(r"seed 0 .*step [124]/4, .*val ", picture)) == 2 for picture in pictures)
    left = [text for text in both.screen().shown if not text.startswith("decode ")]
    assert left[0] == "5 runs: 0 recorded, 5 to do, 2 at a time"
    assert all(re.search(r" seed 0: done, top-1 \d+\.\d %, took ", text) for text in left[1:6])
    assert left[6].startswith("to see the tables of what is recorded: ")
    again = [word if word != "0" else "1" for word in line]
    with (
        terminal(columns=200) as both,
        subprocess.Popen(again, stdout=both.file, stderr=both.file, cwd=ROOT, env=environment) as process,
    ):
        both.wait_for("step 1/4")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    *before, last = both.screen().shown
    assert last == "stopped; the same command goes on from here"
    assert not [text for text in before if "step" in text or text.startswith("sweep")]
