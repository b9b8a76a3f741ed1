"""Video files: their frames. Imports no torch.

PyAV reads every file but the generated videos. Those decord reads where it is installed: the pixels are equal
there, and it has wheels for x86-64 Linux and Windows alone. From some other files decord (0.6.0) never
returns (its issues 269, 373, 375), of some it silently gives other frames, and it has no decoder of AV1.

PyAV's frames pass decord's filters: turned as they are shown, then scaled bilinearly by swscale. (PyAV's own
`reformat` places the chroma of H.264 elsewhere: 1.3 of 255 off in the mean.) Nothing depends on how exactly a
container can be searched: its packets, below 5 MB in Kinetics, are kept, and decoded from the key frame
before the clip on. Frames of a variable rate are counted in their order: such clips are uneven in time.
As in decord, pixels count as square whatever their aspect ratio, and interlaced frames stay so.

On one core PyAV takes 0.86 of decord's time for a clip of Kinetics' size, 0.77 for a generated video.
torchcodec (0.17) needs an FFmpeg that is installed apart: 94 packages of Debian.
"""

from bisect import bisect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import av  # before decord, whose libvpx can only decode: else PyAV could not write webm
import numpy as np
import numpy.typing as npt
from av.filter import Graph
from av.sidedata.sidedata import Type

from nlrepro.data import Frames
from nlrepro.files import BadInput

try:
    import decord
except ImportError:
    decord = None
else:
    decord.logging.set_level(decord.logging.QUIET)

READER = "decord" if decord else "av"  # the package that reads generated videos
SAMPLES = 16  # frames, evenly spaced from the first to the last,
SUBSTITUTES = 1  # of which so many may be missing: often the last frame alone
SKEW = 0.01  # half a degree, as ffmpeg's command rounds
TRANSPOSE = ("transpose", "cclock_flip")  # rows become columns
# PyAV 18.1 shows none of a frame's side data if one kind is newer than FFmpeg 7, such as EXIF.
Type._missing_ = classmethod(lambda cls, number: cls.VIDEO_HINT)  # type: ignore[assignment]

Packet: TypeAlias = "av.Packet[av.VideoStream]"
Times = npt.NDArray[np.float64]  # (frames, 2): begin and end in seconds


class Unusable(Exception):
    """Why a file cannot be used: one line, the same for all files of which it is true."""


@contextmanager
def open_video(path: Path) -> Iterator[Iterator[Packet]]:
    """The packets of the file's video in decoding order; the last is empty, and flushes the decoder.

    PyAV's errors during the block become `Unusable`.
    """
    path = path.absolute()  # FFmpeg takes what stands before a colon for a protocol
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
        reason = getattr(error, "strerror", None) or short_reason(error, path)
        raise Unusable(f"not a video, damaged or cut off: {reason}") from None


def short_reason(error: BaseException, path: Path) -> str:
    """The last line of an error about a file, without the file's path."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].replace(str(path), "the file").strip()[-120:]


def timestamp(item: "Packet | av.VideoFrame") -> int:
    """When it is shown, in its stream's time base."""
    return (item.dts or 0) if item.pts is None else item.pts


def visible_times(packets: Sequence[Packet]) -> list[tuple[int, int]]:
    """Begin and end of each frame that is shown, in that order; a cut file keeps others for their sake."""
    visible = [packet for packet in packets if packet.size and not packet.is_discard]
    if not visible:
        raise Unusable("it has no frames")
    return sorted((timestamp(packet), timestamp(packet) + (packet.duration or 0)) for packet in visible)


