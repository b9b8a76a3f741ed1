"""Profiles as TOML files: those that come with the package, and any by path; one may stand on another (`base`)."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nlrepro.errors import BadInput
from nlrepro.profile import Profile, explain

HERE = Path(__file__).parent


def names(here: Path = HERE) -> list[str]:
    """The profiles that come with the package, or with a slice of it that keeps its own."""
    return sorted(path.stem for path in here.glob("*.toml"))


def toml_path(name: str, here: Path = HERE) -> Path:
    return Path(name) if name.endswith(".toml") else here / f"{name}.toml"


def read_toml(name: str, here: Path = HERE, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """A profile's data; where it says `base = "mini"`, its own stand in place of those of that profile.

    Raises:
        BadInput: no such profile, no TOML, or profiles that stand on each other; `above` are those that stand on this one.
    """
    if name in above:
        raise BadInput(f"profiles stand on each other: {' on '.join((*above, name))}; `base` names one that does not")
    path = toml_path(name, here)
    if not path.is_file():
        raise BadInput(f"unknown profile {name!r}; use one of {', '.join(names(here))}, or the path of a .toml file")
    try:
        own = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path}: {error}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: it is not UTF-8, as TOML is (byte {error.start}); save it as UTF-8") from None
    base = own.pop("base", None)
    return own if base is None else merged(read_toml(str(base), here, (*above, name)), own)


def merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged, all else is replaced."""
    both = {name: merged(base[name], own[name]) for name in base.keys() & own.keys() if isinstance(own[name], dict)}
    return base | own | both


def load(name: str) -> Profile:
    """Read a shipped profile by name, or any TOML file by path.

    Raises:
        BadInput: no such profile, or a field is missing, unknown or of the wrong type.
    """
    try:
        return TypeAdapter(Profile).validate_python(read_toml(name))
    except ValidationError as error:
        raise BadInput(f"{toml_path(name)}: {explain(error)}") from None
