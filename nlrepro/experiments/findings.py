"""What the records of one profile say, gathered once; terminal, files and page each show parts of it. Trains nothing."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nlrepro import evaluation as evaluations
from nlrepro import record as records
from nlrepro.config import Profile
from nlrepro.evaluation import Evaluation, left_out
from nlrepro.experiments.ablation import Ablation
from nlrepro.experiments.catalogue import Axes, Catalogue
from nlrepro.experiments.costs import paper_cost
from nlrepro.record import Record
from nlrepro.report.finding import Finding, note
from nlrepro.report.judge import judge
from nlrepro.report.kinds import kinds_frame
from nlrepro.report.origins import Source
from nlrepro.report.released import released_notes, with_released
from nlrepro.report.tables import TableRow, TableSpec, comparable, table_frame
from nlrepro.report.verdicts import Verdict
from nlrepro.spec import RunSpec
from nlrepro.trial import Folders

PUBLISHED = Path("results/published")


@dataclass(frozen=True, kw_only=True)
class Findings:
    profile: Profile
    specs: list[RunSpec]  # of all rows
    sources: tuple[Source, ...]  # the fresh records, after the published ones where they are local
    stale: list[Path]
    left_out: list[str]  # what is said of records that are damaged or of unknown forms, published ones too
    tables: dict[str, Finding]

    @property
    def records(self) -> tuple[Record, ...]:
        """The fresh ones."""
        return self.sources[-1].records

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict for finding in self.tables.values() for verdict in finding.verdicts]


def gather(catalogue: Catalogue, profile: Profile, folders: Folders) -> Findings:
    """All tables, as a sentence may compare two. Local findings hold the published numbers beside your own.

    The published ones hold only themselves, so that they follow from the published records alone.
    """
    results, specs = folders.results, [table_spec(axis) for axis in catalogue.values()]
    is_local = not is_published(results) and PUBLISHED.is_dir()
    mine, stale = source("yours" if is_local else "here", results, catalogue, profile, folders)
    public = source("published", results, catalogue, profile, Folders(results=PUBLISHED))[0] if is_local else None
    verdicts = judge(catalogue.claims, specs, mine.records, len(profile.seeds))
    tables = {spec.table: finding(spec, mine, public, verdicts) for spec in specs}
    untold = [line for folder in (results, *([PUBLISHED] if is_local else [])) for line in left_out(folder, profile.name)]
    return Findings(
        specs=catalogue.specs(),
        profile=profile,
        sources=(*([public] if public else []), mine),
        stale=stale,
        left_out=untold,
        tables=tables,
    )


def source(name: str, page: Path, catalogue: Catalogue, profile: Profile, folders: Folders) -> tuple[Source, list[Path]]:
    """What is recorded and fresh in `folders.results`, and the paths of what is stale; `page` is the folder of the page."""
    runs, stale = fresh(catalogue, list(catalogue.values()), profile, folders)
    tests, stale_too = evaluated(catalogue, profile, folders.results)
    seen = Path(os.path.relpath(folders.results, page))
    return Source(name=name, folder=seen, records=tuple(runs), evaluations=tuple(tests)), stale + stale_too


def finding(spec: TableSpec, mine: Source, public: Source | None, verdicts: Sequence[Verdict]) -> Finding:
    given = [*mine.evaluations, *(public.evaluations if public else ())]
    frame = with_released(table_frame(spec, mine.records), given)
    notes = [note(comparable(spec, mine.records))]
    notes += [f"Published: {note(comparable(spec, public.records))}"] if public else []
    return Finding(
        spec=spec,
        mine=frame,
        published=table_frame(spec, public.records) if public else None,
        kinds=kinds_frame(spec, mine.records),
        verdicts=tuple(verdict for verdict in verdicts if verdict.claim.table == spec.table),
        notes=(*notes, *released_notes(frame, given)),
    )


def is_published(results: Path) -> bool:
    return results.resolve() == PUBLISHED.resolve()


def table_spec(axis: type[Ablation]) -> TableSpec:
    """The table's rows; costs are counted at the paper's scale, whichever profile the records are of."""
    specs = [axis.spec(**row.value) for row in axis.rows]
    rows = (
        TableRow(label=row.label, depth=spec.net.depth, key=spec.key, cost=paper_cost(spec) if axis.shows_cost else None)
        for row, spec in zip(axis.rows, specs, strict=True)
    )
    return TableSpec(table=axis.table, title=axis.title, rows=tuple(rows))


def fresh(catalogue: Catalogue, axes: Axes, profile: Profile, folders: Folders) -> tuple[list[Record], list[Path]]:
    """The records that fit specs, profile and videos as they are now; the paths of those that do not.

    Published records are not held to the videos that lie here.
    """
    public = is_published(folders.results)
    runs = {job.run.key: job.run for job in catalogue.complete(axes, [0], profile, folders)}
    good, stale = [], []
    for record in records.read_all(folders.results, profile.name):
        if record.key not in runs:
            continue
        run = replace(runs[record.key], seed=record.seed)
        if run.has_settings_of(record) if public else run.is_fresh(record):
            good.append(record)
        else:
            stale.append(run.record_path)
    return good, stale


def evaluated(catalogue: Catalogue, profile: Profile, results: Path) -> tuple[list[Evaluation], list[Path]]:
    """The tests of given weights that fit the specs and the profile as they are now; the paths of those that do not."""
    specs = {spec.key: spec for spec in catalogue.specs()}
    good, stale = [], []
    for found in evaluations.read_all(results, profile.name):
        if found.key in specs and evaluations.is_fresh(found, specs[found.key], profile):
            good.append(found)
        else:
            stale.append(evaluations.evaluation_path(results, found))
    return good, stale
