"""One table with all that stands around it, and how it is written: as files, and on the terminal."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from nlrepro.files import write_atomic
from nlrepro.record import Provenance, Record
from nlrepro.report.columns import side_by_side
from nlrepro.report.formats import to_csv, to_latex, to_text
from nlrepro.report.tables import TableSpec
from nlrepro.report.verdicts import Verdict


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`mine` and `published` are table frames of `spec`; without `published`, `mine` are the published records.

    `kinds` is the `kinds_frame` of the records of `mine`; it has no lines where their videos are of no kinds.
    """

    spec: TableSpec
    mine: pd.DataFrame
    published: pd.DataFrame | None
    kinds: pd.DataFrame
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]  # where the numbers come from

    @property
    def shown(self) -> pd.DataFrame:
        """The table to read, as text."""
        return side_by_side(self.spec, self.mine, self.published)

    def summary(self, notes: Sequence[str]) -> str:
        """Plain text for the terminal: the table, its verdicts, the notes."""
        lines = "\n".join(verdict.line for verdict in self.verdicts)
        parts = [f"Table {self.spec.table}. {self.spec.title}", to_text(self.shown, "simple"), lines, *notes]
        return "\n\n".join(part for part in parts if part) + "\n"

    def write(self, folder: Path, notes: Sequence[str]) -> None:
        """Write the table's `.csv` (of `mine`), `.md` and `.tex`; under the Markdown stand the verdicts and the notes."""
        table, title, shown = self.spec.table, self.spec.title, self.shown
        lines = "\n".join(f"- {verdict.line}" for verdict in self.verdicts)
        markdown = "\n\n".join([f"## Table {table}. {title}", to_text(shown), lines, *notes]) + "\n"
        contents = {"csv": to_csv(self.mine), "md": markdown, "tex": to_latex(title, table, shown)}
        for ending, text in contents.items():
            write_atomic(folder / f"table{table}.{ending}", text)


class Made(Protocol):
    @property
    def made(self) -> Provenance: ...


def note(records: Sequence[Record]) -> str:
    """Where the numbers come from, in one line: profile, seeds, test videos and views, dates, devices, and what brackets mean."""
    if not records:
        return "No records yet."
    seeds = sorted({r.seed for r in records})
    fewest = min(Counter(r.key for r in records).values())
    views = sorted({r.metrics.views for r in records})
    parts = [
        f"profile {', '.join(sorted({r.profile for r in records}))}",
        f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}" + f" ({fewest} in some rows)" * (fewest < len(seeds)),
        " or ".join(sorted({r.metrics.tested for r in records})),
        f"{'clip' if views == [1] else 'video'}-level accuracy (views a video: {' or '.join(map(str, views))})",
        days(records),
        ", ".join(sorted({r.made.device for r in records})),
    ]
    several = "seeds and test videos (the spread between seeds from all rows together where they agree on it)"
    over = several if len(seeds) > 1 else "test videos only, as there is one seed"
    brackets = f"Brackets: 95 % intervals over {over}"
    return f"{'; '.join(parts)}. {brackets}; delta: points above the baseline, paired by seed and video."


def days(records: Sequence[Made]) -> str:
    """The day of the records, or the first and the last one."""
    dates = sorted({record.made.date[:10] for record in records})
    return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
