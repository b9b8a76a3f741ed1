"""Profiles: the shipped ones load, and a slip of the pen is told in one line."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from nlrepro.config import Clips, Profile, load_profile, profile_names
from nlrepro.files import BadInput

TEXT, MINI = ((resources.files("nlrepro.profiles") / f"{name}.toml").read_text() for name in ("smoke", "mini"))


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profiles_load_and_carry_their_own_name(name: str) -> None:
    assert load_profile(name).name == name


def test_smoke_and_mini_are_shipped() -> None:
    assert {"smoke", "mini"} <= set(profile_names())


@pytest.mark.parametrize("name", profile_names())
def test_each_kind_of_clip_has_a_recipe_and_validates(name: str) -> None:
    profile = load_profile(name)
    assert profile.clips.keys() == profile.recipes.keys()
    assert all(0 < recipe.validate_every <= recipe.steps for recipe in profile.recipes.values())


@pytest.mark.parametrize("name", ["smoke", "mini"])
def test_generated_videos_are_long_enough_for_every_clip(name: str) -> None:
    profile = load_profile(name)
    assert profile.generator
    assert profile.generator.size == profile.data.size
    assert all(clips.span <= profile.generator.frames for clips in profile.clips.values())
    splits = {split for clips in profile.clips.values() for split in (clips.train, clips.val, clips.test)}
    assert splits == profile.generator.videos.keys()


def test_a_clip_spans_its_first_to_its_last_frame(smoke: Profile) -> None:
    assert Clips(frames=32, stride=2, classes=400, anywhere=True).span == 63
    assert smoke.clips["short"].span == 8


def test_a_profile_stands_on_another() -> None:
    smoke, mini = load_profile("smoke"), load_profile("mini")
    assert (smoke.geometry.width, smoke.geometry.dropout, mini.geometry.dropout) == (mini.geometry.width, 0.5, 0.0)
    assert (smoke.recipes["short"].batch, smoke.recipes["short"].lr) == (4, mini.recipes["short"].lr)


def test_a_profile_is_read_by_path(tmp_path: Path, smoke: Profile) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    assert load_profile(str(path)) == smoke


def refusal(tmp_path: Path, edit: Callable[[str], str]) -> str:
    """What `load` says about an edited mini profile."""
    path = tmp_path / "mine.toml"
    path.write_text(edit(MINI))
    assert path.read_text() != MINI
    with pytest.raises(BadInput) as caught:
        load_profile(str(path))
    text = str(caught.value)
    assert str(path) in text
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("width = 8", "widht = 8", ["geometry.width", "required", "geometry.widht", "8"]),
        ("width = 8", "width = 'wide'", ["geometry.width", "integer", "'wide'"]),
        ("width = 8", "width = 4.5", ["geometry.width", "integer", "4.5"]),
        ('optimizer = "adamw"', 'optimizer = "adam"', ["optimizer", "'adamw'", "'sgd'", "'adam'"]),
        ("stem_stride = [1, 2, 2]", "stem_stride = [1, 2]", ["geometry.stem_stride"]),
        ("[clips.long]", "[clips.longer]", ["clips", "'short'", "'long'", "'longer'"]),
        ('name = "mini"', "name = mini", ["line 2"]),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed_and_what_stood_there(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    text = refusal(tmp_path, lambda profile: profile.replace(old, new, 1))
    assert all(word in text for word in words), text


def test_profiles_that_stand_on_each_other_are_told(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text(f'base = "{other}"')
    other.write_text(f'base = "{one}"')
    with pytest.raises(BadInput, match=r"stand on each other: .*one.toml on .*other.toml on .*one.toml"):
        load_profile(str(one))


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"unknown profile 'large'; use one of .*mini.*smoke"):
        load_profile("large")


def test_a_missing_profile_file_is_named() -> None:
    with pytest.raises(BadInput, match=r"'nowhere/mine.toml'"):
        load_profile("nowhere/mine.toml")
