"""From records to what people read: tables, figures and verdicts; and from local results to published ones. Trains nothing."""

from collections.abc import Sequence
from pathlib import Path

from ablations import TABLES, Ablation, catalogue
from ablations.listing import counted
from nlrepro import evaluation as evaluations
from nlrepro import profile as profiles
from nlrepro import record as records
from nlrepro.errors import BadInput
from nlrepro.evaluation import Evaluation
from nlrepro.files import write_whole
from nlrepro.nets.cost import cost
from nlrepro.profile import Profile
from nlrepro.record import Record
from nlrepro.reports.claims import judge, write_claims
from nlrepro.reports.curves import write_curves
from nlrepro.reports.figures import write_figure
from nlrepro.reports.readme import paste, without_heading
from nlrepro.reports.released import released_notes, with_released
from nlrepro.reports.sentences import CLAIMS
from nlrepro.reports.summary import summary
from nlrepro.reports.tables import TableRow, TableSpec, comparable, note, table_frame, write_table
from nlrepro.runs.job import with_parents
from nlrepro.runs.place import Place
from nlrepro.spec import NetSpec, RunSpec

PUBLISHED = Path("results/published")
CURVES = {"C2D baseline": RunSpec().key, "NL C2D, 5-block": RunSpec(net=NetSpec(blocks="5-block")).key}  # the paper's Figure 4


def table_spec(axis: type[Ablation]) -> TableSpec:
    """The table's rows; costs are counted at the paper's scale, whichever profile the records are of."""
    specs = [axis.spec(row) for row in axis.rows]
    costs = [cost(spec, profiles.load("paper")) if axis.shows_cost else None for spec in specs]
    rows = (
        TableRow(label=row.label, depth=row.depth, key=spec.key, cost=cost)
        for row, spec, cost in zip(axis.rows, specs, costs, strict=True)
    )
    return TableSpec(table=axis.table, title=axis.title, rows=tuple(rows))


def fresh(axes: Sequence[type[Ablation]], profile: Profile, place: Place) -> tuple[list[Record], list[Path]]:
    """The records, of warm starts too, that fit specs, profile and videos as they are now; the paths of those that do not.

    Published records are not held to the videos that lie here.
    """
    results, published = place.results, place.results.resolve() == PUBLISHED.resolve()
    specs = {job.spec.key: job.spec for job in with_parents(catalogue.jobs(axes, [0]), profile)}
    good, stale = [], []
    for record in records.read_all(results, profile.name):
        spec = specs.get(record.key)
        videos = place.videos(profile, spec) if spec and record.videos and not published else None
        if spec and records.is_fresh(record, spec, profile, videos):
            good.append(record)
        elif spec:
            stale.append(records.record_path(results, profile.name, record.key, record.seed))
    return good, stale


def evaluated(profile: Profile, results: Path) -> tuple[list[Evaluation], list[Path]]:
    """The tests of given weights that fit the specs and the profile as they are now; the paths of those that do not."""
    specs = {spec.key: spec for spec in catalogue.specs(TABLES.values())}
    good, stale = [], []
    for found in evaluations.read_all(results, profile.name):
        if found.key in specs and evaluations.is_fresh(found, specs[found.key], profile):
            good.append(found)
        else:
            stale.append(evaluations.evaluation_path(results, found))
    return good, stale


def report(axes: Sequence[type[Ablation]], profile: Profile, place: Place) -> None:
    """Write the tables, figures and claims of `results`, and print the tables with their verdicts.

    Local tables show the published numbers beside your own; the published ones show only themselves.
    """
    results, everything = place.results, list(TABLES.values())  # a sentence may compare two tables
    mine, stale = fresh(everything, profile, place)
    given, stale_too = evaluated(profile, results)
    if stale + stale_too:
        what = f"{counted(len(stale + stale_too), 'record')} stale (made with other settings or videos) and left out"
        print(f"{what}: {', '.join(map(str, stale + stale_too))}")
    is_local = results.resolve() != PUBLISHED.resolve() and PUBLISHED.is_dir()
    public = fresh(everything, profile, Place(results=PUBLISHED))[0] if is_local else None
    given += evaluated(profile, PUBLISHED)[0] if is_local else []
    tables, figures = results / "tables" / profile.name, results / "figures" / profile.name
    specs = {axis.table: table_spec(axis) for axis in everything}
    verdicts = judge(CLAIMS, list(specs.values()), mine)
    write_claims(verdicts, tables)
    write_curves(CURVES, mine, figures / "curves.svg")
    for axis in axes:
        spec = specs[axis.table]
        frame, theirs = with_released(table_frame(spec, mine), given), None if public is None else table_frame(spec, public)
        lines = [verdict.line for verdict in verdicts if verdict.claim.table == axis.table]
        sources = [note(comparable(spec, mine))] + ([] if public is None else [f"Published: {note(comparable(spec, public))}"])
        sources += released_notes(frame, given)
        write_table(spec, frame, theirs, tables, ["\n".join(f"- {line}" for line in lines), *sources])
        figure = write_figure(spec, frame, theirs, figures)
        print("\n" + summary(spec, frame, theirs, verdicts, sources))
        print(f"written: {tables}/table{spec.table}.md, .csv, .tex; {figure}")


def publish(axes: Sequence[type[Ablation]], profile: Profile, place: Place, seeds: Sequence[int], only: str = "*") -> None:
    """Copy all fresh records of the tables' rows to `results/published`, drop stale ones there, and report.

    Raises:
        BadInput: a run whose key matches `only` has no fresh record of one of `seeds`.
    """
    public = Place(results=PUBLISHED)
    good = {(record.key, record.seed) for record in fresh(axes, profile, place)[0]}
    wanted = [(job.spec.key, job.seed) for job in catalogue.jobs(axes, seeds, only)]
    missing = [f"{key} seed {seed}" for key, seed in wanted if (key, seed) not in good]
    if missing:
        raise BadInput(f"not published: no fresh record of {', '.join(missing)}; run the sweep first")
    for key, seed in good:
        source, target = (records.record_path(at, profile.name, key, seed) for at in (place.results, PUBLISHED))
        write_whole(target, source.read_bytes())
    for found in evaluated(profile, place.results)[0]:
        evaluations.write(found, PUBLISHED)
    for path in fresh(axes, profile, public)[1] + evaluated(profile, PUBLISHED)[1]:
        path.unlink()
    report(axes, profile, public)
    if profile.name == "mini":
        for axis in axes:
            table = f"table{axis.table}"
            paste(Path("README.md"), table, without_heading((PUBLISHED / "tables" / profile.name / f"{table}.md").read_text()))
