"""With what to run: a `Profile` holds all data that differ between `smoke`, `mini` and `paper`, read from a TOML file
(nlrepro/profiles/).

Nothing in those is code: the three profiles take the same path through the program.
"""

from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from nlrepro.spec import Clip, RunSpec

Architecture = Literal["text", "release"]  # where the paper's text and its released code differ (nets/)
Sampling = Literal["paper", "caffe2", "pyslowfast", "mmaction2"]  # of the clips of a test (data/kinetics/sampling.py)
Averaged = Literal["probabilities", "scores"]  # of the classes: after the softmax, or before it

STRICT = ConfigDict(extra="forbid")
AtLeastOne = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Pixel = float | tuple[float, float, float]  # of 0 to 255: one value, or those of red, green and blue
Kind = Literal["near", "far", "later", "far-later", "outside"]  # of generated videos (nlrepro/data/synthetic.py)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Clips:
    """Which videos, and how a clip is cut from them: `frames` frames, every `stride`-th of the video."""

    frames: int
    stride: int = 1
    classes: int
    anywhere: bool  # training clips start anywhere in the video; else they are its middle
    train: str = "train"  # names of the splits
    val: str = "val"
    test: str = "test"

    @property
    def span(self) -> int:
        """Number of consecutive video frames that a clip covers."""
        return (self.frames - 1) * self.stride + 1


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Generator:
    """The generated video task (nlrepro/data/synthetic.py): sizes in pixels, times in frames."""

    seed: int
    videos: dict[str, int]  # split -> number of videos
    kinds: dict[Kind, float]  # kind -> its share
    size: int
    frames: int
    shown: tuple[int, int]  # the frames that a short clip shows: first, and past the last
    digits: tuple[int, ...]
    digit: int  # side
    card: int  # side
    card_frames: int  # that the card is visible for, where it shares the digits' frames
    far: float  # least distance between the centres of card and digit, where they are far apart
    tint: float  # of the grey background, of 255
    noise: float  # standard deviation, of 255
    crf: int  # H.264 constant rate factor


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Pretraining:
    """How the shipped nets that short clips start from were trained: tagging of drawn stills (nlrepro/train/pretraining.py)."""

    seed: int  # of the initial weights and of the stills
    steps: int
    batch: int
    lr: float  # peak
    weight_decay: float
    stills: int  # of validation
    bar: float  # percent of validation stills all of whose tags are right, which a net must reach to be used


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Data:
    """Where videos come from and how a clip is cut from them."""

    root: str  # folder below the data folder, or an absolute path
    size: int  # height and width of a clip, pixels
    cached: bool  # decode every video once into a memory-mapped array; else decode each clip when it is needed
    views: int  # clips of a test video over which the softmax scores are averaged
    mean: Pixel = 114.75
    std: Pixel = 57.375


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Geometry:
    """Widths and strides of the net; (time, height, width) triples. Table 1 of the paper is the `paper` profile."""

    width: int
    stem_kernel: tuple[int, int, int]  # of I3D; C2D's has no extent in time
    stem_stride: tuple[int, int, int]
    pool1_kernel: tuple[int, int, int]
    pool1_stride: tuple[int, int, int]
    pool2_stride: int  # of the 3x1x1 max pool after res2, in time
    stage_strides: tuple[int, int, int, int]  # of res2..res5, in space
    dropout: float
    zero_residual: bool  # the last BN scale of each residual branch starts at 0 (the authors' released code; not in the text)
    architecture: Architecture = "text"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Recipe:
    """How one kind of clip is trained."""

    steps: AtLeastOne
    batch: AtLeastOne  # clips a step, over all devices
    optimizer: Literal["adamw", "sgd"]
    schedule: Literal["one-cycle", "steps"]
    lr: float
    weight_decay: float
    momentum: float = 0.9
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.3  # part of the steps in which the learning rate of `one-cycle` rises
    milestones: tuple[int, ...] = ()  # steps at which `steps` divides the learning rate by 10
    clip_norm: float | None = None
    frozen_norm: bool = False  # batch normalisation stays as the parent left it: statistics, scales and shifts
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    validate_every: AtLeastOne  # steps between two points of the curve
    validate_videos: AtLeastOne  # videos of the validation split that a point looks at, evenly spaced

    def dry(self, steps: int) -> Self:
        """So many steps of two clips, and two clips a validation."""
        return replace(self, steps=steps, batch=2, milestones=(), validate_every=steps, validate_videos=2)

    def scaled(self, part: Fraction) -> Self:
        """A part of the batch, at that part of the learning rate, for as many clips (linear scaling, Goyal et al. 2017)."""
        batch = max(int(self.batch * part), 1)
        part = Fraction(batch, self.batch)
        return replace(
            self,
            batch=batch,
            lr=float(self.lr * part),
            steps=int(self.steps / part),
            milestones=tuple(int(step / part) for step in self.milestones),
            validate_every=int(self.validate_every / part),
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Real:
    """What real videos need besides: they have all sizes and frame rates, and too many clips for one device.

    The rest of what the paper's text and its released code do differently follows from `geometry.architecture`: release tests
    three crops where the text tests whole frames, trains with Nesterov's momentum, does not decay the parameters of normalisation
    and measures its statistics again before the test ("precise BN").
    """

    train_sides: tuple[int, int]  # range of a training video's shorter side, pixels
    test_side: int  # shorter side of a test video, pixels
    devices: int  # over which the recipes spread their batches; fewer make smaller steps, and more of them
    precise_batches: int  # of precise BN
    sampling: Sampling = "paper"  # of test clips; released weights are tested as their source does
    averaged: Averaged = "probabilities"  # over the views of a test video


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Profile:
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]  # also of its folders
    data: Data
    clips: dict[Clip, Clips]
    geometry: Geometry
    recipes: dict[Clip, Recipe]
    pretrained: str  # what short clips start from: "imagenet", a shipped set of nets, or the folder of one's own
    generator: Generator | None = None  # of the videos that the project makes itself
    pretraining: Pretraining | None = None  # of the nets that start on them
    real: Real | None = None  # for videos that it does not
    seeds: tuple[Seed, ...] = (0,)  # declared before the runs; verdicts from another number of seeds are preliminary
    dry_run: bool = False

    @property
    def release(self) -> bool:
        return self.geometry.architecture == "release"

    def recipe(self, spec: RunSpec, devices: int) -> Recipe:
        """The recipe on so many devices: with fewer than it is made for, by the linear scaling rule."""
        recipe = self.recipes[spec.clip]
        return recipe.scaled(Fraction(devices, self.real.devices)) if self.real and not self.dry_run else recipe


def dry(profile: Profile, steps: int) -> Profile:
    """The whole way in `steps` steps of two clips, and two clips a test video: a trial of machine and data, with its own name."""
    short = {kind: recipe.dry(steps) for kind, recipe in profile.recipes.items()}
    data = replace(profile.data, views=min(profile.data.views, 2))
    return replace(profile, name=f"{profile.name}-dry-run", recipes=short, data=data, dry_run=True)


def explain(error: Exception) -> str:
    """A validation error in one line: each field, what was expected and what stood there."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r:.60}" for e in error.errors())
