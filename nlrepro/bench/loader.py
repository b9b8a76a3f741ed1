"""Clips a second and core of the path for real videos, beside what decord can do at most, PyAV and PySlowFast's PyAV path.

The limit decodes what no reader can avoid: every frame from the last key frame before the clip to the clip's end, one after the
other, and keeps the clip's frames, without crop or batch.
"""

import argparse
import multiprocessing
import os
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from nlrepro.bench import pyslowfast
from nlrepro.bench.measure import device_name, in_turn, source
from nlrepro.bench.report import listed
from nlrepro.config import Clips
from nlrepro.data import Frames, with_pyav
from nlrepro.data.crops import ClipSample, Crop, cropped, scaled
from nlrepro.data.decoding import READER
from nlrepro.data.generate import h264
from nlrepro.data.kinetics.clips import FileClips
from nlrepro.data.kinetics.facts import examine
from nlrepro.data.videos import Tree
from nlrepro.files import write_atomic

GOPS = (12, 250)  # frames between key frames: dense ones, as some copies of Kinetics are kept, and x264's default
VIDEOS = 2  # of each kind
STARTS = 10  # clips of a video in a pass, from its begin on
VERSION = version(READER)
CROP, SIDES = 224, (256, 320)
# as Kinetics is usually kept, H.264 in mp4
WIDTH, HEIGHT, FRAMES = 340, 256, 300
NOISE = 4.0  # standard deviation, of 255: at x264's default quality a file takes 0.2 to 0.6 MB, as those of Kinetics do
KIND = Clips(frames=32, stride=2, classes=1, anywhere=True)


