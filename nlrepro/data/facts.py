"""The facts of video files that clips need, or why a file cannot be used; and an index of them. No torch.

An index is JSON lines, one of a folder. Each result is appended at once, so that a check that was cut off
goes on where it was.
"""

import faulthandler
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from nlrepro.data.decode import Unusable, measure, short_reason
from nlrepro.files import access, exclusive, write_atomic
from nlrepro.processes import die_with_parent, progress_bar
from nlrepro.spec import STRICT

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
    width: int = 0  # as it is shown, in pixels
    height: int = 0
    turned: bool = False  # or mirrored, as its display matrix says
    variable: bool = False  # frames are not evenly spaced in time
    reason: str = ""

    @property
    def usable(self) -> bool:
        """Whether it can be used and has a second frame at the paper's rate."""
        return not self.reason and self.frames > frame_step(self.fps)


Index = dict[str, Facts]  # by `video`
LINE = TypeAdapter(Facts)


def frame_step(fps: float) -> int:
    """How many of a source's frames make one of the paper's, whose videos have about 30 a second.

    At 60 every second frame gives the same time. 24 and 25 stay as they are, as in the authors' code.
    """
    return max(1, round(fps / PAPER_FPS))


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
            raise Unusable("the file is empty, no plain file, or a link to nowhere")
        times, (width, height), turned = measure(folder / video)
        facts = replace(facts, width=width, height=height, turned=turned)
        shorter, longer = sorted((width, height))
        if shorter < SHORTEST or longer > LONGEST * shorter:
            raise Unusable(
                f"{width} x {height} pixels: the shorter side must have {SHORTEST} or more, the longer one at"
                f" most {LONGEST} times as many, or clips would take gigabytes"
            )
        if len(times) < 2:
            raise Unusable("it has one frame")
        seconds, gaps = float(times[-1, 1] - times[0, 0]), np.diff(times[:, 0])
        if not seconds > 0:
            raise Unusable("its frames have no times")
    except Unusable as error:
        return replace(facts, reason=str(error))
    variable = bool(np.abs(gaps / max(np.median(gaps), 1e-6) - 1).max() > UNEVEN)
    return replace(facts, frames=len(times), fps=round(len(times) / seconds, 3), variable=variable)


Examine = Callable[[Path, str], Facts]  # `examine`, or a test's


def examine_in_time(examine: Examine, limit: float, folder: Path, video: str) -> Facts:
    """The facts that `examine` gives; any error is a reason. After `limit` seconds it ends its process.

    A handler of a signal would wait until C code returns, which some damaged files never let it do.
    """
    with open(os.devnull, "w") as null:
        faulthandler.dump_traceback_later(limit, exit=True, file=null)
        try:
            return examine(folder, video)
        except Exception as error:
            reason = f"{type(error).__name__}: {short_reason(error, folder / video)}"
            return unusable(folder, video, reason)
        finally:
            faulthandler.cancel_dump_traceback_later()


def examine_all(
    folder: Path, videos: Iterable[str], jobs: int, examine: Examine = examine, limit: float = LIMIT
) -> Iterator[Facts]:
    """The facts of each video, as they come, in `jobs` processes; each may take `limit` seconds.

    The end of a process breaks the pool: all files that were in work are then tried again, each alone.
    """
    work, waiting = partial(examine_in_time, examine, limit, folder), deque(videos)
    make_pool = partial(ProcessPoolExecutor, mp_context=get_context("spawn"), initializer=die_with_parent)
    while waiting:
        running: dict[Future[Facts], str] = {}
        with suppress(BrokenProcessPool), make_pool(jobs) as pool:
            while waiting or running:
                while waiting and len(running) < 2 * jobs:
                    running[pool.submit(work, waiting[0])] = waiting[0]
                    waiting.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    facts = future.result()
                    del running[future]
                    yield facts
        for video in running.values():
            with make_pool(1) as pool:
                try:
                    yield pool.submit(work, video).result()
                except BrokenProcessPool:
                    reason = f"the process that read it crashed, or took more than {limit:g} seconds"
                    yield unusable(folder, video, reason)


def index_path(folder: Path, cache: Path) -> Path:
    """The index of a folder: it lies in the cache, and goes with a copy of the data folder around both."""
    name = os.path.relpath(folder, cache.parent).replace(os.sep, "-")
    return cache / f"index-{name}.jsonl"


def complete_index(folder: Path, videos: Sequence[str], cache: Path, jobs: int) -> Index:
    """The index of the videos of a folder, as it is kept now; those that are not known yet are examined."""
    path = index_path(folder, cache)
    with exclusive(path.with_suffix(".lock"), f"looks at the videos in {folder}"):
        index = known_facts(folder, videos, path)
        missing = [video for video in videos if video not in index]
        name, number, done = folder.name, len(videos), len(videos) - len(missing)
        results = examine_all(folder, missing, jobs)
        advice = "check the permissions and the free space of its folder"
        with access(path, "write", advice), path.open("ab") as file:
            for facts in progress_bar(results, total=number, initial=done, desc=name, unit=" videos"):
                file.write(b"\n" + LINE.dump_json(facts))  # the last line may be a half one
                file.flush()
                index[facts.video] = facts
        write_atomic(path, b"\n".join(LINE.dump_json(index[video]) for video in sorted(index)))
    return {video: index[video] for video in videos}


def known_facts(folder: Path, videos: Sequence[str], path: Path) -> Index:
    """Facts of what has not changed since it was examined; damaged lines are skipped.

    Of `videos` those of usable ones; of others, which may be of another split in the same folder, all.
    """
    index: Index = {}
    with access(path):
        lines = path.read_bytes().splitlines() if path.exists() else ()
    for line in lines:
        with suppress(ValidationError):
            facts = LINE.validate_json(line)
            index[facts.video] = facts
    again = {video for video in videos if video in index and index[video].reason}
    known = [facts for video, facts in index.items() if video not in again]
    return {f.video: f for f in known if file_state(folder / f.video) == (f.bytes, f.mtime_ns)}
