"""decord and PyAV give the same frames, and the project works with either."""

import json
import os
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import command
from films import film
from test_kinetics import UPRIGHT_FROM_QUARTER, turned

from nlrepro.data import Frames, decoding, with_pyav
from nlrepro.data.generate import h264
from nlrepro.data.kinetics.facts import examine
from nlrepro.data.unusable import Unusable, gist

with_decord = pytest.importorskip("nlrepro.data.with_decord", exc_type=ImportError)

GOP = {"g": "7", "bf": "3", "sc_threshold": "0"}  # a key frame every 7 frames, up to three B-frames in a row
EVENLY = ("h264.mp4", "h264-60.mp4", "keys.mp4", "keys.mkv", "mpeg4.mkv", "half.mkv", "vp9.webm", "mpeg4.avi", "b-frames.avi")
OTHERS = ("uneven.mp4", "turned.mp4", "odd.webm")


def steps(frames: int = 40, size: tuple[int, int] = (48, 64)) -> list[Frames]:
    """Pictures (H, W, 3) whose grey is their number's."""
    return [np.full((*size, 3), 40 + 4 * i, np.uint8) for i in range(frames)]


def encoded(path: Path, codec: str, options: dict[str, str]) -> None:
    """A film of `steps`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in steps():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    film(folder / "h264.mp4")
    film(folder / "h264-60.mp4", rate=60)
    film(folder / "mpeg4.mkv", "mpeg4", rate=25)
    film(folder / "vp9.webm", "libvpx-vp9", rate=25)
    film(folder / "odd.webm", "libvpx-vp9", rate=25, size=(51, 37))
    film(folder / "mpeg4.avi", "mpeg4")
    film(folder / "uneven.mp4", times=np.cumsum([80 if i % 3 == 0 else 20 for i in range(40)]).tolist())
    for name in ("keys.mp4", "keys.mkv", "b-frames.avi"):
        encoded(folder / name, "libx264", GOP)
    encoded(folder / "av1.mp4", "libsvtav1", {"preset": "12", "svtav1-params": "keyint=7"})
    (folder / "turned.mp4").write_bytes(turned((folder / "h264.mp4").read_bytes(), UPRIGHT_FROM_QUARTER))
    whole = (folder / "mpeg4.mkv").read_bytes()
    (folder / "half.mkv").write_bytes(whole[: len(whole) // 2])
    return folder


def apart(one: Frames, other: Frames) -> int:
    """The largest difference of two values, of 255."""
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("name", [name for name in (*EVENLY, *OTHERS) if name != "b-frames.avi"])
@pytest.mark.parametrize("wanted", [None, [0, 1, 2], [5, 7, 8, 8], [3, 6, 9, 9, 9]])
def test_both_readers_give_the_same_pixels(films: Path, name: str, wanted: list[int] | None) -> None:
    width, height, _ = decoding.picture_size(films / name)
    size = (128, 128 * height // width)
    ours, theirs = (reader.frames(films / name, wanted, *size) for reader in (with_pyav, with_decord))
    assert apart(ours, theirs) == 0


def test_unscaled_pixels_of_odd_sizes_differ_in_their_chroma_alone(films: Path) -> None:
    ours, theirs = (reader.frames(films / "odd.webm", None, 51, 37).astype(float) for reader in (with_pyav, with_decord))
    assert 0 < np.abs(ours - theirs).mean() < 2
    assert ours[:, 20:].mean((1, 2, 3)) == pytest.approx(theirs[:, 20:].mean((1, 2, 3)), abs=0.5)  # grey has no chroma


def test_both_readers_give_the_generated_videos_as_they_are(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 40, 40, 3), np.uint8)
    (tmp_path / "a.mp4").write_bytes(h264(list(noise), (40, 40), "yuv444p", crf="12", preset="ultrafast"))
    ours, theirs = (reader.frames(tmp_path / "a.mp4", None, 40, 40) for reader in (with_pyav, with_decord))
    assert apart(ours, theirs) == 0
    assert np.abs(ours.astype(int) - noise).mean() < 10


@pytest.mark.parametrize("name", [*EVENLY, "odd.webm", "turned.mp4"])
def test_both_readers_give_the_same_times(films: Path, name: str) -> None:
    ours, theirs = with_pyav.frame_times(films / name), decoding.frame_times(films / name)
    assert ours - ours[0, 0] == pytest.approx(theirs - theirs[0, 0], abs=1e-5)


@pytest.mark.parametrize("name", ["keys.mp4", "keys.mkv", "b-frames.avi", "av1.mp4"])
def test_any_clip_is_the_frames_that_are_asked_for(films: Path, name: str) -> None:
    for first in range(0, 33, 4):
        wanted = [first, first + 1, first + 3, first + 7, first + 7]
        grey = decoding.frames(films / name, wanted, 64, 48).mean((1, 2, 3))
        assert grey == pytest.approx([40 + 4 * i for i in wanted], abs=1.9)


def cut(source: Path, path: Path, begin: int) -> None:
    """What `ffmpeg -ss -c copy` leaves: packets from the last key frame on, of which frames before `begin` are not shown."""
    with av.open(str(source)) as whole, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as part:
        stream = whole.streams.video[0]
        copy = part.add_stream_from_template(stream)
        assert stream.time_base
        for packet in list(whole.demux(stream))[begin // 7 * 7 : -1]:
            assert packet.pts is not None
            assert packet.dts is not None
            shift = round(begin / 30 / stream.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
            part.mux(packet)


@pytest.mark.parametrize("begin", [3, 10, 20])
def test_a_cut_video_begins_where_it_is_shown(films: Path, tmp_path: Path, begin: int) -> None:
    cut(films / "keys.mp4", tmp_path / "cut.mp4", begin)
    facts = examine(tmp_path, "cut.mp4")
    assert (facts.reason, facts.frames, facts.fps) == ("", 40 - begin, 30.0)
    for wanted in ([0, 1, 2], [3, 5, 7, 9], [9, 16, 19]):
        grey = decoding.frames(tmp_path / "cut.mp4", wanted, 64, 48).mean((1, 2, 3))
        assert grey == pytest.approx([40 + 4 * (begin + i) for i in wanted], abs=1.9)


def test_promised_frames_that_are_not_there_are_noticed(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(with_pyav, "numbered", lambda *asked, all=with_pyav.numbered: islice(all(*asked), 30))
    with pytest.raises(Unusable, match="promises frames that are not there"):
        with_pyav.frame_times(films / "h264.mp4")
    last = with_pyav.frames(films / "h264.mp4", [29, 31, 39], 64, 48)
    assert apart(last[1:], last[:1].repeat(2, 0)) == 0


@pytest.mark.parametrize("name", ["av1.mp4", "b-frames.avi"])
def test_what_decord_cannot_read_pyav_reads(films: Path, name: str) -> None:
    for read in (with_decord.frame_times, lambda path: with_decord.frames(path, None, 64, 48)):
        with pytest.raises(decoding.NoDecoder):
            read(films / name)
    facts = examine(films, name)
    assert (facts.reason, facts.frames, facts.fps, facts.variable) == ("", 40, 30.0, False)


def test_an_unknown_codec_and_strange_words_in_a_file_are_no_crash(films: Path, tmp_path: Path) -> None:
    whole = (films / "h264.mp4").read_bytes()
    (tmp_path / "unknown.mp4").write_bytes(whole.replace(b"avc1", b"zzzz"))
    (tmp_path / "latin.mp4").write_bytes(whole.replace(b"Lavf", b"\xef\xf1\xe4\xfc"))
    assert examine(tmp_path, "unknown.mp4").reason == "no decoder is known for its video"
    assert examine(tmp_path, "latin.mp4").frames == 40


def test_a_file_without_frames_is_named(films: Path, tmp_path: Path) -> None:
    whole = (films / "mpeg4.mkv").read_bytes()
    (tmp_path / "head.mkv").write_bytes(whole[: whole.index(b"\x1f\x43\xb6\x75")])  # up to its first cluster
    for reader in (with_pyav, decoding):
        for read in (reader.frame_times, lambda path, reader=reader: reader.frames(path, None, 64, 48)):
            with pytest.raises(Unusable):
                read(tmp_path / "head.mkv")


def test_a_video_that_is_too_short_or_gone_is_named_by_both_readers(films: Path, tmp_path: Path) -> None:
    for reader in (with_pyav, with_decord):
        with pytest.raises(Unusable, match="it has 40 frames, a clip needs 51"):
            reader.frames(films / "h264.mp4", [50], 64, 48)
        with pytest.raises(Unusable):
            reader.frames(tmp_path / "gone.mp4", [0], 64, 48)


def test_reasons_hold_nothing_that_differs_from_file_to_file() -> None:
    path = Path("/data/my videos/a.mp4")
    native = "stack\n[10:46:56] /src/video/video_reader.cc:151: Check failed: st_nb >= 0 (-1128613112 vs. 0) ERROR cannot find it"
    assert gist(RuntimeError(native), path) == "ERROR cannot find it"
    assert gist(RuntimeError(f"Error reading {path}..."), path) == "Error reading the file..."
    assert gist(RuntimeError("bad handle 0x7fde8b1f6e80"), path) == "bad handle"
    assert gist(ValueError(), path) == "ValueError"


@pytest.fixture
def without_decord(tmp_path: Path) -> dict[str, str]:
    """An environment whose processes, spawned ones too, cannot import decord."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['decord'] = None\n")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.rare
def test_without_decord_the_same_run_comes_out(tmp_path: Path, without_decord: dict[str, str]) -> None:
    records = []
    for place, environment in (("with", {}), ("without", without_decord)):
        made, results = tmp_path / place, tmp_path / place / "results"
        for verb in (("data", "make"), ("data", "check"), ("run", "r50-c2d", "--results", results)):
            done = command(*verb, "--profile", "smoke", "--data", made, **environment)
            assert done.status == 0, done.err
        records.append(json.loads(next(results.rglob("seed0.json")).read_text()))
    (one, other), readers = records, [record["made"]["versions"] for record in records]
    assert (one["metrics"], one["curve"]) == (other["metrics"], other["curve"])
    assert ["decord" in names for names in readers] == [True, False]
    assert readers[1]["av"] == av.__version__