def decode_from(
    packets: Sequence[Packet], begins: Sequence[int], first: int
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Frames with their numbers, as they are shown, from the last key frame until `first` on.

    The first number is looked up by its time stamp, others are counted: in AVI, time stamps of frames between
    key frames are wrong.
    """
    keys = [i for i, p in enumerate(packets) if p.is_keyframe and timestamp(p) <= begins[first]]
    number = -1
    for packet in packets[max(keys, default=0) :]:
        for frame in packet.decode():
            number = bisect(begins, timestamp(frame)) - 1 if number < 0 else number + 1
            yield number, frame


def turns(frame: av.VideoFrame) -> list[tuple[str, str]]:
    """The filters that show a frame as its display matrix says: turned by quarters, mirrored, or as it is.

    ffmpeg's command does the same, also with a matrix of zeros. Other angles, which it turns by and fills the
    corners with black, are `Unusable`.
    """
    sides: Any = frame.side_data
    first = next((bytes(side) for side in sides if side.type is Type.DISPLAYMATRIX), bytes(36))
    a, b, _, c, d, *_ = np.frombuffer(first, np.int32).tolist()
    if not any((a, b, c, d)):
        return []
    across = max(abs(a), abs(d)) < SKEW * min(abs(b), abs(c))
    if not across and max(abs(b), abs(c)) >= SKEW * min(abs(a), abs(d)):
        matrix = " ".join(f"{n / (1 << 16):.3g}" for n in (a, b, c, d))
        raise Unusable(f"its display matrix is no turn by quarters and no mirror: {matrix}")
    x, y = (c, b) if across else (a, d)  # (x, y) is shown at (ax + cy, bx + dy)
    flips = [("hflip", "")] * (x < 0) + [("vflip", "")] * (y < 0)
    return [TRANSPOSE] * across + flips


def scaler(frame: av.VideoFrame, width: int, height: int) -> Graph:
    """Filters for frames like this one: as its display matrix says, width x height, RGB."""
    graph = Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        ),
        *[graph.add(*turn) for turn in turns(frame)],
        graph.add("scale", f"{width}:{height}:flags=bilinear"),
        graph.add("format", "rgb24"),
        graph.add("buffersink"),
    ).configure()
    return graph


def frames(path: Path, indices: Sequence[int] | None, width: int, height: int) -> Frames:
    """Frames of rising indices, which may repeat, as shown and scaled, (T, height, width, 3); None: all.

    Frames that the file promises and does not have are copies of those before.

    Raises:
        Unusable: the file is missing, damaged or too short.
    """
    with open_video(path) as demuxed:
        packets = list(demuxed)
        begins = [begin for begin, _ in visible_times(packets)]
        indices = range(len(begins)) if indices is None else indices
        if indices[-1] >= len(begins):
            raise Unusable(f"it has {len(begins)} frames, a clip needs {indices[-1] + 1}")
        pictures: dict[int, npt.NDArray[Any]] = {}  # (H, W, 3)
        graphs: dict[tuple[int, int, str], Graph] = {}  # one that transposes cuts frames of another size
        needed = set(indices)
        for number, frame in decode_from(packets, begins, indices[0]):
            if number in needed:
                shape = frame.width, frame.height, frame.format.name  # may change within a file
                if shape not in graphs:
                    graphs[shape] = scaler(frame, width, height)
                graphs[shape].push(frame)
                pictures[number] = graphs[shape].pull().to_ndarray()
            if number >= indices[-1]:
                break
    if not pictures:
        raise Unusable("none of its frames can be decoded")
    present = sorted(pictures)
    nearest = [present[max(bisect(present, number) - 1, 0)] for number in indices]
    return np.stack([pictures[number] for number in nearest])  # (T, H, W, 3)


def stored_width(size: int) -> int:
    """Of generated videos of this size: decord reads rows of a multiple of 32 bytes alone."""
    return size + -size % 32


def read_generated(path: Path, size: int, number: int | None = None) -> Frames:
    """The first frames of a generated video, or all, (number, size, size, 3), without their margin.

    Raises:
        BadInput: the file is missing, empty, damaged or too short.
    """
    try:
        if not path.is_file():  # whoever opens a pipe waits for ever
            raise Unusable("it is missing, or no plain file")
        with suppress(UnicodeEncodeError):  # decord cannot open a path that is no UTF-8
            if decord:
                return first_by_decord(path, size, number)
        indices = None if number is None else range(number)
        return frames(path, indices, stored_width(size), size)[:, :, :size]
    except Unusable as reason:
        raise BadInput(f"cannot read the video {path}: {reason}; replace or remove it") from None


def first_by_decord(path: Path, size: int, number: int | None) -> Frames:
    try:
        video = decord.VideoReader(str(path), width=stored_width(size), height=size, num_threads=1)
        if len(video) < (number or 1):
            raise Unusable(f"it has {len(video)} frames, a clip needs {number}")
        pictures: Frames = video.get_batch(range(number or len(video))).asnumpy()[:, :, :size]
    except (decord.DECORDError, RuntimeError, AssertionError, IndexError) as error:
        raise Unusable(f"missing, empty, damaged or cut off: {short_reason(error, path)}") from None
    return pictures


def measure(path: Path) -> tuple[Times, tuple[int, int], bool]:
    """Begin and end of each frame in seconds, (frames, 2); shown width and height; whether it is turned.

    It decodes all of the file.

    Raises:
        Unusable: the file is damaged, or frames that it promises are not there.
    """
    with open_video(path) as demuxed:
        packets = list(demuxed)
        times = visible_times(packets)
        decoded = decode_from(packets, [begin for begin, _ in times], 0)
        _, frame = next(decoded, (0, None))
        present = (frame is not None) + sum(1 for _ in decoded)
        unit = float(packets[0].time_base)
    sampled = np.linspace(0, len(times) - 1, min(SAMPLES, len(times))).round()
    if frame is None or (sampled >= present).sum() > SUBSTITUTES:
        raise Unusable("its container promises frames that are not there")
    filters, size = turns(frame), (frame.width, frame.height)
    return np.array(times) * unit, size[::-1] if TRANSPOSE in filters else size, bool(filters)
