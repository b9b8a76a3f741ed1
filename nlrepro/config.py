"""With what to run: a `Profile`, read from TOML, holds all that differs between `smoke`, `mini` and `paper`.

Nothing in nlrepro/profiles/*.toml is code: all profiles take the same path through the program. A profile may
stand on another one (`base`). Those of Tables 4 to 6 stand on the video profile whose nets they start from,
and add a part of their own, [actions] or [detection]. Imports no torch.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from nlrepro.files import BadInput
from nlrepro.spec import STRICT, Backbone, Clip, Part, Target, explain

PROFILES = Path(__file__).parent / "profiles"

Architecture = Literal["text", "release"]  # where the paper's text and its released code differ
Sampling = Literal["paper", "caffe2", "pyslowfast", "mmaction2"]  # of the clips of a test
Averaged = Literal["probabilities", "scores"]  # of the classes: after the softmax, or before it
VideoKind = Literal["near", "far", "later", "far-later", "outside-far", "outside-near"]

AtLeastOne = Annotated[int, Field(ge=1)]
Digit = Annotated[int, Field(ge=0, le=9)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Pixel = float | tuple[float, float, float]  # of 0 to 255: one value, or those of red, green and blue


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
    """The generated videos of Table 2 (data/synthetic/card_videos.py): sizes in pixels, times in frames."""

    seed: int
    videos: dict[str, int]  # split -> number of videos
    kinds: dict[VideoKind, float]  # kind -> its share
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
class ActionVideos:
    """The generated videos of Table 4 (data/synthetic/action_videos.py); ranges with both ends."""

    seed: Seed  # raise it whenever the drawing changes
    videos: dict[Part, AtLeastOne]  # part -> number of videos
    size: AtLeastOne
    frames: AtLeastOne
    digits: tuple[Digit, ...]
    shown: tuple[AtLeastOne, AtLeastOne]  # range of the number of digits in a video
    digit: AtLeastOne  # side
    card: AtLeastOne  # side
    digit_frames: AtLeastOne  # that a digit is visible for
    card_frames: AtLeastOne  # that a card is visible for
    tint: float  # of the grey background, of 255
    noise: float  # standard deviation, of 255
    crf: int  # H.264 constant rate factor

    @property
    def classes(self) -> int:
        return 2 * len(self.digits)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Scenes:
    """The generated images of Tables 5 and 6 (data/synthetic/scenes.py); pixels, ranges with both ends."""

    seed: Seed  # raise it whenever the drawing changes
    images: dict[str, AtLeastOne]  # split (train, val, test) -> number of images
    size: AtLeastOne  # of an image's sides
    digits: tuple[Digit, ...]
    digit: tuple[AtLeastOne, AtLeastOne]  # range of a digit's side
    card: AtLeastOne  # side
    objects: tuple[AtLeastOne, AtLeastOne]  # range of the number of digits in a scene
    far: float  # least distance between the centres of the card and of each digit, and of two twins
    tint: float  # of the grey background, of 255
    noise: float  # standard deviation, of 255
    hidden: Annotated[float, Field(ge=0, le=1)]  # the share of digits that are partly hidden
    twins: bool  # whether every digit is there twice
    categories: Literal["card ink", "own ink"] = "card ink"  # "own ink": the card is an object too

    @property
    def copies(self) -> int:
        """How often each handwriting is in a scene."""
        return 2 if self.twins else 1

    @property
    def recorded(self) -> dict[str, Any]:
        """The settings by the names that published records have."""
        settings = asdict(self)
        return settings | {"told": {"card ink": "card", "own ink": "things"}[settings.pop("categories")]}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Pretraining:
    """How the nets were trained that short clips start from: tagging of stills (train/pretrain.py)."""

    seed: int  # of the initial weights and of the stills
    steps: int
    batch: int
    lr: float  # peak
    weight_decay: float
    stills: int  # of validation
    bar: float  # percent of validation stills with all tags right, which a net must reach to be used


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Data:
    """Where videos come from and how their pixels reach a net."""

    root: str  # folder below the data folder, or an absolute path
    size: int  # height and width of a clip, pixels
    cached: bool  # every video is decoded once into a memory-mapped array, else each clip when it is needed
    views: int  # clips of a test video over which the softmax scores are averaged
    mean: Pixel = 114.75
    std: Pixel = 57.375


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Geometry:
    """Widths and strides of the net, (time, height, width); the `paper` profile has those of Table 1."""

    width: int
    stem_kernel: tuple[int, int, int]  # of I3D; C2D's has no extent in time
    stem_stride: tuple[int, int, int]
    pool1_kernel: tuple[int, int, int]
    pool1_stride: tuple[int, int, int]
    pool2_stride: int  # of the 3x1x1 max pool after res2, in time
    stage_strides: tuple[int, int, int, int]  # of res2..res5, in space
    dropout: float
    zero_residual: bool  # the last BN scale of each residual branch starts at 0, as in the authors' code
    architecture: Architecture = "text"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Recipe:
    """How a net is trained."""

    steps: AtLeastOne
    batch: AtLeastOne  # clips, or images, a step, over all devices
    accumulate: AtLeastOne = 1  # parts that a device takes its share of a batch in, one after the other
    optimizer: Literal["adamw", "sgd"]
    schedule: Literal["one-cycle", "steps"]
    lr: float
    weight_decay: float
    new_lr: float = 1.0  # of what the start does not have, blocks and classifier, as a multiple of `lr`
    momentum: float = 0.9
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.3  # part of the steps in which `one-cycle` rises
    milestones: tuple[int, ...] = ()  # steps at which `steps` divides the learning rate by 10
    clip_norm: float | None = None
    frozen_norm: bool = False  # batch normalisation stays as the parent left it
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    validate_every: AtLeastOne  # steps between two points of the curve
    validate_videos: AtLeastOne  # videos, or images, of the validation split that a point tests on

    def dry(self, steps: int) -> Self:
        """`steps` steps of two clips, and two clips a validation."""
        few: dict[str, Any] = {"batch": 2, "accumulate": 1, "validate_videos": 2, "milestones": ()}
        return replace(self, steps=steps, validate_every=steps, **few)

    def shared(self, devices: int) -> Self:
        """At least one item a device in each step and validation."""
        batch, validated = max(self.batch, devices), max(self.validate_videos, devices)
        return replace(self, batch=batch, validate_videos=validated)

    def scaled(self, part: Fraction) -> Self:
        """A part of the batch and learning rate, for as many clips (linear scaling, Goyal et al. 2017)."""
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
class DetectionRecipe(Recipe):
    warmup_steps: int = 0  # in which the learning rate of the schedule "steps" rises to its value

    def dry(self, steps: int) -> Self:
        return replace(super().dry(steps), warmup_steps=0)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Real:
    """What real data need besides: videos of all sizes and frame rates, too many for one device.

    With `geometry.architecture` "release" a test has three crops in place of whole frames, training has
    Nesterov's momentum and precise BN, and parameters of normalisation do not decay.
    """

    train_sides: tuple[int, int]  # range of a training video's shorter side, pixels
    test_side: int  # shorter side of a test video, pixels
    devices: int  # over which the recipes spread their batches; fewer make smaller steps, and more of them
    precise_batches: int  # of precise BN
    sampling: Sampling = "paper"  # of test clips; released weights are tested as their source does
    averaged: Averaged = "probabilities"  # over the views of a test video
    fold: Annotated[int, Field(ge=1, le=3)] = 1  # of the three official ones of UCF-101 and HMDB-51
    prefix: str = ""  # what the paths of lists of your own stand below; without, below the data folder


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Actions:
    """What Table 4 needs besides: several actions a video, and nets that start from those of Table 2g."""

    parents: str  # the video profile of the nets that runs start from
    over_views: Literal["max", "mean"] = "max"  # joins the scores of a video's clips
    generator: ActionVideos | None = None  # of the videos that the project makes itself


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SmallRCNN:
    """A small detector on the profile's own 2D ResNets, where `paper` has torchvision's; in pixels."""

    start: str | None = None  # shipped detectors that the nets start from; without, the trunks alone
    channels: AtLeastOne  # of the feature pyramid
    anchors: tuple[AtLeastOne, ...]  # sides, one a level: res2, res3, res4, res5 and one pooled
    box_head: AtLeastOne
    mask_head: tuple[AtLeastOne, ...]
    keypoint_head: tuple[AtLeastOne, ...]
    proposals: AtLeastOne  # of an image, that the region proposal net hands on
    sampled: AtLeastOne  # anchors, and regions, of an image that a training step takes
    detections: AtLeastOne  # of an image at most


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Detection:
    """What Tables 5 and 6 need besides: images in COCO's layout, and detectors."""

    roots: dict[Target, str]  # folders below the data folder, or absolute paths
    test: str  # the split that the tables are of
    backbones: tuple[Backbone, ...]  # that this profile can build
    sides: dict[Target, tuple[AtLeastOne, ...]]  # shorter sides in training; the last also in the test
    flip: bool  # whether half of the training images are mirrored
    recipes: dict[Target, DetectionRecipe]
    small: SmallRCNN | None = None
    scenes: dict[Target, Scenes] = Field(default_factory=dict)  # of the images that the project makes itself


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Profile:
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]  # also of its folders
    seeds: tuple[Seed, ...] = (0,)  # declared; verdicts from another number of seeds are preliminary
    anchors: tuple[str, ...] = ()  # results of others on the same test, to stand under the tables
    data: Data
    clips: dict[Clip, Clips]
    geometry: Geometry
    recipes: dict[Clip, Recipe]
    pretrained: str  # short clips start from it: "imagenet", a shipped set of nets, or a folder of your own
    start: str = ""  # a folder; then they, and nets of Table 4, start from <start>/<key of the net>.pt
    generator: Generator | None = None  # of the videos that the project makes itself
    pretraining: Pretraining | None = None  # of the nets that start on them
    real: Real | None = None  # for data that it does not make
    actions: Actions | None = None
    detection: Detection | None = None
    dry_run: bool = False

    @property
    def release(self) -> bool:
        return self.geometry.architecture == "release"

    def recipe(self, name: Clip | Target, devices: int = 1) -> Recipe:
        """The recipe on so many devices, each counted by its parts: with few, by the linear scaling rule."""
        recipes: Mapping[Any, Recipe] = {**self.recipes, **(self.detection.recipes if self.detection else {})}
        recipe = recipes[name]
        if self.real and not self.dry_run:
            counted = min(devices * recipe.accumulate, max(devices, self.real.devices))
            return recipe.scaled(Fraction(counted, self.real.devices))
        return recipe.shared(devices) if self.dry_run else recipe

    def dry(self, steps: int) -> "Profile":
        """A trial of machine and data, with its own name: `steps` steps and test videos of two clips."""
        own = self.detection
        return replace(
            self,
            name=f"{self.name}-dry-run",
            recipes={name: recipe.dry(steps) for name, recipe in self.recipes.items()},
            detection=own and replace(own, recipes={kind: r.dry(steps) for kind, r in own.recipes.items()}),
            data=replace(self.data, views=min(self.data.views, 2)),
            dry_run=True,
        )


