"""Video files -> frames with decord, which has wheels for x86-64 Linux and Windows alone. It imports no torch.

Measured with decord 0.6.0:
- A display matrix is applied: frames come upright, but only at a requested width and height. Without these a quarter turn
  cannot be read at all ("The size must exactly match").
- Frames of a variable rate are counted in their order: a clip of every other frame is then uneven in time.
- The average rate of Matroska is its nominal one (30 for 24.9 true frames a second), so rates are taken from time stamps.
- Frames that a container promises and does not have are silently filled with copies of others, unless `fault_tol` counts these.
- For some files decord never returns (its issues 269, 373, 375) while it holds Python's lock: only killing the process helps.
- mkv and webm that were cut off hold what they hold, as a shorter video; mp4 and avi cannot be opened.
- Its FFmpeg has no decoder of AV1: "cannot find video stream".
- Of AVI with B-frames it finds no time stamps (-3e17 s), and after a seek gives other frames than are asked for.
- Frames that an mp4 keeps and does not show (times before 0, as `ffmpeg -ss -c copy` leaves them) are counted, until a seek.
- MPEG-4 part 2 with B-frames in mp4 is read up to two frames too late after a seek; H.264 and HEVC are not.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import decord
import numpy as np
import numpy.typing as npt

from nlrepro.data import Frames
from nlrepro.data.unusable import NoDecoder, Unusable, gist

SIDE = 64  # pixels that frames are scaled to for a look at them: memory stays small, and quarter turns can be read
SAMPLES = 16  # frames that a look decodes, evenly spaced from the first to the last
SUBSTITUTES = 1  # of these that decord may have filled in: often the last frame alone

decord.logging.set_level(decord.logging.QUIET)


@contextmanager
def reasons(path: Path) -> Iterator[None]:
    """decord's errors as `Unusable`, without the native stack that it puts before its last line."""
    try:
        yield
    except (decord.DECORDError, RuntimeError, AssertionError, IndexError) as error:
        if path.is_file() and path.stat().st_size == 0:
            raise Unusable("the file is empty") from None
        kind = NoDecoder if "cannot find video stream" in str(error) else Unusable
        raise kind(f"damaged or cut off: {gist(error, path)}") from None


def reader(path: Path, width: int, height: int, fault_tol: int = -1) -> decord.VideoReader:
    """A decord reader of upright frames, scaled to width x height. decord's own errors.

    Raises:
        NoDecoder: time stamps before 0, and decord would give other frames than are asked for.
    """
    video = decord.VideoReader(str(path), width=width, height=height, num_threads=1, fault_tol=fault_tol)
    if video.get_frame_timestamp(0)[0] < 0:
        raise NoDecoder("some of its frames have no times, or are not shown")
    return video


def frames(path: Path, wanted: Sequence[int] | None, width: int, height: int) -> Frames:
    """As `nlrepro.data.decoding.frames`.

    decord seeks whenever it is to skip onto or over a key frame, and a seek throws away what its decoder has read ahead: 2 ms, as
    much as 8 frames at 340 x 256. So the frame before each key frame within the clip is read too, whether wanted or not; what is
    left to seek is the clip's begin.

    Raises:
        NoDecoder: decord cannot read such a file.
        Unusable: the file is missing, damaged or too short.
    """
    with reasons(path):
        video = reader(path, width, height)
        wanted = range(len(video)) if wanted is None else wanted
        if wanted[-1] >= len(video):
            raise Unusable(f"it has {len(video)} frames, a clip needs {wanted[-1] + 1}")
        before_keys = {key - 1 for key in video.get_key_indices() if wanted[0] < key <= wanted[-1]}
        read = sorted(before_keys.union(wanted))
        found: Frames = video.get_batch(read).asnumpy()  # (T', H, W, 3)
    return found if read == list(wanted) else found[np.searchsorted(read, wanted)]  # (T, H, W, 3)


def frame_times(path: Path) -> npt.NDArray[np.float64]:
    """As `nlrepro.data.decoding.frame_times`.

    Raises:
        NoDecoder: decord cannot read such a file, or finds fewer frames than the file promises: some may be there, but not shown.
        Unusable: the file is damaged.
    """
    with reasons(path):
        video = reader(path, SIDE, SIDE, SUBSTITUTES)
        number = len(video)
        try:
            # one batch of far frames, as a test reads them: this is what decord hangs on, where frame by frame it does not
            video.get_batch(np.linspace(0, number - 1, min(SAMPLES, number)).round().astype(int).tolist())
        except decord.DECORDLimitReachedError:
            raise NoDecoder("its container promises frames that are not there") from None
        times: npt.NDArray[np.float64] = video.get_frame_timestamp(range(number)).astype(float)
    return times
