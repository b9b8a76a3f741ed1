"""From records to tables, figures and verdicts: gathered once, then printed and written. Trains nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from nlrepro.config import Profile
from nlrepro.files import write_atomic
from nlrepro.record import Record, damaged_records, digest, read_records, record_path
from nlrepro.report import text
from nlrepro.report.figures import (
    draw_curves,
    draw_flops,
    draw_gains,
    draw_kinds,
    draw_rows,
    draw_task,
    to_svg,
)
from nlrepro.report.tables import claims_frame, kinds_frame, released_frames, table_frame, with_released
from nlrepro.run import Folders, Run, with_parents
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.stats.evidence import Evidence
from nlrepro.stats.verdicts import Verdict
from nlrepro.table import Catalogue, Table
from nlrepro.task import VIDEO

PUBLISHED = Path("results/published")
FIGURE_4 = {"C2D baseline": RunSpec().key, "NL C2D, 5-block": RunSpec(net=NetSpec(blocks="5-block")).key}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Fresh records of one profile in one folder; `name` heads their columns: here, published or yours."""

    name: str
    results: Path
    runs: tuple[Record, ...]
    tests: tuple[Record, ...]  # of given weights
    stale: tuple[Path, ...]  # made with other settings or data


@dataclass(frozen=True, kw_only=True)
class TableReport:
    """One table with all that stands around it. The last source is the one that the verdicts are of."""

    table: Table
    sources: tuple[Source, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def records(self) -> tuple[Record, ...]:
        return self.sources[-1].runs

    @property
    def tests(self) -> list[Record]:
        return [test for source in reversed(self.sources) for test in source.tests]

    @cached_property
    def frames(self) -> dict[str, pd.DataFrame]:
        """The table's frame by source."""
        return {source.name: table_frame(self.table, source.runs) for source in self.sources}

    @cached_property
    def released(self) -> dict[str, pd.DataFrame]:
        return released_frames(self.table, self.tests)

    @property
    def last(self) -> pd.DataFrame:
        """The frame that the verdicts are of."""
        return self.frames[self.sources[-1].name]

    @cached_property
    def kinds(self) -> pd.DataFrame:
        return kinds_frame(self.table, self.records)

    @cached_property
    def text(self) -> pd.DataFrame:
        """The table to read."""
        return text.side_by_side(self.table, self.frames, self.released)

    @property
    def measured(self) -> bool:
        return any(frame["seeds"].any() for frame in self.frames.values())

    @property
    def readable(self) -> bool:
        """Whether there is more than the paper's numbers."""
        return self.measured or bool(self.released)

    @cached_property
    def notes(self) -> list[str]:
        """Where the numbers come from."""
        *others, own = (text.note(self.table, self.table.comparable(source.runs)) for source in self.sources)
        return [own, *(f"Published: {each}" for each in others), *text.released_notes(self.table, self.tests)]

    @cached_property
    def pictures(self) -> dict[str, bytes]:
        """SVG by the end of the file's name: gains, heat map by kind, accuracy and cost, training curves."""
        if not self.table.plotted or not self.table.compared:
            return {}
        pictures = {"": to_svg(draw_gains(self.table, self.frames))}
        if not self.kinds.empty:
            pictures["-kinds"] = to_svg(draw_kinds(self.table, self.kinds))
        if self.table.shows_cost and self.last["seeds"].any():
            pictures["-flops"] = to_svg(draw_flops(self.table, self.last))
        if self.table.task is VIDEO and self.last["seeds"].any():
            pictures["-curves"] = to_svg(draw_rows(self.table, self.records))
        return pictures

    def summary(self, notes: Sequence[str], markdown: bool = False) -> str:
        """The table, its verdicts and the notes, as plain text for the terminal or as Markdown."""
        head, bullet, style = ("## ", "- ", "pipe") if markdown else ("", "", "simple")
        verdicts = "\n".join(bullet + text.verdict_line(verdict) for verdict in self.verdicts)
        parts = [head + self.table.heading, text.to_text(self.text, style), verdicts, *notes]
        return "\n\n".join(filter(None, parts)) + "\n"

    def write(self, tables: Path, figures: Path) -> str:
        """Write the table's files; returns their names."""
        name = f"table{self.table.name}"
        write_atomic(tables / f"{name}.csv", text.to_csv(with_released(self.table, self.last, self.released)))
        write_atomic(tables / f"{name}.md", self.summary(self.notes, markdown=True))
        write_atomic(tables / f"{name}.tex", text.to_latex(self.table.title, self.table.name, self.text))
        files = f"{tables}/{name}.md, .csv, .tex"
        if not self.kinds.empty:
            write_atomic(tables / f"{name}-kinds.csv", text.to_csv(self.kinds))
            files += f", {name}-kinds.csv"
        for end, svg in self.pictures.items():
            write_atomic(figures / f"{name}{end}.svg", svg)
        pictures = ", ".join(f"{name}{end}.svg" for end in self.pictures)
        return f"{files}; {figures}/{pictures}" if pictures else files


@dataclass(frozen=True, kw_only=True)
class ProfileReport:
    """The tables of one task's profile: sentences may compare two of them."""

    profile: Profile
    sources: tuple[Source, ...]
    tables: dict[str, TableReport]
    damaged: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict for report in self.tables.values() for verdict in report.verdicts]

    @cached_property
    def pictures(self) -> dict[str, bytes]:
        """SVG by file name: the task, and how two nets learn."""
        generator, pictures = self.profile.generator, {}
        if VIDEO not in {report.table.task for report in self.tables.values()}:
            return {}
        if {record.key for record in self.sources[-1].runs} >= set(FIGURE_4.values()):
            pictures["curves"] = to_svg(draw_curves(FIGURE_4, self.sources[-1].runs))
        return pictures | ({"task": to_svg(draw_task(generator))} if generator else {})

    def warnings(self) -> list[str]:
        """A line for what is left out: stale records, and damaged ones."""
        stale = self.sources[-1].stale
        verb = "record is" if len(stale) == 1 else "records are"
        why, paths = "made with other settings or data", ", ".join(map(str, stale))
        return [f"{len(stale)} {verb} stale ({why}) and left out: {paths}"] * bool(stale) + list(self.damaged)

    def write(self, names: Sequence[str], results: Path) -> None:
        """Write the files of these tables, and print them."""
        tables, figures = (results / kind / self.name for kind in ("tables", "figures"))
        write_atomic(tables / "claims.csv", text.to_csv(claims_frame(self.verdicts)))
        for name, svg in self.pictures.items():
            write_atomic(figures / f"{name}.svg", svg)
        for name in names:
            report = self.tables[name]
            files = report.write(tables, figures)
            print(f"\n{report.summary(report.notes)}\nwritten: {files}")
        if self.verdicts:
            print(f"\n{text.error_rates(self.verdicts)}")


