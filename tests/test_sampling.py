"""The frames of test clips are those that the peers' own code takes."""

from pathlib import Path
from typing import get_args

import pytest

from nlrepro.config import Clips, Sampling
from nlrepro.data.kinetics.sampling import SAMPLINGS, begins, frame_numbers

GOLDEN = Path(__file__).parent / "golden" / "sampling.txt"
LINES = [line for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]


def test_all_samplings_are_known_and_compared() -> None:
    assert {*SAMPLINGS} == {*get_args(Sampling)} == {"paper", *(line.split()[0] for line in LINES)}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split(":")[0])
def test_clips_are_the_peers_frames(line: str) -> None:
    asked, numbers = line.split(": ")
    source, frames, fps, clip, j = asked.split()
    sampling: Sampling = source  # type: ignore[assignment]
    length, stride = map(int, clip.split("x"))
    clips = Clips(frames=length, stride=stride, classes=1, anywhere=True)
    where = begins(sampling, 10)[int(j)]
    assert frame_numbers(sampling, int(frames), float(fps), clips, where) == list(map(int, numbers.split()))


@pytest.mark.parametrize(
    ("views", "paper", "peers"), [(1, [0.5], [0.5]), (2, [0, 1], [0, 0.5]), (3, [0, 0.5, 1], [0, 1 / 3, 2 / 3])]
)
def test_clips_begin_from_the_first_to_the_last_place_or_one_short_of_it(
    views: int, paper: list[float], peers: list[float]
) -> None:
    for sampling in get_args(Sampling):
        assert begins(sampling, views) == (peers if sampling in ("caffe2", "pyslowfast") else paper)


@pytest.mark.parametrize("sampling", get_args(Sampling))
@pytest.mark.parametrize("frames", [2, 3, 63, 64, 65, 300])
@pytest.mark.parametrize("fps", [5.0, 23.976, 30.0, 120.0])
@pytest.mark.parametrize("clips", [(8, 8), (32, 2), (128, 1)])
def test_no_clip_leaves_its_video(sampling: Sampling, frames: int, fps: float, clips: tuple[int, int]) -> None:
    kind = Clips(frames=clips[0], stride=clips[1], classes=1, anywhere=True)
    for where in begins(sampling, 10):
        found = frame_numbers(sampling, frames, fps, kind, where)
        assert len(found) == clips[0]
        assert all(0 <= number < frames for number in found)
