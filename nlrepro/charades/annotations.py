"""Charades' annotations: CSV files with a video a row, and what goes on in it.

    id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length
    YSKX3,HR43,Kitchen,6,7,Yes,...,c092 11.90 21.20;c147 0.00 12.60,32.46

Of these columns `id` and `actions` are read: classes c000 to c156, each with its begin and end in seconds. A video may have none.
The format is that of the README of the official release (prior.allenai.org/projects/charades).
"""

import re
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from nlrepro.files import BadInput

NEEDED = ("id", "actions")
ID = re.compile(r"[A-Za-z0-9_-]+")
CLASS = re.compile(r"c(\d{3})")
AGAIN = "unpack Charades.zip again (from https://prior.allenai.org/projects/charades)"


class Action(NamedTuple):
    """One class, while it goes on: from `begin` to `end`, in seconds."""

    label: int
    begin: float
    end: float


Actions = tuple[Action, ...]  # of one video


def annotations(path: Path, classes: int) -> dict[str, Actions]:
    """What goes on in each video, by its id, in the file's order.

    Raises:
        BadInput: no such file, no table, a column is missing, there is no row, an id is odd or there twice, or actions cannot be
            read or are of an unknown class.
    """
    rows = table(path)
    found: dict[str, Actions] = {}
    for video, text in zip(rows["id"], rows["actions"], strict=True):
        if not ID.fullmatch(video):
            raise BadInput(f"{path}: an id is of letters, digits, - or _, got {video!r}; {AGAIN}")
        if video in found:
            raise BadInput(f"{path} has the video {video} twice; keep one of the two rows")
        found[video] = tuple(action(part, classes, f"{path}: the video {video}") for part in text.split(";") if part.strip())
    return found


def table(path: Path) -> pd.DataFrame:
    """All rows, as text.

    Raises:
        BadInput: no such file, no table, a column is missing, or there is no row.
    """
    if not path.is_file():
        raise BadInput(f"no file {path}: {AGAIN}, and point --data at the folder that holds it and the videos")
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:  # pandas' own are ValueErrors
        raise BadInput(f"cannot read {path}: {str(error).strip()}; {AGAIN}") from None
    missing = [name for name in NEEDED if name not in rows]
    if missing:
        raise BadInput(
            f"{path} lacks the column {', '.join(missing)}; expected {', '.join(NEEDED)}, got {', '.join(map(str, rows))}"
        )
    if rows.empty:
        raise BadInput(f"{path} lists no videos; {AGAIN}")
    return rows


def action(text: str, classes: int, where: str) -> Action:
    """One of "c092 11.90 21.20".

    Raises:
        BadInput: it is not of that form, or the class is unknown; the message begins with `where`.
    """
    parts = text.split()
    name = CLASS.fullmatch(parts[0])
    try:
        begin, end = map(float, parts[1:])
    except ValueError:
        begin = end = float("nan")
    if not (name and isfinite(begin) and isfinite(end)):
        raise BadInput(f"{where} has the action {text!r}; expected a class, a begin and an end, such as 'c092 11.90 21.20'")
    if int(name[1]) >= classes:
        raise BadInput(f"{where} has the unknown class {parts[0]}; there are c000 to c{classes - 1:03d}")
    return Action(int(name[1]), begin, end)


def row(actions: Actions) -> str:
    """The actions of a video as the column has them."""
    return ";".join(f"c{label:03d} {begin:.2f} {end:.2f}" for label, begin, end in actions)
