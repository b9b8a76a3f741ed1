"""Which frames the clips of a video are: as the paper says, or as the source of released weights tests them.

| sampling   | clip j of 10 begins at         | 8x8 at 30 a second  | other rates              | past the video's end       |
| paper      | j/9 of what a clip leaves over | 0, 8, 16 ... 56     | whole steps near 30      | the last frame again       |
| caffe2     | j/10 of the whole video        | 0, 8, 16 ... 56     | not looked at            | the video from its begin   |
| pyslowfast | j/10 of what 64 frames leave   | 0, 9, 18 ... 63     | scaled, rounded down     | the last frame again       |
| mmaction2  | j/9 of what a clip leaves over | 0, 8, 16 ... 56     | not looked at            | the video from its begin   |

Facts of public code: the authors' caffe2_customized_ops/video/customized_video_io.cc, PySlowFast's datasets/decoder.py with its
default reader, mmaction2's `SampleFrames` as its configs set it. The frame numbers that these give are in tests/golden.
"""

from math import ceil, floor

import numpy as np
import numpy.typing as npt
import torch

from nlrepro.config import Clips, Sampling
from nlrepro.data.crops import MIDDLE
from nlrepro.data.kinetics.facts import PAPER_FPS, frame_step

Numbers = npt.NDArray[np.int64]
ROUNDING = 1e-6  # of products of j/10


def begins(sampling: Sampling, views: int) -> list[float]:
    """Where the clips of a test begin, as fractions of the possible begins; one clip lies in the middle."""
    if views == 1:
        return [MIDDLE]
    if sampling in ("caffe2", "pyslowfast"):
        return [j / views for j in range(views)]
    return np.linspace(0, 1, views).tolist()


def frame_numbers(sampling: Sampling, frames: int, fps: float, clips: Clips, where: float) -> list[int]:
    """The frames of a clip that begins at the fraction `where`, out of a video of so many frames."""
    return SAMPLINGS[sampling](frames, fps, clips, where).tolist()


def paper(frames: int, fps: float, clips: Clips, where: float) -> Numbers:
    """Text, section 4: clips are "sampled evenly"."""
    step = frame_step(fps)
    span = (clips.span - 1) * step + 1
    first = round(where * max(frames - span, 0))
    return np.minimum(np.arange(first, first + span, clips.stride * step), frames - 1)


def caffe2(frames: int, fps: float, clips: Clips, where: float) -> Numbers:
    return (int(where * frames + ROUNDING) + clips.stride * np.arange(clips.frames)) % frames


def pyslowfast(frames: int, fps: float, clips: Clips, where: float) -> Numbers:
    """Of a video that is long enough it decodes the clip's time alone, then numbers what it got from 0 on."""
    size = max(1.0, clips.stride * clips.frames / PAPER_FPS * fps)
    begin = max(frames - size, 0.0) * where
    whole = frames <= clips.stride * clips.frames
    first = 0 if whole else ceil(begin - ROUNDING)
    last = frames - 1 if whole else min(floor(begin + size - 1 + ROUNDING), frames - 1)
    offset = begin if whole else 0.0
    return first + torch.linspace(offset, offset + size - 1, clips.frames).clamp(0, last - first).long().numpy()  # (T,)


def mmaction2(frames: int, fps: float, clips: Clips, where: float) -> Numbers:
    return (round(where * max(frames - clips.span, 0)) + clips.stride * np.arange(clips.frames)) % frames


SAMPLINGS = {"paper": paper, "caffe2": caffe2, "pyslowfast": pyslowfast, "mmaction2": mmaction2}
