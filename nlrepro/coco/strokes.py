"""A digit's 17 keypoints, as many as COCO's person has: where its strokes are in 8 rows, in 8 columns, and in all."""

import numpy as np
import numpy.typing as npt

from nlrepro.data.synthetic import Floats

Bools = npt.NDArray[np.bool_]
BANDS = 8  # rows, and columns


def keypoints(mask: Bools, patch: Bools) -> Floats:
    """(17, 3): x, y and visibility in the square (side, side) of a mask.

    The square is cut into 8 rows: pixel i belongs to row floor(8 (i + 1/2) / side). Keypoint k < 8 is the mean of the centres of
    those pixels of row k that the mask has; 8 + k the same of column k; 16 is the mean of all. As for torchvision the centre of
    pixel 0 is at 0.5. Visibility is 2 if the point can be seen, 1 if it lies in the patch, 0, and x and y too, if the mask has
    no pixel there.
    """
    pixels = np.argwhere(mask)[:, ::-1] + 0.5  # (N, 2): x, y
    column, row = (pixels * BANDS / len(mask)).astype(int).T  # (N,) each
    bands = np.arange(BANDS)[:, None]
    groups = np.concatenate([row == bands, column == bands, np.ones((1, len(pixels)), bool)])  # (17, N)
    count = groups.sum(1)  # (17,)
    x, y = (groups @ pixels / np.maximum(count, 1)[:, None]).T  # (17,) each
    seen = ~patch[y.astype(int), x.astype(int)]  # (17,)
    return np.stack([x, y, np.where(count, 1 + seen, 0)], axis=1).astype(np.float32)