def gather(catalogue: Catalogue, name: str, folders: Folders) -> list[ProfileReport]:
    """The reports of all tables whose task has a profile of that name, a report a task's profile.

    Local reports hold the published numbers beside your own; the published ones hold only themselves, so that
    they follow from the published records alone.
    """
    tables: dict[str, tuple[Profile, list[Table]]] = {}
    for table in catalogue.values():
        if profile := catalogue.profile(table, [], name):
            tables.setdefault(profile.name, (profile, []))[1].append(table)
    return [profile_report(own, profile, folders) for profile, own in tables.values()]


def profile_report(tables: Sequence[Table], profile: Profile, folders: Folders) -> ProfileReport:
    local = not is_published(folders.results) and PUBLISHED.is_dir()
    sources = [source("published", tables, profile, Folders(results=PUBLISHED))] if local else []
    sources.append(source("yours" if local else "here", tables, profile, folders))
    evidence, declared = Evidence(tables, sources[-1].runs), len(profile.seeds)
    reports = {}
    for table in tables:
        within, own = table.within(profile), sources
        if not (table.trains or profile.real):  # results on generated data are compared with no other system
            own = [replace(each, runs=(), tests=()) for each in sources]
        verdicts = tuple(claim.verdict(evidence, declared) for claim in within.claims)
        published = [each for each in own[:-1] if each.runs or each.tests]
        reports[table.name] = TableReport(table=within, sources=(*published, own[-1]), verdicts=verdicts)
    damaged = [line for each in sources for line in damaged_records(each.results, profile.name)]
    return ProfileReport(profile=profile, sources=tuple(sources), tables=reports, damaged=tuple(damaged))


def source(name: str, tables: Sequence[Table], profile: Profile, folders: Folders) -> Source:
    """The records in `folders.results` that fit specs, profile and data as they are now.

    Published records are not compared with the data that lie here.
    """
    rows = [(table.task, row.spec) for table in tables for row in table.rows if row.spec]
    runs = [Run(task=task, spec=spec, profile=profile, seed=0, folders=folders) for task, spec in rows]
    by_key = {run.key: run for run in with_parents(runs) if run.profile.name == profile.name}
    known = [record for record in read_records(folders.results, profile.name) if record.key in by_key]
    fresh = [record for record in known if is_current(by_key[record.key], record)]
    return Source(
        name=name,
        results=folders.results,
        runs=tuple(record for record in fresh if not record.weights),
        tests=tuple(record for record in fresh if record.weights),
        stale=tuple(record_path(folders.results, record) for record in known if record not in fresh),
    )


def is_current(run: Run, record: Record) -> bool:
    """Whether a record of this key, of a run or of a test of weights, has the settings and data of today."""
    if record.weights:
        return record.fingerprint == digest(run.task.test_settings(run.spec, run.profile, record.weights))
    return record.fingerprint == run.fingerprint and (
        is_published(run.folders.results) or run.is_fresh(record)
    )


def is_published(results: Path) -> bool:
    return results.resolve() == PUBLISHED.resolve()
