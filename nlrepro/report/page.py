"""One HTML page for people: tables, verdicts, pictures, costs and provenance of several profiles.

page.html and page.css are its look; here are the fields that page.html reads. The page needs no network and
no script, and the same records give the same bytes.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from nlrepro import paper
from nlrepro.files import write_atomic
from nlrepro.record import Record, record_path
from nlrepro.report import text
from nlrepro.report.figures import THEME, kinds_caption
from nlrepro.report.gather import ProfileReport, Source, TableReport, about
from nlrepro.report.tables import cost_table, released_names
from nlrepro.stats.verdicts import WORDS, Verdict, error_rates
from nlrepro.table import Row

ID = re.compile(r'(\bid="|href="#|url\(#)')


@dataclass(frozen=True, kw_only=True)
class Column:
    """Numbers, one a row, and the intervals that stand below them."""

    title: str
    cells: list[str]
    intervals: list[str]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Columns under one heading."""

    name: str
    columns: list[Column]

    @property
    def size(self) -> int:
        return len(self.columns)


def groups(report: TableReport) -> list[Group]:
    """The columns of the paper, of the records and of released weights, then costs.

    Relative costs stand where the paper prints them, counted ones where nothing is recorded or released.
    """
    table, frames = report.table, report.frames
    last = frames[report.sources[-1].name]
    measures = table.measures
    columns = {"paper": [column(last, f"paper_{name}", title) for name, title in measures.items()]}
    if table.shows_cost:
        columns["paper"] += [
            column(last, printed, title, ratio=True) for title, (printed, _) in text.RATIOS.items()
        ]
    for name, frame in frames.items():
        if frame["seeds"].any():
            columns[name] = [column(frame, measure, title) for measure, title in measures.items()]
    for name in released_names(table, last):
        columns[name] = [
            column(last, f"released {name} {measure}", title) for measure, title in measures.items()
        ]
    if table.shows_cost:
        columns["counted"] = [
            column(last, counted, title, ratio=True) for title, (_, counted) in text.RATIOS.items()
        ]
    elif list(columns) == ["paper"]:
        columns["counted"] = counts(table.rows)
    return [Group(name=name, columns=of_name) for name, of_name in columns.items()]


def column(frame: pd.DataFrame, name: str, title: str, ratio: bool = False) -> Column:
    """One of a table's frame; intervals where there are some."""
    cells = text.ratios(frame[name]) if ratio else list(map(text.number, frame[name]))
    intervals = [""] * len(frame)
    if f"{name}_low" in frame:
        ends = frame[[f"{name}_low", f"{name}_high"]].to_numpy(float)
        intervals = [
            "" if isnan(low) else f"{text.number(low)}\N{EN DASH}{text.number(high)}" for low, high in ends
        ]
    return Column(title=title, cells=cells, intervals=intervals)


def counts(rows: Sequence[Row]) -> list[Column]:
    """Parameters and multiply-adds at the paper's scale."""
    costs = [paper.costs().get(row.key) for row in rows]
    units = (("params, M", 0, 1e6), ("FLOPs, B", 1, 1e9))
    cells = {
        title: [f"{cost[i] / unit:.1f}" if cost else text.MISSING for cost in costs]
        for title, i, unit in units
    }
    return [Column(title=title, cells=texts, intervals=[""] * len(rows)) for title, texts in cells.items()]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A table as the page shows it."""

    report: TableReport

    @property
    def letter(self) -> str:
        """The panel's letter in the paper's Table 2, or the table's name."""
        name = self.report.table.name
        return f"({name[-1]})" if name.startswith("2") else f"Table {name}."

    @property
    def rows(self) -> list[tuple[Row, str]]:
        """Each with the depth as a heading where it changes, if the table has several."""
        rows, depths = self.report.table.rows, self.report.table.depths
        before = [None, *(row.depth for row in rows)] if len(depths) > 1 else [row.depth for row in rows]
        return [
            (row, f"ResNet-{row.depth}" * (row.depth != last))
            for row, last in zip(rows, before, strict=False)
        ]

    @property
    def groups(self) -> list[Group]:
        return groups(self.report)

    @property
    def by_kind(self) -> pd.DataFrame:
        """The numbers of the heat map."""
        return text.by_kind(self.report.table, self.report.kinds)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A run, or a test of given weights, in the list of origins."""

    source: str
    name: str  # "seed 0", or the file of the weights
    file: str  # the record, as it is reached from the page
    record: Record

    @property
    def when(self) -> str:
        """ "2026-11-25 14:03", in UTC."""
        return self.record.made.date[:16].replace("T", " ")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A net with all that is recorded of it."""

    key: str
    rows: str  # that it fills
    command: str  # that makes its runs again; empty where weights were only tested
    start: str  # what its runs begin with; empty if it is not recorded
    lines: list[Line]


