"""Mean average precision as Charades' own evaluation has it (Charades_v1_classify.m, which comes with the annotations).

The average precision of a class is the mean, over the videos that have it, of the precision among those ranked as high or higher:
scikit-learn's `average_precision_score`, which differs only among videos of equal scores. The mean is over the classes. The
official evaluation ranks videos that have no actions behind all others, so that they never count; here they are not tested.
"""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def average_precisions(scores: Floats, truth: Bools) -> Floats:
    """Of each class: (videos, classes) twice -> (classes,) in [0, 1]; not a number for a class that no video has."""
    return np.array(
        [average_precision_score(of, score) if of.any() else np.nan for score, of in zip(scores.T, truth.T, strict=True)]
    )


def mean_average_precision(scores: Floats, truth: Bools) -> float:
    """In percent, over the classes that some video has; the official one would be not a number if one had none.

    Raises:
        FloatingPointError: a score is infinite or not a number.
    """
    if not np.isfinite(scores).all():
        raise FloatingPointError("a score of a tested video was no finite number")
    return round(100 * float(np.nanmean(average_precisions(scores, truth))), 4)
