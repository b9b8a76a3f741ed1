"""With what to run Table 4: a `Profile` stands on one of Table 2's, whose nets it starts from and whose geometry they have."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from nlrepro import profile as kinetics
from nlrepro.config import STRICT, Clips, Data, Real, Recipe, Seed, explain, load_profile
from nlrepro.config import ActionVideos as Films
from nlrepro.files import BadInput

HERE = Path(__file__).parent / "profiles"
OverViews = Literal["max", "mean"]  # what becomes of the scores of a video's clips


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Profile:
    """As Table 2's (nlrepro/profile.py) where names are the same; there is one kind of clip."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    parents: str  # Table 2's profile of the nets that it starts from
    start: str = ""  # a folder of weights to start from in place of these nets: <start>/<key of the net>.pt
    data: Data
    clips: Clips
    recipe: Recipe
    over_views: OverViews = "max"
    films: Films | None = None  # the videos that the project makes itself
    real: Real | None = None  # for videos that it does not
    seeds: tuple[Seed, ...] = (0,)
    dry_run: bool = False

    @cached_property
    def of_parents(self) -> kinetics.Profile:
        found = load_profile(self.parents)
        return kinetics.dry(found, self.recipe.steps) if self.dry_run else found

    @property
    def as_table2(self) -> kinetics.Profile:
        """The same as a profile of the video task, for the code that trains it."""
        return kinetics.Profile(
            name=self.name,
            data=self.data,
            clips={"long": self.clips},
            geometry=self.of_parents.geometry,
            recipes={"long": self.recipe},
            pretrained=self.of_parents.pretrained,
            real=self.real,
            seeds=self.seeds,
            dry_run=self.dry_run,
        )

    def root(self, data: Path) -> Path:
        """The folder in Charades' layout, below the data folder."""
        return data / self.data.root


def dry(profile: Profile, steps: int) -> Profile:
    """As Table 2's dry run, of the nets that it starts from too."""
    data = replace(profile.data, views=min(profile.data.views, 2))
    return replace(profile, name=f"{profile.name}-dry-run", recipe=profile.recipe.dry(steps), data=data, dry_run=True)


def load(name: str) -> Profile:
    """Read one of the slice's profiles by name, or any TOML file by path.

    Raises:
        BadInput: no such profile, or a field is missing, unknown or of the wrong type; or films and classes do not fit.
    """
    own: dict[str, Any] = profiles.read_toml(name, HERE)
    try:
        found = TypeAdapter(Profile).validate_python(own)
    except ValidationError as error:
        raise BadInput(f"{profiles.toml_path(name, HERE)}: {explain(error)}") from None
    if (found.films is None) == (found.real is None):
        raise BadInput(f"{profiles.toml_path(name, HERE)}: expected either [films] or [real], got both or none")
    if found.films and found.films.classes != found.clips.classes:
        digits, classes = len(found.films.digits), found.clips.classes
        raise BadInput(f"{profiles.toml_path(name, HERE)}: {digits} digits give {2 * digits} classes, the clips have {classes}")
    return found