def profile_names() -> list[str]:
    """The profiles that come with the package."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def load_profile(name: str) -> Profile:
    """A shipped profile by name, or any TOML file by path; "NAME:FOLDER" is it with FOLDER as its `start`.

    Raises:
        BadInput: no such profile, or a field is missing, unknown, of the wrong type, or does not fit another.
    """
    name, start = split_start(name)
    try:
        profile = TypeAdapter(Profile).validate_python(read_toml(name))
        if start:
            if not any(Path(start).glob("*.pt")):
                raise BadInput(f"no nets <key>.pt to start from in {start}; `weights import` writes such")
            origin = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(start).resolve().name)
            profile = replace(profile, name=f"{profile.name}-from-{origin}", start=start)
    except ValidationError as error:
        raise BadInput(f"{toml_path(name)}: {explain(error)}") from None
    generator = profile.actions and profile.actions.generator
    classes = {clips.classes for clips in profile.clips.values()}
    if generator and generator.classes not in classes:
        given = f"{len(generator.digits)} digits of [actions.generator] give {generator.classes} classes"
        raise BadInput(f"{toml_path(name)}: {given}, the clips have {' or '.join(map(str, sorted(classes)))}")
    return profile


def split_start(name: str) -> tuple[str, str]:
    """NAME and FOLDER of "NAME:FOLDER"; the path of a TOML file may have a colon itself."""
    path, suffix, rest = name.partition(".toml")
    if suffix:
        return path + suffix, rest.removeprefix(":")
    path, _, start = name.partition(":")
    return path, start


def toml_path(name: str) -> Path:
    return Path(name) if name.endswith(".toml") else PROFILES / f"{name}.toml"


def read_toml(name: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """A profile's data; where it says `base = "mini"`, its own stand in place of those of that profile.

    Raises:
        BadInput: no such profile, no TOML, or profiles that stand on each other (`above`: on this one).
    """
    if name in above:
        chain = " on ".join((*above, name))
        raise BadInput(f"profiles stand on each other: {chain}; `base` names one that does not")
    path = toml_path(name)
    if not path.is_file():
        names = ", ".join(profile_names())
        raise BadInput(f"unknown profile {name!r}; use one of {names}, or the path of a .toml file")
    try:
        own = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no TOML in UTF-8: {error}") from None
    base = own.pop("base", None)
    return own if base is None else merged(read_toml(str(base), (*above, name)), own)


def merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged, all else is replaced."""
    tables = [name for name in base.keys() & own.keys() if isinstance(own[name], dict)]
    return base | own | {name: merged(base[name], own[name]) for name in tables}


def as_json(parts: Any) -> Any:
    """The parts as a JSON file gives them back: lists for tuples."""
    return json.loads(json.dumps(parts))
