"""The generated video task behind `mini` and `smoke`: which digit's ink matches the card?

Two handwritten digits (scikit-learn's optdigits) drift left or right, one in red ink, one in green, each for a part of the
video. Somewhere, sometime, a small solid card in one of the inks appears. The label is the digit whose ink matches the card;
for the `directed` digits the direction of motion belongs to the label. Appearance alone settles about half of the videos,
direction needs local motion, and the match of digit and card needs a comparison of distant positions in space and time.

Everything is a function of (generator settings, split, index). Digit images of one split are never seen in another.
"""

import io
import json
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from nlrepro.errors import BadInput
from nlrepro.files import write_whole
from nlrepro.lock import sole
from nlrepro.orphans import die_with_parent
from nlrepro.profile import Generator

Frames = npt.NDArray[np.uint8]  # (T, H, W, 3) RGB
Floats = npt.NDArray[np.float32]
INKS = ((230, 40, 40), (40, 200, 60))  # red, green
FOLDS = ("train", "train", "train", "val", "test")  # of every five images of a digit


@cache
def digit_images(digit: int, fold: str, side: int) -> Floats:
    """Handwritten images of one digit as ink coverage in [0, 1], (number, side, side); folds share no image."""
    from PIL import Image
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    of_digit = images[labels == digit].reshape(-1, 8, 8) / 16.0
    of_fold = [image for i, image in enumerate(of_digit) if FOLDS[i % len(FOLDS)] == fold]
    pictures = [Image.fromarray((255 * image).astype(np.uint8)) for image in of_fold]
    return np.stack([np.asarray(p.resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255 for p in pictures])


def fold_of(split: str) -> str:
    """The fold of digit images that a split draws from: "stills-train" -> "train"."""
    return split.removeprefix("stills-")


def random_of(task: Generator, split: str, index: int) -> np.random.Generator:
    """The random numbers of one video: the same in every process, on every machine."""
    return np.random.default_rng([task.seed, zlib.crc32(split.encode()), index])


def paint(frame: Floats, coverage: Floats, ink: tuple[int, int, int], x: float, y: float) -> None:
    """Blend an inked sprite into a (H, W, 3) frame in place, its upper left corner at (x, y), cut off at the borders."""
    height, width = frame.shape[:2]
    left, top, side = round(x), round(y), len(coverage)
    rows = slice(max(top, 0), min(top + side, height))
    columns = slice(max(left, 0), min(left + side, width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    alpha = coverage[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left, None]
    frame[rows, columns] += alpha * (np.asarray(ink, np.float32) - frame[rows, columns])


def paint_drifting_digit(
    video: Floats,
    task: Generator,
    rng: np.random.Generator,
    digit: int,
    fold: str,
    ink: int,
    direction: int,
    visible: int,
) -> None:
    """Paint a digit that drifts in `direction` (-1 left, 1 right) for `visible` frames; its path's middle lies in the frame."""
    images = digit_images(digit, fold, task.sprite)
    image = images[rng.integers(len(images))]
    start = rng.integers(task.frames - visible + 1)
    middle, y = rng.uniform(0, task.size - task.sprite, 2)
    speed = direction * rng.uniform(*task.speed)
    for t in range(visible):
        paint(video[start + t], image, INKS[ink], middle + speed * (t - (visible - 1) / 2), y)


def draw_inks(task: Generator, rng: np.random.Generator, digits: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Which of the two digits is red (0) and which is green (1).

    The first half of the task's digits favour red and the others green: each takes its favourite with probability
    `favourite`, given that the two differ. So a card says a little about the digit even before the two are matched.
    """
    reddish = task.digits[: len(task.digits) // 2]
    red = [task.favourite if digit in reddish else 1 - task.favourite for digit in digits]
    first_is_red, first_is_green = red[0] * (1 - red[1]), (1 - red[0]) * red[1]
    return (0, 1) if rng.random() * (first_is_red + first_is_green) < first_is_red else (1, 0)


def background(task: Generator, rng: np.random.Generator) -> Floats:
    """A video of one random colour, (T, H, W, 3)."""
    return np.broadcast_to(rng.uniform(60, 200, 3), (task.frames, task.size, task.size, 3)).astype(np.float32)


def finish(video: Floats, task: Generator, rng: np.random.Generator) -> Frames:
    """Add pixel noise and round to bytes."""
    noisy = video + rng.standard_normal(video.shape, np.float32) * task.noise
    return noisy.clip(0, 255).astype(np.uint8)


def card_video(task: Generator, split: str, index: int) -> tuple[Frames, str]:
    """Video `index` of a split and its class name: "3", or "7-left" and "7-right" for a directed digit."""
    rng = random_of(task, split, index)
    video = background(task, rng)
    digits = rng.choice(task.digits, 2, replace=False)
    directions = rng.choice([-1, 1], 2)
    inks = draw_inks(task, rng, digits)
    for digit, direction, ink in zip(digits, directions, inks, strict=True):
        paint_drifting_digit(
            video,
            task,
            rng,
            digit=int(digit),
            fold=fold_of(split),
            ink=int(ink),
            direction=int(direction),
            visible=int(rng.integers(task.visible[0], task.visible[1] + 1)),
        )
    chosen = rng.integers(2)
    visible = rng.integers(task.card_visible[0], task.card_visible[1] + 1)
    start = rng.integers(task.frames - visible + 1)
    x, y = rng.uniform(0, task.size - task.card, 2)
    for t in range(start, start + visible):
        paint(video[t], np.ones((task.card, task.card), np.float32), INKS[inks[chosen]], x, y)
    digit = int(digits[chosen])
    suffix = {-1: "-left", 1: "-right"}[int(directions[chosen])] if digit in task.directed else ""
    return finish(video, task, rng), f"{digit}{suffix}"


def still_video(task: Generator, split: str, index: int) -> tuple[Frames, str]:
    """A video of one drifting digit, for the warm start on its single frames; its class is digit and ink: "3-red"."""
    rng = random_of(task, split, index)
    video = background(task, rng)
    digit, ink, direction = int(rng.choice(task.digits)), int(rng.integers(len(INKS))), int(rng.choice([-1, 1]))
    slow = task.sprite / task.frames  # stays in the frame all the time
    images = digit_images(digit, fold_of(split), task.sprite)
    image = images[rng.integers(len(images))]
    x, y = rng.uniform(0, task.size - task.sprite, 2)
    for t in range(task.frames):
        paint(video[t], image, INKS[ink], x + direction * slow * (t - task.frames / 2), y)
    return finish(video, task, rng), f"{digit}-{('red', 'green')[ink]}"


def encode(frames: Frames, task: Generator) -> bytes:
    """H.264 in an mp4 container, each pixel upscaled so that ink colours survive chroma subsampling."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        side = task.size * task.upscale
        stream = container.add_stream("libx264", rate=30, options={"crf": str(task.crf), "preset": "ultrafast"})
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for frame in frames.repeat(task.upscale, 1).repeat(task.upscale, 2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def write_video(index: int, *, task: Generator, root: Path, split: str) -> None:
    """Write one video to <root>/<split>/<class>/<index>.mp4."""
    draw: Callable[[Generator, str, int], tuple[Frames, str]] = still_video if split.startswith("stills-") else card_video
    frames, name = draw(task, split, index)
    write_whole(root / split / name / f"{index:05d}.mp4", encode(frames, task), sync=False)


def make(task: Generator, root: Path, jobs: int) -> None:
    """Write the videos of all splits that are missing below `root`, in `jobs` processes, with a progress bar.

    Empty files, which a loss of power may leave, count as missing. A second process waits for the first.

    Raises:
        BadInput: `root` holds videos of other settings.
    """
    settings = json.dumps(asdict(task), indent=1)
    note = root / "generator.json"
    if note.is_file() and note.read_text() != settings:
        raise BadInput(f"{root} holds videos of other generator settings; remove that folder and run `data make` again")
    write_whole(note, settings)
    with sole(root.with_name(f".{root.name}.lock"), f"makes the videos in {root}"):
        missing = {
            split: sorted(set(range(number)) - {int(path.stem) for path in (root / split).glob("*/*.mp4") if path.stat().st_size})
            for split, number in task.videos.items()
        }
        write_videos(task, root, missing, jobs)


def write_videos(task: Generator, root: Path, wanted: dict[str, list[int]], jobs: int) -> None:
    """The videos of these numbers of each split."""
    with (
        ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=die_with_parent) as pool,
        tqdm(total=sum(map(len, wanted.values())), desc=f"videos in {root}", unit=" videos", mininterval=1) as bar,
    ):
        for split, indices in wanted.items():
            for _ in pool.map(partial(write_video, task=task, root=root, split=split), indices, chunksize=32):
                bar.update()
