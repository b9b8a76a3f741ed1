"""Video files -> frames with PyAV: where decord has no wheel (macOS, ARM), and for files that decord cannot read. No torch.

The frames are decord's, as its filters are used: turned upright, then scaled bilinearly by swscale. (PyAV's own `reformat` sites
the chroma of H.264 elsewhere: 1.3 of 255 off in the mean.) Unscaled frames of odd size or of 10 bits have other chroma, 2 of 255.
Nothing depends on how exactly a container can be searched: its packets, below 5 MB in Kinetics, are kept and decoded from the key
frame before the clip on.
On one core (2026, `bench --what loader`) a clip takes 0.80 to 0.85 of decord's time, a whole generated video 0.82 (best of 7).
torchcodec (0.17) has wheels for ARM and macOS too, but they hold no FFmpeg, which must be installed apart: 94 packages of Debian.
"""

from bisect import bisect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.filter import Graph

from nlrepro.data import Frames
from nlrepro.data.unusable import Unusable, gist

SAMPLES = 16  # frames that a look asks for, evenly spaced from the first to the last
SUBSTITUTES = 1  # of these that may not be there: often the last frame alone
Packet: TypeAlias = "av.Packet[av.VideoStream]"

TURNS = {90: ["cclock"], 180: ["clock", "clock"], 270: ["clock"]}  # degrees of a display matrix -> quarter turns that undo it


@contextmanager
def opened(path: Path) -> Iterator[Iterator[Packet]]:
    """The packets of the file's video, in the order in which they are decoded; PyAV's errors as `Unusable`."""
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            stream = container.streams.best("video")
            if not isinstance(stream, av.VideoStream):
                raise Unusable("it has no video stream, only sound")
            if stream.codec_context is None:
                raise Unusable("no decoder is known for its video")
            stream.codec_context.thread_count = 1
            yield container.demux(stream)
    except (av.error.FFmpegError, ValueError) as error:
        raise Unusable(f"not a video, damaged or cut off: {getattr(error, 'strerror', None) or gist(error, path)}") from None


def stamp(of: "Packet | av.VideoFrame") -> int:
    """When it is shown, in its stream's time base."""
    return (of.dts or 0) if of.pts is None else of.pts


def shown(packets: Sequence[Packet]) -> list[tuple[int, int]]:
    """Begin and end of each frame that is shown, in its order; the others are what a cut had to keep for their sake.

    Raises:
        Unusable: there is none.
    """
    kept = [packet for packet in packets if packet.size and not packet.is_discard]
    if not kept:
        raise Unusable("it has no frames")
    return sorted((stamp(packet), stamp(packet) + (packet.duration or 0)) for packet in kept)


def numbered(packets: Sequence[Packet], stamps: Sequence[int], first: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """Frames with their numbers in the order in which they are shown, from the last key frame until `first` on.

    The first number is looked up by its time stamp, others are counted: in AVI, stamps of frames between key frames are wrong.
    """
    keys = [at for at, packet in enumerate(packets) if packet.is_keyframe and stamp(packet) <= stamps[first]]
    number = -1
    for packet in packets[max(keys, default=0) :]:
        for frame in packet.decode():
            number = bisect(stamps, stamp(frame)) - 1 if number < 0 else number + 1
            yield number, frame


def scaling(frame: av.VideoFrame, width: int, height: int) -> Graph:
    """decord's filters for frames such as this one: turned upright, width x height, RGB."""
    graph = Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base),
        *[graph.add("transpose", turn) for turn in TURNS.get(frame.rotation % 360, [])],
        graph.add("scale", f"{width}:{height}:flags=bilinear"),
        graph.add("format", "rgb24"),
        graph.add("buffersink"),
    ).configure()
    return graph


def frames(path: Path, wanted: Sequence[int] | None, width: int, height: int) -> Frames:
    """As `nlrepro.data.decoding.frames`; frames that are promised and not there are copies of those before, as decord's are.

    Raises:
        Unusable: the file is missing, damaged or too short.
    """
    with opened(path) as demuxed:
        packets = list(demuxed)  # the last one is empty, and asks the decoder for what it still holds
        stamps = [begin for begin, _ in shown(packets)]
        wanted = range(len(stamps)) if wanted is None else wanted
        if wanted[-1] >= len(stamps):
            raise Unusable(f"it has {len(stamps)} frames, a clip needs {wanted[-1] + 1}")
        found: dict[int, npt.NDArray[Any]] = {}  # (H, W, 3)
        graph, needed = None, set(wanted)
        for number, frame in numbered(packets, stamps, wanted[0]):
            if number in needed:
                graph = graph or scaling(frame, width, height)
                graph.push(frame)
                found[number] = graph.pull().to_ndarray()
            if number >= wanted[-1]:
                break
    if not found:
        raise Unusable("none of its frames can be decoded")
    there = sorted(found)
    return np.stack([found[there[max(bisect(there, number) - 1, 0)]] for number in wanted])  # (T, H, W, 3)


def frame_times(path: Path) -> npt.NDArray[np.float64]:
    """As `nlrepro.data.decoding.frame_times`; decodes all of the file.

    Raises:
        Unusable: the file is damaged, or frames that it promises are not there.
    """
    with opened(path) as demuxed:
        packets = list(demuxed)
        times = shown(packets)
        there = sum(1 for _ in numbered(packets, [begin for begin, _ in times], 0))
        unit = float(packets[0].time_base)
    looked_at = np.linspace(0, len(times) - 1, min(SAMPLES, len(times))).round()
    if (looked_at >= there).sum() > SUBSTITUTES:
        raise Unusable("its container promises frames that are not there")
    return np.array(times) * unit  # (frames, 2)


def picture_size(path: Path) -> tuple[int, int, int]:
    """As `nlrepro.data.decoding.picture_size`."""
    with opened(path) as demuxed:
        frame = next((frame for packet in demuxed for frame in packet.decode()), None)
    if frame is None:
        raise Unusable("none of its frames can be decoded")
    sideways = frame.rotation % 180 == 90
    width, height = (frame.height, frame.width) if sideways else (frame.width, frame.height)
    return width, height, frame.rotation % 360
