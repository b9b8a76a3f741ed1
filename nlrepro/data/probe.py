"""What one video file is: its frames, rate and size, or why it cannot be used. Imports neither torch nor any other slow module.

Measured with decord 0.6.0, which training reads with:
- A display matrix is applied: frames come upright, but only at a requested width and height. Without these a quarter turn
  cannot be read at all ("The size must exactly match").
- Frames of a variable rate are counted in their order: a clip of every other frame is then uneven in time. The average rate of
  Matroska is its nominal one (30 for 24.9 true frames a second); `fps` is measured from the time stamps instead.
- Frames that a container promises and does not have are silently filled with copies of others, unless `fault_tol` counts these;
  for some files decord never returns (its issues 269, 373, 375) while it holds Python's lock: only killing the process helps.
- mkv and webm that were cut off hold what they hold, as a shorter video; mp4 and avi cannot be opened.
"""

from pathlib import Path

import av
import decord
import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

SIDE = 64  # pixels that frames are scaled to: memory stays small, and quarter turns can be read
SAMPLES = 16  # frames that are decoded, evenly spaced from the first to the last
SUBSTITUTES = 1  # of these that decord may have filled in: often the last frame alone
UNEVEN = 0.5  # part of the usual time between two frames that another may differ by


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


class Unusable(Exception):
    """The reason, in words."""


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
        found |= picture(path)
        found |= timing(path)
    except Unusable as error:
        reason = str(error)
    return Facts(video=video, bytes=size, mtime_ns=changed, reason=reason, **found)  # type: ignore[arg-type]


def picture(path: Path) -> dict[str, float]:
    """Width, height and rotation, of the first frame."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise Unusable("it has no video stream, only sound")
            container.streams.video[0].codec_context.thread_count = 1
            frame = next(container.decode(video=0), None)
    except (av.error.FFmpegError, ValueError) as error:
        raise Unusable(f"not a video, damaged or cut off: {getattr(error, 'strerror', error)}") from None
    if frame is None:
        raise Unusable("none of its frames can be decoded")
    sideways = frame.rotation % 180 == 90
    width, height = (frame.height, frame.width) if sideways else (frame.width, frame.height)
    return {"width": width, "height": height, "rotation": frame.rotation % 360}


def timing(path: Path) -> dict[str, float]:
    """Frames, rate and length, after decoding some of all parts."""
    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(str(path), width=SIDE, height=SIDE, num_threads=1, fault_tol=SUBSTITUTES)
        frames = len(reader)
        if frames < 2:
            raise Unusable("it has one frame")
        # one batch of far frames, as a test reads them: this is what decord hangs on, where frame by frame it does not
        reader.get_batch(np.linspace(0, frames - 1, min(SAMPLES, frames)).round().astype(int).tolist())
        times = reader.get_frame_timestamp(range(frames)).astype(float)
    except decord.DECORDLimitReachedError:
        raise Unusable(f"its container promises {frames} frames, not all of which are there") from None
    except (decord.DECORDError, RuntimeError, AssertionError) as error:
        raise Unusable(f"damaged or cut off: {str(error).strip().splitlines()[-1][-120:]}") from None
    seconds, gaps = times[-1, 1] - times[0, 0], np.diff(times[:, 0])
    if not seconds > 0:
        raise Unusable("its frames have no times")
    variable = bool(np.abs(gaps / max(np.median(gaps), 1e-6) - 1).max() > UNEVEN)
    return {"frames": frames, "fps": round(frames / seconds, 3), "seconds": round(float(seconds), 3), "variable": variable}
