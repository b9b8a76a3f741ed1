"""Frames and facts of video files: a clip is the frames that are asked for, an unusable file has a reason."""

import os
import shutil
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from films import audio, film, troublesome, write_video
from PIL import ExifTags, Image

from nlrepro.data import decode
from nlrepro.data.decode import Unusable, frames, measure, read_generated
from nlrepro.data.facts import examine, examine_all
from nlrepro.data.synthetic.write import encode_small
from nlrepro.files import BadInput

GOP = {"g": "7", "bf": "3", "sc_threshold": "0"}  # a key frame every 7 frames, up to three B-frames in a row
SHARP = {"b": "4000000"}  # bits a second


def grey(width: int = 64, height: int = 48) -> npt.NDArray[np.uint8]:
    """40 frames as grey as their numbers, (T, H, W, 3)."""
    return np.full((40, height, width, 3), (30 + 5 * np.arange(40)).reshape(-1, 1, 1, 1), np.uint8)


KINDS: dict[str, dict[str, Any]] = {
    "h264-60.mp4": {"rate": 60},
    "keys.mp4": {"options": GOP},
    "keys.mkv": {"rate": 25, "options": GOP},
    "b-frames.avi": {"options": GOP},
    "ten-bits.mp4": {"pixels": "yuv420p10le", "options": GOP},
    "mpeg4.avi": {"codec": "mpeg4", "pictures": grey(51, 37), "options": SHARP},
    "mpeg4.mkv": {"codec": "mpeg4", "rate": 25, "options": SHARP},
    "mpeg4-b.mp4": {"codec": "mpeg4", "options": SHARP | {"g": "7", "bf": "2"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "keyint=7:log-level=none"}},
    "vp8.webm": {"codec": "libvpx", "rate": 25, "options": {"deadline": "realtime"}},
    "vp9.webm": {"codec": "libvpx-vp9", "pictures": grey(51, 37), "options": {"deadline": "realtime"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12", "svtav1-params": "keyint=7"}},
    "png.mp4": {"codec": "png", "pictures": grey(96, 64), "pixels": "rgb24"},
    "rgb.mp4": {"codec": "libx264rgb", "pictures": grey(96, 64), "pixels": "rgb24"},
}
CLOCKWISE, UNCHANGED = (0, 1, -1, 0), np.asarray


def turned(mp4: bytes, matrix: Sequence[float] = CLOCKWISE) -> bytes:
    """The file with a display matrix in its track header: (x, y) is shown at (ax + cy, bx + dy)."""
    a, b, c, d = (round(n * 65536) for n in matrix)
    at = mp4.index(b"tkhd") + 4 + 40
    return mp4[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + mp4[at + 36 :]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of each kind that can be used."""
    folder = tmp_path_factory.mktemp("files")
    for name, how in KINDS.items():
        write_video(folder / name, **{"pictures": grey(), **how})
    film(folder / "h264.mp4")
    for name in ("uneven.mp4", "uneven.mkv"):
        film(folder / name, times=np.cumsum([80 if i % 3 == 0 else 20 for i in range(40)]).tolist())
    (folder / "turned.mp4").write_bytes(turned((folder / "h264.mp4").read_bytes()))
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    (folder / "generated.mp4").write_bytes(encode_small(noise, 12))
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_any_clip_is_the_frames_that_are_asked_for(files: Path, name: str) -> None:
    facts, fps = examine(files, name), KINDS[name].get("rate", 30)
    _, height, width, _ = KINDS[name].get("pictures", grey()).shape
    assert (facts.reason, facts.frames, facts.width, facts.height) == ("", 40, width, height)
    assert not facts.variable
    assert facts.fps == pytest.approx(fps, rel=2e-3)  # Matroska's times are in ms
    state = (files / name).stat()
    assert (facts.bytes, facts.mtime_ns) == (state.st_size, state.st_mtime_ns)
    for first in range(0, 33, 4):
        indices = [first, first + 1, first + 3, first + 7, first + 7]
        means = frames(files / name, indices, width, height).mean((1, 2, 3))
        assert means == pytest.approx([30 + 5 * i for i in indices], abs=2.4)


@pytest.mark.parametrize(
    "name", ["generated.mp4", "h264.mp4", "mpeg4.mkv", "vp9.webm", "uneven.mp4", "turned.mp4"]
)
def test_frames_that_are_scaled_are_decords(files: Path, name: str) -> None:
    """Generated videos are read by PyAV where decord is not installed."""
    decord = pytest.importorskip("decord")
    _, (width, height), _ = measure(files / name)
    for size in ((32, 32 * height // width), (128, 128 * height // width)):
        video = decord.VideoReader(str(files / name), width=size[0], height=size[1])
        expected = video.get_batch(range(40)).asnumpy().astype(int)
        assert np.abs(frames(files / name, None, *size) - expected).max() <= 1  # of 255


@pytest.mark.parametrize("begin", [3, 10, 20])
def test_a_cut_video_begins_where_it_is_shown(files: Path, tmp_path: Path, begin: int) -> None:
    """`ffmpeg -ss -c copy` keeps packets from the last key frame on; frames before `begin` are not shown."""
    path = tmp_path / "cut.mp4"
    with (
        av.open(str(files / "keys.mp4")) as source,
        av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as part,
    ):
        stream = source.streams.video[0]
        copy = part.add_stream_from_template(stream)
        shift = round(begin / 30 / stream.time_base)
        for packet in list(source.demux(stream))[begin // 7 * 7 : -1]:
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
            part.mux(packet)
    facts = examine(tmp_path, "cut.mp4")
    assert (facts.reason, facts.frames, facts.fps) == ("", 40 - begin, 30.0)
    for indices in ([0, 1, 2], [3, 5, 7, 9], [9, 16, 19]):
        means = frames(path, indices, 64, 48).mean((1, 2, 3))
        assert means == pytest.approx([30 + 5 * (begin + i) for i in indices], abs=2.4)


def test_promised_frames_that_are_not_there_are_noticed(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    all_frames = decode.decode_from
    monkeypatch.setattr(decode, "decode_from", lambda *arguments: islice(all_frames(*arguments), 30))
    with pytest.raises(Unusable, match="promises frames that are not there"):
        measure(files / "h264.mp4")
    last = frames(files / "h264.mp4", [29, 31, 39], 64, 48)
    assert np.array_equal(last[1:], last[:1].repeat(2, 0))


@pytest.mark.parametrize("reader", ["decord", "av"])
def test_unusable_generated_videos_are_named_in_one_line(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    if reader == "decord":
        pytest.importorskip("decord")
    else:
        monkeypatch.setattr(decode, "decord", None)
    assert read_generated(files / "generated.mp4", 32, 8).shape == (8, 32, 32, 3)
    odd = shutil.copy(files / "generated.mp4", tmp_path / os.fsdecode(b"caf\xe9 [1] a:b.mp4"))
    assert read_generated(odd, 32).shape == (40, 32, 32, 3)
    with pytest.raises(BadInput, match=r"generated.mp4: it has 40 frames, a clip needs 41"):
        read_generated(files / "generated.mp4", 32, 41)
    path, content = tmp_path / "video.mp4", (files / "generated.mp4").read_bytes()
    for damaged in (b"", b"not a video\n" * 50, content[: len(content) // 2], content[:-100], audio()):
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match=r"^cannot read the video .*/video.mp4: [^\n]*$"):
            read_generated(path, 32, 3)
    with pytest.raises(BadInput, match=r"nowhere.mp4"):
        read_generated(tmp_path / "nowhere.mp4", 32, 1)


@pytest.mark.parametrize("reader", ["decord", "av"])
def test_the_margin_of_a_generated_video_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    if reader == "av":
        monkeypatch.setattr(decode, "decord", None)
    grey = np.full((8, 48, 48, 3), 90, np.uint8)
    grey[:, :, 40:] = 200
    (tmp_path / "video.mp4").write_bytes(encode_small(grey, 12))
    assert examine(tmp_path, "video.mp4").width == 64
    margin = frames(tmp_path / "video.mp4", None, 64, 48)[:, :, 48:].astype(int)
    assert np.abs(margin - 90).max() <= 2
    decoded = read_generated(tmp_path / "video.mp4", 48).astype(int)
    assert decoded.shape == grey.shape
    assert np.abs(decoded - grey).max() <= 2


@pytest.mark.parametrize("name", ["uneven.mp4", "uneven.mkv"])
def test_a_variable_rate_is_noted_and_its_mean_measured(files: Path, name: str) -> None:
    facts = examine(files, name)
    assert (facts.reason, facts.variable, facts.frames) == ("", True, 40)
    assert facts.fps == pytest.approx(25, abs=1)


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        (CLOCKWISE, lambda x: np.rot90(x, -1)),
        ((0, -1, 1, 0), np.rot90),
        ((-1, 0, 0, -1), lambda x: x[::-1, ::-1]),
        ((-1, 0, 0, 1), lambda x: x[:, ::-1]),
        ((1, 0, 0, -1), lambda x: x[::-1]),
        ((0, 1, 1, 0), lambda x: x.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda x: x[::-1, ::-1].swapaxes(0, 1)),
        ((-2, 0.003, -0.003, 2), lambda x: x[:, ::-1]),  # scaled, and turned by 0.1 degrees
        ((0, 0, 0, 0), UNCHANGED),
        ((0.707, 0.707, -0.707, 0.707), None),
        ((1, 0, 0, 0), None),
        ((0, 1, 0, 0), None),
    ],
)
@pytest.mark.parametrize("codec", ["png", "libx264"])
def test_a_video_has_the_size_and_the_pixels_that_its_display_matrix_says(
    tmp_path: Path, matrix: Sequence[float], shown: Callable[[Any], Any] | None, codec: str
) -> None:
    """As ffmpeg's command shows it: turned or mirrored."""
    pictures, path = grey(), tmp_path / "a.mp4"
    pictures[:, :16, :16] = 250  # at the upper left
    write_video(path, pictures, codec, pixels="rgb24" if codec == "png" else "yuv420p")
    path.write_bytes(turned(path.read_bytes(), matrix))
    facts = examine(tmp_path, "a.mp4")
    if not shown:
        assert facts.reason.startswith("its display matrix is no turn by quarters")
        with pytest.raises(Unusable, match="its display matrix"):
            frames(path, [0], 64, 48)
        return
    height, width, _ = shown(pictures[0]).shape
    assert (facts.reason, facts.width, facts.height) == ("", width, height)
    assert facts.turned is (shown is not UNCHANGED)
    picture = frames(path, [3], width, height)[0].astype(int)
    assert np.abs(picture - shown(pictures[3])).mean() < 3


def write_stills(path: Path, jpegs: Sequence[bytes]) -> None:
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for i, jpeg in enumerate(jpegs):
            packet = av.Packet(jpeg)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, i, i, Fraction(1, 30)
            file.mux(packet)


def test_frames_whose_size_changes_midway_are_whole(tmp_path: Path) -> None:
    """Scaled to the first one's size, as by ffmpeg's command; also where they are turned."""
    jpegs, path = [], tmp_path / "a.mp4"
    for size in ((64, 48), (192, 96)):
        picture = Image.new("RGB", size)
        picture.paste((250, 250, 250), (size[0] // 2, 0, *size))  # the right half
        picture.save(jpeg := BytesIO(), "jpeg")
        jpegs += 3 * [jpeg.getvalue()]
    write_stills(path, jpegs)
    path.write_bytes(turned(path.read_bytes()))
    assert examine(tmp_path, "a.mp4").reason == ""
    rows = frames(path, range(6), 48, 64).mean((2, 3))  # (T, H)
    assert rows[:, :30].max() < 20
    assert rows[:, 34:].min() > 230


def test_a_picture_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    """Cameras' Motion JPEG, whose frames have more side data than PyAV knows."""
    picture, jpeg, exif = Image.new("RGB", (64, 48)), BytesIO(), Image.Exif()
    picture.paste((250, 250, 250), (0, 0, 16, 16))
    exif[ExifTags.Base.Orientation] = 4  # upside down, mirrored
    picture.save(jpeg, "jpeg", exif=exif)
    write_stills(tmp_path / "a.avi", 2 * [jpeg.getvalue()])
    assert examine(tmp_path, "a.avi").turned
    left = frames(tmp_path / "a.avi", [0], 64, 48)[0, :, 8].mean(1)
    assert left[40] > 200 > left[8]


def test_each_kind_of_broken_file_has_its_reason(files: Path, tmp_path: Path) -> None:
    h264, mkv = (files / "h264.mp4").read_bytes(), (files / "mpeg4.mkv").read_bytes()
    index_first = film(tmp_path / "first.mp4", movflags="faststart").read_bytes()
    for name, content, words in (
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"not a video\n" * 50, "not a video"),
        ("noise.mkv", np.random.default_rng(0).bytes(5000), "not a video"),
        ("sound.mp4", audio(), "no video stream"),
        ("one.mp4", film(tmp_path / "one.mp4", frames=1).read_bytes(), "one frame"),
        ("truncated.mp4", h264[: len(h264) // 2], "cut off"),
        ("front.mp4", index_first[: -len(index_first) // 4], "cut off"),
        ("truncated.avi", (files / "mpeg4.avi").read_bytes()[:3000], "cut off"),
        ("head.mkv", mkv[: mkv.index(b"\x1f\x43\xb6\x75")], "cut off"),  # up to its first cluster
        ("unknown.mp4", h264.replace(b"avc1", b"zzzz"), "no decoder is known"),
    ):
        (tmp_path / name).write_bytes(content)
        facts = examine(tmp_path, name)
        assert words in facts.reason, (name, facts)
        assert "\n" not in facts.reason
    (tmp_path / "link.mp4").symlink_to(tmp_path / "nowhere")
    assert "link to nowhere" in examine(tmp_path, "link.mp4").reason


def test_odd_files_are_read_as_what_they_are(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    h264, mkv = (files / "h264.mp4").read_bytes(), (files / "mpeg4.mkv").read_bytes()
    contents = {
        "vp9.mp4": (files / "vp9.webm").read_bytes(),
        "h264.avi": h264,
        "spaces, \u00fcml\u00e4uts.webm": mkv,
        "pipe:0 [1] %03d.mp4": h264,
        "latin.mp4": h264.replace(b"Lavf", b"\xef\xf1\xe4\xfc"),
        "half.mkv": mkv[: len(mkv) // 2],
    }
    facts = {}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        facts[name] = examine(Path(), name)
    half = facts.pop("half.mkv")  # as long as what it holds
    assert {(each.reason, each.frames) for each in facts.values()} == {("", 40)}
    assert (half.reason, 5 < half.frames < 30) == ("", True)
    assert half.fps == pytest.approx(25, rel=2e-2)


def test_videos_whose_clips_would_grow_to_gigabytes_are_refused(tmp_path: Path) -> None:
    for size in ((8, 90), (160, 2), (16, 396), (1160, 144), (14, 14)):
        film(tmp_path / "a.mp4", "mpeg4", size=size, frames=3)
        assert examine(tmp_path, "a.mp4").reason.startswith(f"{size[0]} x {size[1]} pixels: the shorter side")
    for size in ((176, 144), (384, 160), (16, 16), (128, 16)):
        film(tmp_path / "a.mp4", "mpeg4", size=size, frames=3)
        assert examine(tmp_path, "a.mp4").usable


def test_no_file_stops_the_others(files: Path, tmp_path: Path) -> None:
    ended = "the process that read it crashed, or took more than 0.5 seconds"
    reasons = {
        "hang.mp4": ended,
        "crash.mp4": ended,
        "fail.mp4": "OSError: the file is out of reach",
        "empty.mp4": "the file is empty, no plain file, or a link to nowhere",
        **{"1.mp4": "", "2.mp4": "", "3.mp4": ""},
    }
    (tmp_path / "a").mkdir()
    for name, reason in reasons.items():
        (tmp_path / "a" / name).write_bytes(b"" if reason else (files / "h264.mp4").read_bytes())
    results = list(examine_all(tmp_path / "a", reasons, 2, troublesome, limit=0.5))
    assert {facts.video: facts.reason for facts in results} == reasons
    assert len(results) == len(reasons)
