"""Profiles: the shipped ones load, a slip is told in one line, and `paper` is what the paper says."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from ablations.registry import TABLES
from nlrepro.config import Profile, load_profile, profile_names
from nlrepro.files import BadInput
from nlrepro.run import Folders
from nlrepro.task import CHARADES, DETECTION, VIDEO


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profiles_load_and_fit_together(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.clips.keys() == profile.recipes.keys()
    recipes = [*profile.recipes.values(), *(profile.detection.recipes.values() if profile.detection else ())]
    assert all(0 < recipe.validate_every <= recipe.steps for recipe in recipes)
    if profile.generator and not profile.actions:
        assert profile.generator.size == profile.data.size
        assert all(clips.span <= profile.generator.frames for clips in profile.clips.values())
        splits = {split for clips in profile.clips.values() for split in (clips.train, clips.val, clips.test)}
        assert splits == profile.generator.videos.keys()
    if profile.actions and profile.actions.generator:
        assert profile.clips["long"].span <= profile.actions.generator.frames
        assert load_profile(profile.actions.parents).geometry == profile.geometry


def test_the_paper_profile_is_the_papers_recipe() -> None:
    """Table 1, section 4 ("Training", "Inference") and section 5.1 on 128 frames."""
    profile = load_profile("paper")
    short, long = profile.recipes["short"], profile.recipes["long"]
    assert (profile.clips["short"].frames, profile.clips["short"].stride) == (32, 2)
    assert (profile.clips["long"].frames, profile.clips["long"].stride) == (128, 1)
    for recipe in (short, long):
        assert (recipe.steps, recipe.milestones, recipe.optimizer) == (400_000, (150_000, 300_000), "sgd")
        assert (recipe.momentum, recipe.weight_decay, recipe.schedule) == (0.9, 1e-4, "steps")
    assert profile.real
    assert (short.batch / profile.real.devices, short.lr) == (8, 0.01)
    assert (long.batch / profile.real.devices, long.lr) == (2, 0.0025)
    assert (short.frozen_norm, long.frozen_norm) == (False, True)
    assert (profile.real.train_sides, profile.real.test_side, profile.data.size) == ((256, 320), 256, 224)
    assert (profile.data.views, profile.pretrained, profile.geometry.dropout) == (10, "imagenet", 0.5)
    net = profile.geometry
    assert (net.width, net.stem_kernel, net.stem_stride) == (64, (5, 7, 7), (2, 2, 2))
    assert (net.pool1_kernel, net.pool1_stride, net.pool2_stride) == ((3, 3, 3), (2, 2, 2), 2)
    assert net.stage_strides == (1, 2, 2, 2)


def test_a_profile_stands_on_another(tmp_path: Path, smoke: Profile) -> None:
    mini = load_profile("mini")
    assert (smoke.geometry, smoke.data.size) == (replace(mini.geometry, dropout=0.5), mini.data.size)
    assert (smoke.recipes["short"].batch, smoke.recipes["short"].lr) == (4, mini.recipes["short"].lr)
    path = tmp_path / "mine.toml"
    path.write_text('base = "smoke"\nname = "mine"\nseeds = [3, 4]\n[recipes.long]\nmilestones = []')
    mine = load_profile(str(path))
    assert (mine.seeds, mine.recipes["long"].milestones) == ((3, 4), ())
    assert replace(mine, name="smoke", seeds=(0,), recipes=smoke.recipes) == smoke


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[geometry]\nwidth = 'wide'", r"geometry.width: .* valid integer, .*got 'wide'"),
        ("[geometry]\nwidht = 8", r"geometry.widht: .*, got 8"),
        ("[geometry]\nstem_stride = [1, 2]", r"geometry.stem_stride"),
        ("[recipes.short]\noptimizer = 'adam'", r"optimizer: Input should be 'adamw' or 'sgd', got 'adam'"),
        ("[recipes.short]\nsteps = 0", "recipes.short.steps: Input should be greater than or equal to 1"),
        ("[recipes.short]\nwarmup = 1.0", "recipes.short.warmup: Input should be less than 1"),
        ("[clips.longer]", r"clips.longer.*: Input should be 'short' or 'long', got 'longer'"),
        ("name = 'no/name'", r"name: String should match pattern"),
        ("name = mini", r"line 2"),
        ("name = '\xff'", r"is no TOML in UTF-8: .* byte 0xff"),
        ("seeds = [-1]", "seeds.0: Input should be greater than or equal to 0"),
        ("[actions.generator]\ndigits = [0, 1]", r"2 digits of .* give 4 classes, the clips have 6 or 12"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed_and_what_stood_there(
    tmp_path: Path, text: str, error: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(f"base = 'charades-smoke'\n{text}".encode("latin-1"))
    with pytest.raises(BadInput, match=error) as caught:
        load_profile(str(path))
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value).splitlines()) == 1


def test_profiles_that_stand_on_each_other_are_named(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text(f'base = "{other}"')
    other.write_text(f'base = "{one}"')
    with pytest.raises(BadInput, match=r"stand on each other: .*one.toml on .*other.toml on .*one.toml"):
        load_profile(str(one))


def test_a_task_takes_its_own_profile_of_a_name_and_refuses_one_without_its_part(tmp_path: Path) -> None:
    names = [task.profile("mini").name for task in (VIDEO, CHARADES, DETECTION)]
    assert names == ["mini", "charades-mini", "coco-mini"]
    assert CHARADES.profile("charades-mini").name == "charades-mini"
    (tmp_path / "own.toml").write_text('base = "mini"')
    for task, part in ((CHARADES, "actions"), (DETECTION, "detection")):
        with pytest.raises(BadInput, match=rf"the profile mini has no \[{part}\], which this table needs"):
            task.profile(str(tmp_path / "own.toml"))


def test_a_profile_may_name_a_folder_to_start_from(tmp_path: Path) -> None:
    """Also one in a folder with a colon in its name."""
    odd = tmp_path / "a:b"
    odd.mkdir()
    (odd / "mine.toml").write_text('base = "smoke"\nname = "mine"')
    (odd / "r50-c2d.pt").touch()
    assert load_profile(str(odd / "mine.toml")).start == ""
    for name, before in ((f"{odd}/mine.toml:{odd}", "mine"), (f"smoke:{odd}", "smoke")):
        profile = load_profile(name)
        assert (profile.name, profile.start) == (f"{before}-from-a-b", str(odd))


PAPER = {  # fingerprints of runs that took months of GPUs: new settings must not make them stale
    "r50-c2d": "c8a58b45d0e607c9",
    "r101-i3d-3x1x1-nl-5-block-embedded-spacetime-long": "8754617025af3969",
    "r101-i3d-3x1x1-charades-val": "1d0efac84dacb586",
    "r50-boxes": "1478c2e2234fc646",
}


@pytest.mark.parametrize(("key", "fingerprint"), PAPER.items())
def test_records_of_real_data_stay_fresh_when_settings_are_added(key: str, fingerprint: str) -> None:
    assert TABLES.run(key, 0, "paper", Folders()).fingerprint == fingerprint


def test_fewer_devices_take_smaller_and_more_steps_by_the_linear_scaling_rule() -> None:
    paper = load_profile("paper")
    one, all_eight = paper.recipe("short", 1), paper.recipe("short", 8)
    assert all_eight == paper.recipes["short"]
    assert (one.batch, one.lr, one.steps) == (8, 0.01 / 8, 3_200_000)
    assert (one.milestones, one.validate_every) == ((1_200_000, 2_400_000), 40_000)
    in_parts = replace(paper, recipes={"short": replace(paper.recipes["short"], accumulate=4)})
    assert replace(in_parts.recipe("short", 2), accumulate=1) == all_eight  # two devices, four parts each
    assert (in_parts.recipe("short", 1).batch, in_parts.recipe("short", 1).lr) == (32, 0.005)
    assert in_parts.recipe("short", 8).batch == 64
    tiny = paper.recipes["long"].scaled(Fraction(1, 100))  # no batch is empty
    assert (tiny.batch, tiny.lr, tiny.steps) == (1, 0.0025 / 16, 6_400_000)
