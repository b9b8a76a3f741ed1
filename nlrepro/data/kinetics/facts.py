"""What one video file is: its frames, rate and size, or why it cannot be used. It imports no torch."""

from pathlib import Path

import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from nlrepro.data.decoding import Unusable, frame_times, picture_size

UNEVEN = 0.5  # part of the usual time between two frames that another may differ by
PAPER_FPS = 30
# The shorter side is scaled to what a net sees, up to 320 pixels, and the longer one grows with it: 32 frames of 8:1 then take
# 79 MB, of 250:1 2.5 GB. YouTube's smallest videos have 144 lines; films are 2.4:1, two wide screens side by side 3.6:1.
SHORTEST = 16  # pixels
LONGEST = 8  # times the shorter side


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
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
    rotation: int = 0  # degrees, of the display matrix: what width, height and decord's frames have already
    variable: bool = False  # frames are not evenly spaced in time
    reason: str = ""

    def serves(self, frames: int) -> bool:
        """Whether the video is whole and long enough for clips of so many consecutive frames at the paper's rate."""
        return not self.reason and self.frames > (frames - 1) * frame_step(self.fps)


def frame_step(fps: float) -> int:
    """How many of a source's frames make one of the paper's.

    The paper takes its 64 consecutive frames from videos of about 30 frames a second. At 60 every second frame gives the same
    time; 24 and 25 stay as they are, as in the authors' code: their clips last a quarter longer, which no whole step mends.
    """
    return max(1, round(fps / PAPER_FPS))


def fits(width: int, height: int) -> bool:
    """Whether pictures of this size in pixels can be scaled to what a net sees."""
    shorter, longer = sorted((width, height))
    return shorter >= SHORTEST and longer <= LONGEST * shorter


def state(path: Path) -> tuple[int, int]:
    """Bytes and time of change, by which a change is noticed; zeros for a link to nowhere."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def examine(folder: Path, video: str) -> Facts:
    """Open a video and decode frames of all its parts; an unusable one gives facts with a reason, no error."""
    path = folder / video
    size, changed = state(path)
    found: dict[str, float] = {}
    reason = ""
    try:
        if not size:
            raise Unusable("the file is empty, or a link to nowhere")
        width, height, rotation = picture_size(path)
        found |= {"width": width, "height": height, "rotation": rotation}
        if not fits(width, height):
            raise Unusable(
                f"{width} x {height} pixels: the shorter side must have {SHORTEST} or more, as it is scaled to what the net sees,"
                f" and the longer one at most {LONGEST} times as many, or clips would take gigabytes"
            )
        found |= timing(path)
    except Unusable as error:
        reason = str(error)
    return Facts(video=video, bytes=size, mtime_ns=changed, reason=reason, **found)  # type: ignore[arg-type]


def timing(path: Path) -> dict[str, float]:
    """Frames, rate and length.

    Raises:
        Unusable: the file is damaged, or no video of two frames or more.
    """
    times = frame_times(path)  # (frames, 2)
    if len(times) < 2:
        raise Unusable("it has one frame")
    seconds, gaps = times[-1, 1] - times[0, 0], np.diff(times[:, 0])
    if not seconds > 0:
        raise Unusable("its frames have no times")
    variable = bool(np.abs(gaps / max(np.median(gaps), 1e-6) - 1).max() > UNEVEN)
    return {
        "frames": len(times),
        "fps": round(len(times) / seconds, 3),
        "seconds": round(float(seconds), 3),
        "variable": variable,
    }