@dataclass(frozen=True, kw_only=True)
class Page:
    """All that the page shows of one profile: the tables of each task that has a profile of that name."""

    name: str
    reports: list[ProfileReport]
    folder: Path  # of the page

    @property
    def about(self) -> str:
        return about(self.reports[0].profile)

    @property
    def pictures(self) -> dict[str, bytes]:
        return self.reports[0].pictures

    @property
    def panels(self) -> list[Panel]:
        """Of Table 2 all; of other tables those with numbers, or all where there is no Table 2."""
        tables = [report for each in self.reports for report in each.tables.values()]
        chosen = [report for report in tables if report.table.name.startswith("2") or report.readable]
        return [Panel(report=report) for report in chosen or tables]

    @property
    def sources(self) -> list[Source]:
        """All that are shown; the last of each report is the one that its verdicts are of."""
        return [source for report in self.reports for source in report.sources]

    @property
    def source_names(self) -> list[str]:
        return list(dict.fromkeys(source.name for source in self.sources if source.runs or source.tests))

    @property
    def records(self) -> list[Record]:
        return [record for report in self.reports for record in report.sources[-1].runs]

    @property
    def readable(self) -> bool:
        return any(panel.report.readable for panel in self.panels)

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict for panel in self.panels for verdict in panel.report.verdicts]

    @property
    def words(self) -> dict[str, int]:
        """How many sentences have each verdict."""
        words = [verdict.verdict for verdict in self.verdicts]
        return {word: words.count(word) for word in WORDS}

    @property
    def preliminary(self) -> int:
        return sum(bool(verdict.preliminary) for verdict in self.verdicts)

    @property
    def error_rates(self) -> str:
        return error_rates(self.verdicts)

    @property
    def heat(self) -> str:
        """How to read the heat maps; empty where there are none."""
        kinds = (panel.report.kinds for panel in self.panels)
        return next((kinds_caption(frame) for frame in kinds if not frame.empty), "")

    @property
    def linked(self) -> set[str]:
        """The groups of columns whose numbers lead to records: sources, and released weights."""
        tests = {test.weights.name for source in self.sources for test in source.tests if test.weights}
        return tests | {source.name for source in self.sources}

    @property
    def places(self) -> dict[str, list[str]]:
        """The rows that a run fills, by key: "2a C2D baseline"."""
        places: dict[str, list[str]] = {}
        for table in (panel.report.table for panel in self.panels if panel.report.table.trains):
            for row in table.rows:
                places.setdefault(row.key, []).append(f"{table.name} {table.label(row)}")
        return places

    @property
    def costs(self) -> pd.DataFrame:
        return cost_table(self.places, self.records)

    @property
    def settings(self) -> dict[str, int]:
        """The settings that records were made in, numbered from 1, the first used first."""
        records = (record for source in self.sources for record in (*source.runs, *source.tests))
        made = sorted((record.made for record in records), key=lambda made: made.date)
        return {setting: i for i, setting in enumerate(dict.fromkeys(each.setting for each in made), 1)}

    @property
    def provenance(self) -> dict[str, str]:
        """Where records come from, as lines to read; empty without records."""
        records = self.records
        if not records:
            return {}
        hours = sum(record.made.seconds for record in records) / 3600
        return {
            "runs": f"{len(records)} of {len({record.key for record in records})} nets",
            "seeds": ", ".join(sorted({str(record.seed) for record in records}, key=int)),
            "date": text.days(records),
            "time": f"{hours:.1f} hours of training and testing, added up",
            "code": ", ".join(sorted({record.made.git for record in records} - {""})) or "no commit noted",
        }

    @property
    def origins(self) -> list[Origin]:
        """One a net, by key."""
        lines: dict[str, list[Line]] = {}
        for source in self.sources:
            folder = Path(os.path.relpath(source.results, self.folder))
            for record in (*source.runs, *source.tests):
                name = record.weights.file if record.weights else f"seed {record.seed}"
                file = record_path(folder, record).as_posix()
                line = Line(source=source.name, name=name, file=file, record=record)
                lines.setdefault(record.key, []).append(line)
        return [origin(key, "; ".join(self.places.get(key, [])), lines[key]) for key in sorted(lines)]


def origin(key: str, rows: str, lines: list[Line]) -> Origin:
    runs = [line.record for line in lines if not line.record.weights]
    parent = f"{key.removesuffix('-long')} of the same seed" if key.endswith("-long") else ""
    starts = {run.made.start or parent for run in runs}
    command = ""
    if runs:
        seeds = ",".join(sorted({str(run.seed) for run in runs}, key=int))
        table = min(runs[0].tables, default="all")
        options = f"--only {key} --seeds {seeds} --profile {runs[0].profile}"
        command = f"python -m ablations sweep {table} {options}"
    start = " or ".join(sorted(filter(None, starts)))
    return Origin(key=key, rows=rows, command=command, start=start, lines=lines)


def render(pages: Sequence[Page], opened: str) -> str:
    """The page as HTML; `opened` is the profile that it opens with."""
    environment = Environment(
        loader=PackageLoader("nlrepro", "report"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline"] = lambda svg, label, prefix: Markup(inline(svg, label, prefix))
    return environment.get_template("page.html").render(pages=pages, opened=opened, text=text) + "\n"


def inline(svg: bytes, label: str, prefix: str) -> str:
    """An SVG file as part of a page: without prolog, size and own theme, with ids of its own.

    `label` is for screen readers; `prefix`, unique on the page, goes before each id.
    """
    drawing = svg.decode().replace(THEME, "")
    drawing = drawing[drawing.index("<svg ") :]
    drawing = re.sub(r"\s*<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    head, end, body = drawing.partition(">")
    width = float(re.findall(r' width="([\d.]+)pt"', head)[0])
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    opening = head.replace("<svg ", f'<svg role="img" aria-label="{label}" style="max-width:{width:g}pt" ', 1)
    return opening + end + ID.sub(lambda match: f"{match[1]}{prefix}-", body)


def write_page(pages: Sequence[Page], opened: str, path: Path) -> Path:
    write_atomic(path, render(pages, opened))
    return path
