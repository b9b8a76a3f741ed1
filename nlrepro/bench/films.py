"""Videos as Kinetics is usually kept, for the bench of the loader: 340 x 256, 30 frames a second, 300 frames, H.264 in mp4.

A drifting texture with noise stands for a filmed scene: at x264's default quality a file takes 0.2 to 0.6 MB, as those of
Kinetics do.
"""

from pathlib import Path

import av
import numpy as np
from PIL import Image

from nlrepro.data import Frames

WIDTH, HEIGHT, FRAMES, RATE = 340, 256, 300, 30
NOISE = 4.0  # standard deviation, of 255


def texture(random: np.random.Generator) -> Frames:
    """Large and small blots, twice a frame's width and height."""
    coarse, fine = (random.integers(0, 256, (*size, 3), np.uint8) for size in ((24, 32), (HEIGHT // 2, WIDTH // 2)))
    large, small = (
        np.asarray(Image.fromarray(blots).resize((2 * WIDTH, 2 * HEIGHT), Image.Resampling.BICUBIC), np.float32)
        for blots in (coarse, fine)
    )
    scene: Frames = (0.75 * large + 0.25 * small).astype(np.uint8)
    return scene


def film(path: Path, gop: int, seed: int) -> Path:
    """A video with a key frame at least every `gop` frames; the same seed gives the same frames."""
    random = np.random.default_rng([seed, gop])
    scene = texture(random)
    options = {"g": str(gop), "threads": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(FRAMES):
            x, y = int(WIDTH / 2 + WIDTH / 3 * np.sin(i / 40 + seed)), int(HEIGHT / 2 + HEIGHT / 3 * np.cos(i / 55))
            picture = scene[y : y + HEIGHT, x : x + WIDTH] + random.normal(0, NOISE, (HEIGHT, WIDTH, 1))
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
