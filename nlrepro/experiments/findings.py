"""What the records of one profile say, gathered once; terminal, files and page each show parts of it. Trains nothing."""

from dataclasses import dataclass, replace
from pathlib import Path

from nlrepro import evaluation as evaluations
from nlrepro import record as records
from nlrepro.evaluation import Evaluation, left_out
from nlrepro.experiments.ablation import Ablation
from nlrepro.experiments.catalogue import Axes, Catalogue
from nlrepro.experiments.costs import paper_cost
from nlrepro.profile import Profile
from nlrepro.record import Record
from nlrepro.report.finding import Finding, note
from nlrepro.report.judge import judge
from nlrepro.report.kinds import kinds_frame
from nlrepro.report.released import released_notes, with_released
from nlrepro.report.replication import Replication
from nlrepro.report.tables import TableRow, TableSpec, comparable, table_frame
from nlrepro.report.verdicts import Verdict
from nlrepro.run import Folders
from nlrepro.spec import RunSpec

PUBLISHED = Path("results/published")
REPLICATIONS = Path("results/replications")  # a folder of results for each; `import-records` fills them


@dataclass(frozen=True, kw_only=True)
class Findings:
    profile: Profile
    specs: list[RunSpec]  # of all rows
    records: list[Record]  # the fresh ones
    stale: list[Path]
    left_out: list[str]  # what is said of records that are damaged or of unknown forms, published ones too
    tables: dict[str, Finding]

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict for finding in self.tables.values() for verdict in finding.verdicts]


def gather(catalogue: Catalogue, profile: Profile, folders: Folders) -> Findings:
    """All tables, as a sentence may compare two. Local findings hold the published numbers, and replications, beside your own.

    The published ones hold only themselves, so that they follow from the published records alone.
    """
    axes, results = list(catalogue.values()), folders.results
    mine, stale = fresh(catalogue, axes, profile, folders)
    given, stale_too = evaluated(catalogue, profile, results)
    is_local = not is_published(results) and PUBLISHED.is_dir()
    public = fresh(catalogue, axes, profile, Folders(results=PUBLISHED))[0] if is_local else None
    given += evaluated(catalogue, profile, PUBLISHED)[0] if is_local else []
    specs = [table_spec(axis) for axis in axes]
    verdicts = judge(catalogue.claims, specs, mine, len(profile.seeds))
    theirs, said = ([], []) if is_published(results) else replicated(catalogue, specs, profile, results)
    tables = {spec.table: finding(spec, mine, public, given, verdicts, theirs) for spec in specs}
    untold = [line for folder in (results, *([PUBLISHED] if is_local else [])) for line in left_out(folder, profile.name)]
    return Findings(
        specs=catalogue.specs(), profile=profile, records=mine, stale=stale + stale_too, left_out=untold + said, tables=tables
    )


def finding(
    spec: TableSpec,
    mine: list[Record],
    public: list[Record] | None,
    given: list[Evaluation],
    verdicts: list[Verdict],
    theirs: list[Replication],
) -> Finding:
    frame = with_released(table_frame(spec, mine), given)
    shown = [replication for replication in theirs if comparable(spec, replication.records)]
    sources = [note(comparable(spec, mine))] + ([] if public is None else [f"Published: {note(comparable(spec, public))}"])
    sources += [replication.line(spec, public or []) for replication in shown]
    return Finding(
        spec=spec,
        mine=frame,
        published=None if public is None else table_frame(spec, public),
        kinds=kinds_frame(spec, mine),
        verdicts=tuple(verdict for verdict in verdicts if verdict.claim.table == spec.table),
        notes=(*sources, *released_notes(frame, given)),
        replications={replication.name: table_frame(spec, replication.records) for replication in shown},
    )


def replicated(
    catalogue: Catalogue, specs: list[TableSpec], profile: Profile, results: Path
) -> tuple[list[Replication], list[str]]:
    """The replications that have fresh records, except one that is reported itself; what is said of other records in them."""
    found, said = [], []
    for folder in replications():
        if folder.resolve() != results.resolve():
            good, old = fresh(catalogue, catalogue.values(), profile, Folders(results=folder))
            words = judge(catalogue.claims, specs, good, len(profile.seeds)) if good else []
            found += [Replication(name=folder.name, records=good, verdicts=words)] * bool(good)
            said += [f"of other settings than now, left out: {', '.join(map(str, old))}"] * bool(old)
            said += left_out(folder, profile.name)
    return found, said


def is_published(results: Path) -> bool:
    return results.resolve() == PUBLISHED.resolve()


def replications() -> list[Path]:
    """The folders of results of the replications that there are."""
    return sorted(path for path in REPLICATIONS.glob("*") if path.is_dir())


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

    Published records and those of others are not held to the videos that lie here.
    """
    elsewhere = is_published(folders.results) or folders.results.parent.resolve() == REPLICATIONS.resolve()
    runs = {job.run.key: job.run for job in catalogue.complete(axes, [0], profile, folders)}
    good, stale = [], []
    for record in records.read_all(folders.results, profile.name):
        if record.key not in runs:
            continue
        run = replace(runs[record.key], seed=record.seed)
        if run.has_settings_of(record) if elsewhere else run.is_fresh(record):
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
