"""Tiny trees in Charades' layout, and profiles to read them with, for tests."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
from films import film

from nlrepro.config import Profile, Real, load_profile
from nlrepro.data.charades import TABLE
from nlrepro.data.synthetic.write import COLUMNS
from nlrepro.spec import Part

TRAIN = {
    "AAAAA": "c092 0.00 0.20;c147 0.50 1.30",
    "BBBBB": "",
    "BROKE": "c001 0.10 0.20",
    "GONE1": "c001 0.10 0.20",
}
VAL = {"VVVVV": "c000 0.00 1.00", "WWWWW": "c156 0.20 0.40;c000 1.00 1.20", "EMPTY": ""}


def table(root: Path, part: Part, rows: Mapping[str, str]) -> None:
    """A CSV file with the actions of videos; all other columns hold something, with a comma."""
    root.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows.items(), columns=["id", "actions"])
    table = table.reindex(columns=COLUMNS, fill_value="a, b")
    table.to_csv(root / TABLE[part], index=False)


def charades(root: Path) -> Path:
    """Of seven listed videos one is broken and one is not there; another one is not listed."""
    table(root, "train", TRAIN)
    table(root, "val", VAL)
    for video in {*TRAIN, *VAL, "OTHER"} - {"GONE1", "BROKE"}:
        film(root / "Charades_v1_480" / f"{video}.mp4")
    (root / "Charades_v1_480/BROKE.mp4").write_bytes(b"no video")
    return root


def smoke() -> Profile:
    return load_profile("charades-smoke")


def as_real(profile: Profile) -> Profile:
    """The profile for real videos of about 40 frames at 30 a second, in Charades' classes."""
    clips = replace(profile.clips["long"], classes=157, frames=8, stride=1)
    recipe = replace(profile.recipes["long"], steps=2, batch=2, validate_every=2)
    return replace(
        profile,
        name="charades-real",
        actions=replace(profile.actions, generator=None),
        real=Real(train_sides=(40, 56), test_side=44, devices=1, precise_batches=2),
        data=replace(profile.data, root=".", size=32, cached=False, views=2),
        clips={**profile.clips, "long": clips},
        recipes={**profile.recipes, "long": recipe},
    )
