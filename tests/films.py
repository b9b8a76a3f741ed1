"""Real video files, good and bad, for tests."""

import io
import os
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from nlrepro.data.facts import Facts, examine


def write_video(
    path: Path,
    pictures: npt.NDArray[np.uint8],  # (T, H, W, 3)
    codec: str = "libx264",
    rate: int = 30,
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,  # of the codec
    times: list[int] | None = None,  # milliseconds
    **container: str,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container) as file:
        stream: Any = file.add_stream(codec, rate=rate, options=options)
        _, stream.height, stream.width, _ = pictures.shape
        stream.pix_fmt = pixels
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def film(
    path: Path, codec: str = "libx264", frames: int = 40, size: Sequence[int] = (64, 48), **how: Any
) -> Path:
    """A video that grows brighter, its upper third red; `how` is of `write_video`."""
    pictures = np.empty((frames, size[1], size[0], 3), np.uint8)
    pictures[:] = 40 + 3 * np.arange(frames).reshape(-1, 1, 1, 1)
    pictures[:, : size[1] // 3] = (220, 30, 30)
    return write_video(path, pictures, codec, **how)


def audio() -> bytes:
    """A second of silence."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16000))
    return buffer.getvalue()


def troublesome(folder: Path, video: str) -> Facts:
    """`examine` for child processes: it hangs in C, crashes or fails on files of these names.

    It notes each file that it opens.
    """
    name = Path(video).stem
    with (folder.parent / "opened.txt").open("a") as file:
        file.write(name + "\n")
    if name == "hang":
        max(range(1 << 62))
    if name == "crash":
        os._exit(7)
    if name == "fail":
        raise OSError(f"opening it\n{folder / video} is out of reach")
    return examine(folder, video)
