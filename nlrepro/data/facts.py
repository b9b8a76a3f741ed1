"""The facts of video files that clips need, or why a file cannot be used; and an index of them. No torch.

An index is JSON lines. Each result goes to a journal beside it at once, so that a check that was cut off goes
on where it was.
"""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from nlrepro.data.decode import Times, Unusable, frame_times, picture_size, short_reason
from nlrepro.files import BadInput, make_folder, write_atomic
from nlrepro.processes import die_with_parent, progress_bar
from nlrepro.spec import STRICT, explain

LIMIT = 60.0  # seconds a file; Kinetics' take about 0.1
PAPER_FPS = 30
# The shorter side is scaled to what a net sees, up to 320 pixels, and the longer one grows with it: 32 frames
# of 8:1 then take 79 MB, of 250:1 2.5 GB. YouTube's smallest videos have 144 lines; films are 2.4:1, two wide
# screens side by side 3.6:1.
SHORTEST = 16  # pixels
LONGEST = 8  # times the shorter side
UNEVEN = 0.5  # part of the usual time between two frames that another may differ by


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Facts:
    """One video file. `reason` says why it cannot be used; then the facts before it may be 0."""

    video: str  # <class folder>/<file>
    bytes: int
    mtime_ns: int
    frames: int = 0
    fps: float = 0.0  # mean over the video
    seconds: float = 0.0
    width: int = 0  # upright, in pixels
    height: int = 0
    rotation: int = 0  # degrees, of the display matrix: width, height and all frames are turned already
    variable: bool = False  # frames are not evenly spaced in time
    reason: str = ""

    def serves(self, frames: int) -> bool:
        """Whether it can be used and is long enough for so many consecutive frames at the paper's rate."""
        return not self.reason and self.frames > (frames - 1) * frame_step(self.fps)


Index = dict[str, Facts]  # by "<class folder>/<file>"
LINE = TypeAdapter(Facts)


def frame_step(fps: float) -> int:
    """How many of a source's frames make one of the paper's.

    The paper takes its 64 consecutive frames from videos of about 30 frames a second. At 60 every second
    frame gives the same time; 24 and 25 stay as they are, as in the authors' code: their clips last a quarter
    longer, which no whole step mends.
    """
    return max(1, round(fps / PAPER_FPS))


def fits(width: int, height: int) -> bool:
    """Whether pictures of this size in pixels can be scaled to what a net sees."""
    shorter, longer = sorted((width, height))
    return shorter >= SHORTEST and longer <= LONGEST * shorter


def timing(times: Times) -> dict[str, Any]:
    """Number of frames, rate and length.

    Raises:
        Unusable: there is one frame, or frames have no times.
    """
    if len(times) < 2:
        raise Unusable("it has one frame")
    seconds, gaps = times[-1, 1] - times[0, 0], np.diff(times[:, 0])
    if not seconds > 0:
        raise Unusable("its frames have no times")
    variable = bool(np.abs(gaps / max(np.median(gaps), 1e-6) - 1).max() > UNEVEN)
    fps = round(len(times) / seconds, 3)
    return {"frames": len(times), "fps": fps, "seconds": round(float(seconds), 3), "variable": variable}


def file_state(path: Path) -> tuple[int, int]:
    """Bytes and time of change, by which a change is noticed; zeros for a link to nowhere."""
    try:
        state = path.stat()
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns


def unusable(folder: Path, video: str, reason: str) -> Facts:
    size, changed = file_state(folder / video)
    return Facts(video=video, bytes=size, mtime_ns=changed, reason=reason)


def examine(folder: Path, video: str) -> Facts:
    """Decode all of a video; one that cannot be used gives facts with a reason, no error."""
    facts = unusable(folder, video, "")
    try:
        if not facts.bytes:
            raise Unusable("the file is empty, or a link to nowhere")
        width, height, rotation = picture_size(folder / video)
        facts = replace(facts, width=width, height=height, rotation=rotation)
        if not fits(width, height):
            raise Unusable(
                f"{width} x {height} pixels: the shorter side must have {SHORTEST} or more, the longer one at"
                f" most {LONGEST} times as many, or clips would take gigabytes"
            )
        return replace(facts, **timing(frame_times(folder / video)))
    except Unusable as error:
        return replace(facts, reason=str(error))


