"""Real video files, good and bad, for tests."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def film(
    path: Path,
    codec: str = "libx264",
    rate: int = 30,
    frames: int = 40,
    size: tuple[int, int] = (64, 48),
    times: list[int] | None = None,  # milliseconds
    **options: str,
) -> Path:
    """A real video that grows brighter, its upper third red."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options) as container:
        fast = {"deadline": "realtime"} if "vpx" in codec else {}
        stream = container.add_stream(codec, rate=rate, options=fast)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(frames):
            picture = np.full((size[1], size[0], 3), 40 + 3 * i, np.uint8)
            picture[: size[1] // 3] = (220, 30, 30)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def audio() -> bytes:
    """A second of AAC silence in mp4."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()
