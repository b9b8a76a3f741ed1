"""The CSV files that Kinetics comes with: which videos a split has, and what they show.

Columns label, youtube_id, time_start, time_end, split; only the first two are needed. The releases call the validation split
`val`, `validate` or `validation`, and put the files beside the videos or into a folder `annotations`.
"""

import re
from pathlib import Path

import pandas as pd

from nlrepro.errors import BadInput

SPELLINGS = {"val": ("val", "validate", "validation")}
NEEDED = ("label", "youtube_id")
YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")


def class_name(text: str) -> str:
    """ "petting_cat" and "petting cat" are one class; with spaces, as the CSVs and the authors' list of classes have it."""
    return " ".join(text.replace("_", " ").split())


def annotation_file(root: Path, split: str) -> Path | None:
    """The CSV of a split, if the tree has one."""
    names = [f"{name}.csv" for name in SPELLINGS.get(split, (split,))]
    places = [folder / name for folder in (root, root / "annotations") for name in names]
    return next((path for path in places if path.is_file()), None)


def read_annotations(path: Path, split: str) -> dict[str, str]:
    """YouTube id -> class name, for the rows of the split, in the file's order.

    Raises:
        BadInput: no table, a column is missing, no row is of this split, an id is none, or one id has two labels.
    """
    rows = of_split(read_table(path), path, split)
    labels: dict[str, str] = {}
    for identity, label in zip(rows["youtube_id"], map(class_name, rows["label"]), strict=True):
        if not YOUTUBE_ID.fullmatch(identity):
            raise BadInput(f"{path}: youtube_id has 11 letters, digits, - or _, got {identity!r}; did a spreadsheet change it?")
        if labels.setdefault(identity, label) != label:
            raise BadInput(f"{path} calls {identity} both {labels[identity]!r} and {label!r}; keep one of the two rows")
    return labels


def read_table(path: Path) -> pd.DataFrame:
    """
    Raises:
        BadInput: no table, or a column is missing.
    """
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:  # pandas' own are ValueErrors
        raise BadInput(f"cannot read {path}: {str(error).strip()}; expected a CSV file as Kinetics' own") from None
    missing = [name for name in NEEDED if name not in rows]
    if missing:
        raise BadInput(
            f"{path} lacks the column {', '.join(missing)}; expected {', '.join(NEEDED)}, got {', '.join(map(str, rows))}"
        )
    return rows


def of_split(rows: pd.DataFrame, path: Path, split: str) -> pd.DataFrame:
    """The rows of one split: all of them, if there is no such column."""
    if "split" in rows:
        found = ", ".join(sorted(set(rows["split"]))[:5]) or "no rows"
        rows = rows[rows["split"].isin(SPELLINGS.get(split, (split,)))]
        if rows.empty:
            raise BadInput(f"{path} has no row of the split {split!r}, but {found}; is it the file of another split?")
    return rows
