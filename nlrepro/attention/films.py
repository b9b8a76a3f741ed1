"""Pictures in a row as an animated GIF or as an mp4."""

import io

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

SECONDS = 0.35  # that a picture is shown
Pixels = npt.NDArray[np.uint8]  # (H, W, 3) RGB


def gif(pictures: list[Pixels]) -> bytes:
    """Each picture in 256 colours of its own, again and again."""
    images = [Image.fromarray(picture).quantize(256) for picture in pictures]
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=int(1000 * SECONDS), loop=0)
    return buffer.getvalue()


def mp4(pictures: list[Pixels]) -> bytes:
    """H.264; sides must be even."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "18"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            for _ in range(round(30 * SECONDS)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()
