"""The rows of CSV files that datasets come with; a row that is cut off or damaged is named by its line."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from nlrepro.files import BadInput


def read_rows(path: Path, columns: Sequence[str], advice: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Place of each row, such as "train.csv, line 3", and its fields; only those of `columns` are checked.

    A byte order mark, either kind of line ends, empty lines and odd signs in other columns do no harm.
    pandas would fill a row that is cut off with empty fields.

    Raises:
        BadInput: the file cannot be read or lacks a column; a row is longer or shorter than the first line,
            or ends within quotes; a field has signs that cannot be printed, or is no UTF-8.
    """
    place = f"{path}, line 1"
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if wrong := [column for column in columns if header.count(column) != 1]:
                must = f"its first line must have the column {wrong[0]!r} once"
                raise BadInput(f"cannot read {path}: {must}, got {','.join(header)!r:.200}; {advice}")
            place = f"{path}, line {reader.line_num + 1}"
            for fields in reader:
                if len(fields) not in (0, len(header)):
                    counts = f"{len(fields)} fields where the first line has {len(header)}"
                    raise BadInput(f"{place}: {counts}; {advice}")
                row = dict(zip(header, fields, strict=False))
                if bad := [name for name in columns if not row.get(name, "").isprintable()]:
                    fault = f"{bad[0]} {row[bad[0]]!r:.60} has signs that cannot be printed"
                    raise BadInput(f"{place}: {fault}, or is no UTF-8; {advice}")
                if row:
                    yield place, row
                place = f"{path}, line {reader.line_num + 1}"
    except csv.Error as error:
        raise BadInput(f"{place}: {error}; {advice}") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}; {advice}") from None
