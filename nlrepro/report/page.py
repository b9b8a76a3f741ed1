"""One HTML page for people: tables, verdicts, pictures, costs and provenance of several profiles.

page.html and page.css are its look; here are the fields that page.html reads. The page needs no network and
no script, and the same records give the same bytes.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from nlrepro import paper
from nlrepro.record import Record, record_path
from nlrepro.report import text
from nlrepro.report.figures import CHANCE, KINDS, THEME
from nlrepro.report.gather import ProfileReport, Source, TableReport
from nlrepro.stats.verdicts import Verdict

ID = re.compile(r'(\bid="|href="#|url\(#)')
Columns = dict[str, list[str]]  # by title, a text a row


def groups(report: TableReport) -> dict[str, Columns]:
    """The columns of the paper, of the records and of released weights, then costs, by heading.

    Relative costs stand where the paper prints them, counted ones where nothing is recorded or released.
    """
    table, last = report.table, report.last
    frames = {name: frame for name, frame in report.frames.items() if frame["seeds"].any()} | report.released
    columns = {"paper": {title: text.column(last, f"paper_{m}") for m, title in table.measures.items()}}
    for name, frame in frames.items():
        columns[name] = {title: text.column(frame, m) for m, title in table.measures.items()}
    if table.shows_cost:
        for title, (printed, counted) in text.RATIOS.items():
            columns["paper"][title] = text.ratios(last[printed], 1)
            columns.setdefault("counted", {})[title] = text.ratios(last[counted], 2)
    elif list(columns) == ["paper"]:
        columns["counted"] = counts(row.key for row in table.rows)
    if all(cell == text.MISSING for cells in columns["paper"].values() for cell in cells):
        del columns["paper"]  # it has no such table
    return columns


def counts(keys: Iterable[str]) -> Columns:
    """Parameters and multiply-adds at the paper's scale."""
    costs = [paper.costs().get(key, (nan, nan)) for key in keys]
    params, macs = ([text.number(cost[i] / unit) for cost in costs] for i, unit in ((0, 1e6), (1, 1e9)))
    return {"params, M": params, "FLOPs, B": macs}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A net with all that is recorded of it."""

    key: str
    rows: str  # that it fills
    records: list[tuple[str, str, Record]]  # source, file relative to the page, run or test of weights

    @property
    def runs(self) -> list[Record]:
        return [record for _, _, record in self.records if not record.weights]

    @property
    def start(self) -> str:
        """What its runs begin with; empty if it is not recorded."""
        parent = f"{self.key.removesuffix('-long')} of the same seed" if self.key.endswith("-long") else ""
        return " or ".join(sorted({run.made.start or parent for run in self.runs} - {""}))

    @property
    def command(self) -> str:
        """That makes its runs again; empty where weights were only tested."""
        if not self.runs:
            return ""
        run, seeds = self.runs[0], ",".join(text.seeds(self.runs))
        options = f"--only {self.key} --seeds {seeds} --profile {run.profile}"
        return f"python -m ablations sweep {min(run.tables, default='all')} {options}"


@dataclass(frozen=True, kw_only=True)
class Page:
    """All that the page shows of one profile: the tables of each task that has a profile of that name."""

    name: str
    reports: list[ProfileReport]
    folder: Path  # of the page

    @cached_property
    def tables(self) -> list[TableReport]:
        """Of Table 2 all; of other tables those with numbers, or all where there is no Table 2; by name."""
        tables = [report for each in self.reports for report in each.tables.values()]
        tables.sort(key=lambda report: report.table.name)
        return [each for each in tables if each.table.name.startswith("2") or each.readable] or tables

    @property
    def sources(self) -> list[Source]:
        """All that are shown; the last of each report is the one that its verdicts are of."""
        return [source for report in self.reports for source in report.sources]

    @property
    def records(self) -> list[Record]:
        return [record for report in self.reports for record in report.sources[-1].runs]

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict for report in self.tables for verdict in report.verdicts]

    @cached_property
    def places(self) -> dict[str, list[str]]:
        """The rows that a run fills, by key: "2a C2D baseline"."""
        places: dict[str, list[str]] = {}
        for table in (report.table for report in self.tables if report.table.trains):
            for row in table.rows:
                places.setdefault(row.key, []).append(f"{table.name} {table.label(row)}")
        return places

    @property
    def costs(self) -> pd.DataFrame:
        """A line a net: the rows that it fills, its cost at the paper's scale, mean minutes of its runs."""
        rows = {"net": list(self.places), "rows": ["; ".join(rows) for rows in self.places.values()]}
        frame = pd.DataFrame(rows | counts(self.places))
        if self.records:
            keys, minutes = zip(*((r.key, r.made.seconds / 60) for r in self.records), strict=True)
            mean = pd.Series(minutes).groupby(list(keys)).mean().reindex(list(self.places))
            frame["minutes a run"] = [text.number(value) for value in mean]
        return frame

    @property
    def settings(self) -> dict[str, int]:
        """The settings that records were made in, numbered from 1, the first used first."""
        records = (record for source in self.sources for record in (*source.runs, *source.tests))
        made = sorted((record.made for record in records), key=lambda made: made.date)
        return {setting: i for i, setting in enumerate(dict.fromkeys(each.setting for each in made), 1)}

    @property
    def origins(self) -> list[Origin]:
        """One a net, by key."""
        by_key: dict[str, list[tuple[str, str, Record]]] = {}
        for source in self.sources:
            folder = Path(os.path.relpath(source.results, self.folder))
            for record in (*source.runs, *source.tests):
                file = record_path(folder, record).as_posix()
                by_key.setdefault(record.key, []).append((source.name, file, record))
        rows = {key: "; ".join(self.places.get(key, [])) for key in by_key}
        return [Origin(key=key, rows=rows[key], records=by_key[key]) for key in sorted(by_key)]


def render(pages: Sequence[Page], opened: str) -> str:
    """The page as HTML; `opened` is the profile that it opens with."""
    environment = Environment(
        loader=PackageLoader("nlrepro", "report"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline"] = inline
    names = {"text": text, "groups": groups, "kinds": KINDS, "chance": CHANCE}
    return environment.get_template("page.html").render(names, pages=pages, opened=opened) + "\n"


def inline(svg: bytes, label: str, prefix: str) -> Markup:
    """An SVG file as part of a page: without prolog, size and own theme, with ids of its own.

    `label` is for screen readers; `prefix`, unique on the page, goes before each id.
    """
    drawing = re.sub(r"\s*<metadata>.*?</metadata>", "", svg.decode().replace(THEME, ""), flags=re.DOTALL)
    head, end, body = drawing[drawing.index("<svg ") + 5 :].partition(">")
    width = float(re.findall(r' width="([\d.]+)pt"', f" {head}")[0])
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    opening = f'<svg role="img" aria-label="{label}" style="max-width:{width:g}pt" {head}'
    return Markup(opening + end + ID.sub(lambda match: f"{match[1]}{prefix}-", body))
