"""From records to what people read: tables, figures, verdicts and one page; and from local results to published ones."""

from collections.abc import Sequence
from pathlib import Path

from nlrepro import evaluation as evaluations
from nlrepro import profiles
from nlrepro import record as records
from nlrepro.errors import BadInput
from nlrepro.experiments import findings
from nlrepro.experiments.catalogue import Catalogue
from nlrepro.experiments.findings import Findings, evaluated, fresh, gather
from nlrepro.experiments.listing import counted
from nlrepro.experiments.pages import PROFILES, page_profile
from nlrepro.experiments.readmes import VARIANTS, write_readmes
from nlrepro.files import write_atomic
from nlrepro.profile import Profile
from nlrepro.report.claims import error_rates, write_claims
from nlrepro.report.kinds import write_kinds
from nlrepro.report.page import PageProfile, write_page
from nlrepro.report.summary import summary
from nlrepro.report.tables import write_table
from nlrepro.run import Folders
from nlrepro.unknown import unknown


def report(catalogue: Catalogue, names: Sequence[str], profile: Profile, folders: Folders) -> None:
    """Write the tables, figures and claims of `folders.results` and the page of all tables; print the tables with their verdicts.

    Local tables show the published numbers beside your own; the published ones show only themselves. The published page is
    that of `PROFILES` alone, whichever profile was published last.
    """
    results, found = folders.results, gather(catalogue, profile, folders)
    if found.stale:
        what = f"{counted(len(found.stale), 'record')} stale (made with other settings or videos) and left out"
        print(f"{what}: {', '.join(map(str, found.stale))}")
    for line in found.unknown:
        print(line)
    page = page_profile(found)
    write_files([axis.table for axis in catalogue.chosen(names)], found, page, results)
    others = [page_profile(gather(catalogue, profiles.load(name), folders)) for name in PROFILES if name != profile.name]
    if profile.name not in PROFILES and results.resolve() == findings.PUBLISHED.resolve():
        shown, first = others, PROFILES[0]
    else:
        shown, first = sorted([page, *others], key=lambda p: [*PROFILES, profile.name].index(p.name)), profile.name
    print(f"written: {write_page(shown, first, results / 'report.html')}")


def write_files(names: Sequence[str], found: Findings, page: PageProfile, results: Path) -> None:
    tables, figures = (results / kind / found.profile.name for kind in ("tables", "figures"))
    write_claims(found.verdicts, tables)
    for name, svg in page.pictures(names).items():
        write_atomic(figures / f"{name}.svg", svg)
    panels = {panel.table: panel for panel in page.panels}
    for name in names:
        finding, panel = found.tables[name], panels[name]
        lines, notes = [f"- {verdict.line}" for verdict in finding.verdicts], [error_rates(found.verdicts), *finding.notes]
        write_table(finding.spec, finding.mine, finding.published, tables, ["\n".join(lines), *notes])
        more = write_kinds(finding.spec, finding.kinds, tables)
        print("\n" + summary(finding.spec, finding.mine, finding.published, finding.verdicts, notes))
        texts = ", ".join([f"table{name}.md, .csv, .tex", *(path.name for path in more)])
        print(f"written: {tables}/{texts}; {figures}/{', '.join(f'table{name}{end}.svg' for end in panel.pictures)}")


def publish(
    catalogue: Catalogue, names: Sequence[str], profile: Profile, folders: Folders, seeds: Sequence[int], only: str = "*"
) -> None:
    """Copy all fresh records of the tables' rows to `results/published`, drop stale ones there, and report.

    Raises:
        BadInput: a run whose key matches `only` has no fresh record of one of `seeds`.
    """
    axes = catalogue.chosen(names)
    good = {(record.key, record.seed) for record in fresh(catalogue, axes, profile, folders)[0]}
    wanted = [(job.run.key, job.run.seed) for job in catalogue.jobs(axes, seeds, profile, folders, only)]
    missing = [f"{key} seed {seed}" for key, seed in wanted if (key, seed) not in good]
    if missing:
        raise BadInput(f"not published: no fresh record of {', '.join(missing)}; run the sweep first")
    for line in unknown(folders.results, profile.name):
        print(line)
    public = Folders(results=findings.PUBLISHED)
    for key, seed in good:
        source, target = (records.record_path(at.results, profile.name, key, seed) for at in (folders, public))
        write_atomic(target, source.read_bytes())
    for found in evaluated(catalogue, profile, folders.results)[0]:
        evaluations.write(found, public.results)
    for path in fresh(catalogue, axes, profile, public)[1] + evaluated(catalogue, profile, public.results)[1]:
        path.unlink()
    report(catalogue, names, profile, public)
    if profile.name in VARIANTS:
        write_readmes(catalogue)
