"""The data of all tasks: generated or real, how files are read, and which part of a video a net sees."""

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]  # (T, H, W, 3) RGB
