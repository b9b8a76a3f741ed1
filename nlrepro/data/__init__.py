"""Videos and images: what is generated, how files are decoded, trees of files, and which part a net gets."""

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]  # (T, H, W, 3) RGB