def texture(random: np.random.Generator) -> Frames:
    """Large and small blots, twice a frame's width and height."""
    coarse, fine = (random.integers(0, 256, (*size, 3), np.uint8) for size in ((24, 32), (HEIGHT // 2, WIDTH // 2)))
    large, small = (
        np.asarray(Image.fromarray(blots).resize((2 * WIDTH, 2 * HEIGHT), Image.Resampling.BICUBIC), np.float32)
        for blots in (coarse, fine)
    )
    scene: Frames = (0.75 * large + 0.25 * small).astype(np.uint8)
    return scene


def film(path: Path, gop: int, seed: int) -> Path:
    """A drifting texture with noise, which stands for a filmed scene; the same seed gives the same frames.

    At least every `gop`-th frame is a key frame.
    """
    random = np.random.default_rng([seed, gop])
    scene = texture(random)

    def pictures() -> Iterator[Frames]:
        for i in range(FRAMES):
            x, y = int(WIDTH / 2 + WIDTH / 3 * np.sin(i / 40 + seed)), int(HEIGHT / 2 + HEIGHT / 3 * np.cos(i / 55))
            picture = scene[y : y + HEIGHT, x : x + WIDTH] + random.normal(0, NOISE, (HEIGHT, WIDTH, 1))
            yield picture.clip(0, 255).astype(np.uint8)

    path.write_bytes(h264(pictures(), (HEIGHT, WIDTH), "yuv420p", g=str(gop), threads="1"))
    return path


def clips_of(folder: Path, videos: Sequence[str]) -> FileClips:
    tree = Tree(folder=folder, classes=("a",), videos=tuple(videos), labels=(0,) * len(videos))
    return FileClips(tree, [examine(folder, video) for video in videos], KIND)


def plain(clips: FileClips, sample: ClipSample) -> Frames:
    """The limit, for one clip at the videos' own size."""
    from nlrepro.data.with_decord import reader

    facts = clips.facts[sample.video]
    wanted = clips.wanted(facts, sample.where)
    path = clips.tree.folder / facts.video
    video = reader(path, facts.width, facts.height)
    at = max(key for key in video.get_key_indices() if key <= wanted[0])
    if at:
        video.seek(at)
    kept = []
    while at <= wanted[-1]:
        frame = video.next()
        if at in wanted:
            kept.append(frame.asnumpy())
        at += 1
    return np.stack(kept)  # (T, H, W, 3)


def by_pyav(clips: FileClips, sample: ClipSample) -> Frames:
    """The clip as it is read where decord is not installed."""
    facts, crop = clips.facts[sample.video], sample.crop or Crop(HEIGHT)
    size = scaled(facts.width, facts.height, crop.side)
    return cropped(with_pyav.frames(clips.tree.folder / facts.video, clips.wanted(facts, sample.where), *size), crop)


def unpacked(load: Callable[..., object], asked: Sequence[Any]) -> object:
    return load(*asked)


def passes(clips: FileClips, rivals: Path | None) -> dict[str, Callable[[], object]]:
    """A name, and all clips of a pass, one after the other."""
    places = [(video, place) for video in range(len(clips)) for place in range(STARTS)]

    def samples(side: int) -> list[ClipSample]:
        return [ClipSample(video, place / STARTS, Crop(side, CROP)) for video, place in places]

    def through(load: Callable[[Any], object], asked: Sequence[Any]) -> None:
        for sample in asked:
            load(sample)

    def ours(sample: ClipSample) -> object:
        return clips.__getitems__([sample])

    limit = {"limit": partial(through, partial(plain, clips), samples(SIDES[0]))} if READER == "decord" else {}
    known: dict[str, Callable[[], object]] = {
        "ours": partial(through, ours, samples(SIDES[0])),
        **limit,
        "ours, by PyAV": partial(through, partial(by_pyav, clips), samples(SIDES[0])),
        "ours, shorter side 320": partial(through, ours, samples(SIDES[1])),
    }
    for name, load in pyslowfast.loaders(rivals, SIDES, CROP).items():
        asked = [(clips.tree.folder / clips.tree.videos[video], place, STARTS) for video, place in places]
        known[name] = partial(through, partial(unpacked, load), asked)
    return known


def measured(folder: Path, gop: int, rivals: Path | None) -> list[dict[str, Any]]:
    videos = [film(folder / f"gop{gop}-{seed}.mp4", gop, seed).name for seed in range(VIDEOS)]
    clips = clips_of(folder, videos)
    taken = in_turn(passes(clips, rivals))
    count = VIDEOS * STARTS
    return [
        {"gop": gop, "code": name, "clip_ms": 1e3 * s / count, "clips_per_s": count / s, "speed_ratio": taken["ours"] / s}
        for name, s in taken.items()
    ]


def growth(folder: Path, count: int) -> dict[str, float]:
    """Largest resident MiB of a process after a tenth of `count` clips, and after all."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=grow, args=(folder, count, send))
    child.start()
    send.close()
    try:
        tenth, all_of_them = receive.recv(), receive.recv()
    finally:
        child.join()
    return {"clips": count, "tenth_mib": tenth, "all_mib": all_of_them}


def grow(folder: Path, count: int, send: Connection) -> None:
    unit = 2**20 if sys.platform == "darwin" else 2**10
    clips = clips_of(folder, sorted(path.name for path in folder.glob("*.mp4")))
    random = np.random.default_rng(0)
    for i in range(1, count + 1):
        side = int(random.integers(SIDES[0], SIDES[1] + 1))
        clips.__getitems__([ClipSample(i % len(clips), random.random(), Crop(side, CROP))])
        if i in (count // 10, count):
            send.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def sentences(frame: pd.DataFrame, memory: dict[str, float]) -> str:
    """Clips a second, ratios to limit and rival, and memory."""
    speed = frame.pivot_table(index="gop", columns="code", values="clips_per_s", sort=False)

    def ratios(other: str) -> str:
        return listed([f"{ratio:.2f}" for ratio in speed["ours"] / speed[other]])

    rates = listed([f"{rate:.0f}" for rate in speed["ours"]])
    gops = listed([str(gop) for gop in speed.index])
    names = {"limit": "plain sequential decord decoding", "ours, by PyAV": "ours by PyAV"}
    rivals = [name for name in map(str, speed) if name in names or name.startswith("PySlowFast")]
    against = (f"{ratios(name)} times {'that' if i else 'the rate'} of {names.get(name, name)}" for i, name in enumerate(rivals))
    grown = memory["all_mib"] - memory["tenth_mib"]
    return (
        f"- One core loads {rates} clips a second (32 of 300 frames of 340 x 256, key frames every {gops} frames):"
        f" {', '.join(against)}.\n"
        f"- Over {memory['clips']:,.0f} clips the memory of a loading process peaks at {memory['all_mib']:.0f} MiB,"
        f" {grown:.0f} MiB above its peak after the first tenth."
    )


def write(frame: pd.DataFrame, memory: dict[str, float], told: str, path: Path) -> str:
    """`<path>.csv`, `<path>-growth.csv` and `<path>.md`; returns the sentences."""
    frame = frame.round(3)
    memory = {name: round(value, 1) for name, value in memory.items()}
    said = sentences(frame, memory)
    write_atomic(path.with_name(f"{path.name}.csv"), frame.to_csv(index=False))
    write_atomic(path.with_name(f"{path.name}-growth.csv"), pd.DataFrame([memory]).to_csv(index=False))
    heading = f"Clips of {KIND.frames} frames, crop {CROP}; speed ratios are multiples of our clips a second:"
    text = "\n\n".join([told, said, heading, str(frame.to_markdown(index=False))])
    write_atomic(path.with_name(f"{path.name}.md"), text + "\n")
    return said


def bench(arguments: argparse.Namespace, folder: Path) -> str:
    """Measure on one core, write loader-<machine>-<reader><version>.md and .csv, and return the sentences for the README."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if cores:
        os.sched_setaffinity(0, {max(cores)})  # decord's readers have threads of their own
    try:
        with TemporaryDirectory() as place:
            rows = [row for gop in GOPS for row in measured(Path(place), gop, arguments.rivals)]
            for row in rows:
                print(f"key frames every {row['gop']}: {row['code']} {row['clip_ms']:.1f} ms a clip", flush=True)
            memory = growth(Path(place), arguments.clips)
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
    told = source(arguments.rivals, "cpu", f"{READER} {VERSION}")
    return write(pd.DataFrame(rows), memory, told, folder / f"loader-{device_name('cpu')}-{READER}{VERSION}")
