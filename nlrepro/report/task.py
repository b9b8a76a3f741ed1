"""The task of the generated videos in one picture: a video of each kind, frame by frame, and its answer."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nlrepro.config import Generator
from nlrepro.data import Frames
from nlrepro.data.synthetic import card_video
from nlrepro.report.figures import WIDTH, styled

STEP = 2  # every second frame is shown


def first_of_each(task: Generator) -> dict[str, tuple[Frames, str]]:
    """The first training video of each kind (T, H, W, 3), and its class."""
    found: dict[str, tuple[Frames, str]] = {}
    for index in range(task.videos["train"]):
        video, answer, kind = card_video(task, "train", index)
        found.setdefault(kind, (video, answer))
        if len(found) == len(task.kinds):
            break
    return {kind: found[kind] for kind in task.kinds if kind in found}


def draw_task(task: Generator) -> Figure:
    """A row a kind, a column a frame; a short clip has the frames with an edge."""
    examples = first_of_each(task)
    frames = range(0, task.frames, STEP)
    with styled():
        figure = Figure(figsize=(WIDTH, 0.3 + len(examples) * WIDTH / (len(frames) + 2.6)))
        grid = figure.subplots(len(examples), len(frames), squeeze=False)
        figure.subplots_adjust(left=0.15, right=0.88, top=0.92, bottom=0.01, wspace=0.06, hspace=0.06)
        for row, (kind, (video, answer)) in zip(grid, examples.items(), strict=True):
            for axes, frame in zip(row, frames, strict=True):
                _show(axes, video[frame], task.shown[0] <= frame < task.shown[1])
            row[0].set_ylabel(kind, rotation=0, ha="right", va="center", weight="bold")
            row[-1].annotate(answer, (1.3, 0.5), xycoords="axes fraction", va="center", fontsize=11)
        for axes, frame in zip(grid[0], frames, strict=True):
            axes.set_title(f"frame {frame}" if frame == 0 else f"{frame}", fontsize=7)
        grid[0][-1].annotate("answer", (1.1, 1.06), xycoords="axes fraction", fontsize=7)
    return figure


def _show(axes: Axes, picture: Frames, edged: bool) -> None:
    axes.imshow(picture, interpolation="none")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(edged)