Examine = Callable[[Path, str], Facts]  # `examine`, or a test's


def examine_in_time(examine: Examine, limit: float, folder: Path, video: str) -> Facts:
    """The facts that `examine` gives; any error, or more than `limit` seconds, is a reason.

    It is for child processes alone.     Python's handler of a signal waits until C code returns. If that
    takes as long again, the process is ended.
    """

    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise Unusable(f"timed out after {limit:g} seconds")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    signal.setitimer(signal.ITIMER_PROF, 2 * limit)  # seconds of processor time
    try:
        return examine(folder, video)
    except Exception as error:
        kind = "" if isinstance(error, Unusable) else f"{type(error).__name__}: "
        return unusable(folder, video, kind + short_reason(error, folder / video))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def examine_all(
    folder: Path, videos: Iterable[str], jobs: int, examine: Examine = examine, limit: float = LIMIT
) -> Iterator[Facts]:
    """The facts of each video, as they come, in `jobs` processes; each may take `limit` seconds.

    A file that crashes its process breaks the pool: all files that were in work are then tried again, each
    alone.
    """
    work, waiting = partial(examine_in_time, examine, limit, folder), deque(videos)
    while waiting:
        running: dict[Future[Facts], str] = {}
        with suppress(BrokenProcessPool), process_pool(jobs) as pool:
            while waiting or running:
                while waiting and len(running) < 2 * jobs:
                    running[pool.submit(work, waiting[0])] = waiting[0]
                    waiting.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    facts = future.result()
                    del running[future]
                    yield facts
        for video in running.values():
            with process_pool(1) as pool:
                try:
                    yield pool.submit(work, video).result()
                except BrokenProcessPool:
                    yield unusable(folder, video, "the process that read it crashed, or had to be ended")


def process_pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=die_with_parent)


def parse_index(path: Path, command: str = "`data check`") -> Index:
    try:
        return {facts.video: facts for facts in map(LINE.validate_json, path.read_bytes().splitlines())}
    except ValidationError as error:
        advice = f"remove it and run {command} again"
        raise BadInput(f"the index {path} is damaged: {explain(error)}; {advice}") from None


def complete_index(
    folder: Path,
    videos: Sequence[str],
    path: Path,
    jobs: int,
    examine: Examine = examine,
    limit: float = LIMIT,
) -> Index:
    """The index of the videos of a folder, written to `path`; those that are not known yet are examined."""
    make_folder(path.parent)
    journal = path.with_suffix(".journal")
    index = known_facts(folder, videos, path, journal)
    missing = [video for video in videos if video not in index]
    bar = progress_bar(total=len(videos), initial=len(index), desc=folder.name, unit=" videos")
    with journal.open("ab") as file, bar:
        file.write(b"\n")  # ends the half line that a check that was cut off may have left
        for facts in examine_all(folder, missing, jobs, examine, limit):
            file.write(LINE.dump_json(facts) + b"\n")
            file.flush()
            index[facts.video] = facts
            bar.update()
    write_atomic(path, b"".join(LINE.dump_json(index[video]) + b"\n" for video in sorted(index)))
    journal.unlink()
    return {video: index[video] for video in videos}


def known_facts(folder: Path, videos: Sequence[str], path: Path, journal: Path) -> Index:
    """Facts of the videos that have not changed since they were examined.

    A finished check gives those of usable videos, one that was cut off all; its last line may be half.
    """
    finished = parse_index(path) if path.is_file() else {}
    index = {video: f for video, f in finished.items() if not f.reason and fits(f.width, f.height)}
    for line in journal.read_bytes().splitlines() if journal.is_file() else ():
        with suppress(ValidationError):
            facts = LINE.validate_json(line)
            index[facts.video] = facts
    known = [index[video] for video in videos if video in index]
    return {f.video: f for f in known if file_state(folder / f.video) == (f.bytes, f.mtime_ns)}
