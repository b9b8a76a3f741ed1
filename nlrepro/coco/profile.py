"""With what Tables 5 and 6 are run: `mini`, `smoke` and `paper` as TOML files (nlrepro/coco/profiles/), and no code."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from nlrepro.config import STRICT, AtLeastOne, Recipe, Scenes, Seed, explain
from nlrepro.files import BadInput
from nlrepro.spec import Backbone, Target

HERE = Path(__file__).parent / "profiles"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Narrow:
    """The sizes of a small net of the same structure, where `paper` has those of torchvision. Lengths in pixels."""

    base: str  # the profile of Table 2 whose 2D ResNets, and their pretrained weights, are the trunks
    start: str | None = None  # shipped detectors of things (`told`) that the nets start from; without, the trunks alone
    channels: AtLeastOne  # of the feature pyramid
    anchors: tuple[AtLeastOne, ...]  # sides, one a level: res2, res3, res4, res5 and one pooled
    box_head: AtLeastOne
    mask_head: tuple[AtLeastOne, ...]
    keypoint_head: tuple[AtLeastOne, ...]
    proposals: AtLeastOne  # of an image, that the region proposal net hands on
    sampled: AtLeastOne  # anchors, and regions, of an image that a training step looks at
    detections: AtLeastOne  # of an image at most


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DetectionRecipe(Recipe):
    """How a net is trained; `batch` are images, `validate_videos` too."""

    warmup_steps: int = 0  # in which the learning rate of the schedule "steps" rises to its value


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DetectionProfile:
    name: Annotated[str, Field(pattern=r"^coco-[A-Za-z0-9._-]+$")]
    roots: dict[Target, str]  # folders below the data folder, or absolute paths
    test: str  # the split that the tables are of
    backbones: tuple[Backbone, ...]  # that this profile can build
    sides: dict[Target, tuple[AtLeastOne, ...]]  # the shorter side of a training image is one of them, of a test image the last
    flip: bool  # whether half of the training images are mirrored
    recipes: dict[Target, DetectionRecipe]
    devices: AtLeastOne  # over which the recipes spread their batches; fewer make smaller steps, and more of them
    narrow: Narrow | None = None
    scenes: dict[Target, Scenes] = Field(default_factory=dict)  # of the images that the project makes itself
    seeds: tuple[Seed, ...] = (0,)  # declared before the runs
    dry_run: bool = False

    def recipe(self, kind: Target, devices: int) -> DetectionRecipe:
        """On so many devices: with fewer than it is made for, by the linear scaling rule."""
        found = self.recipes[kind]
        return found if self.scenes or self.dry_run else found.scaled(Fraction(devices, self.devices))


def dry(profile: DetectionProfile, steps: int) -> DetectionProfile:
    """The whole way in `steps` steps of two images, and all of the test: a trial of machine and data, with its own name."""
    short = {kind: replace(recipe.dry(steps), warmup_steps=0) for kind, recipe in profile.recipes.items()}
    return replace(profile, name=f"{profile.name}-dry-run", recipes=short, dry_run=True)


def load(name: str) -> DetectionProfile:
    """A shipped profile by the name of its Table 2 sister ("mini"), or any TOML file by path.

    Raises:
        BadInput: no such profile, or a field is missing, unknown or of the wrong type.
    """
    try:
        return TypeAdapter(DetectionProfile).validate_python(profiles.read_toml(name, HERE))
    except ValidationError as error:
        raise BadInput(f"{profiles.toml_path(name, HERE)}: {explain(error)}") from None
