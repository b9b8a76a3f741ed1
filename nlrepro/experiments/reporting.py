"""From records to what people read: tables, figures, verdicts, and one page of all profiles."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nlrepro.beyond.reporting import Board, board, write
from nlrepro.config import Profile, load_profile
from nlrepro.experiments import findings
from nlrepro.experiments.catalogue import Catalogue
from nlrepro.experiments.costs import paper_cost
from nlrepro.experiments.findings import Findings, gather
from nlrepro.experiments.listing import counted
from nlrepro.files import write_atomic
from nlrepro.report.curves import draw_curves, draw_rows
from nlrepro.report.figures import draw_gains, to_svg
from nlrepro.report.finding import Finding
from nlrepro.report.kinds import draw_kinds, write_kinds
from nlrepro.report.others import shown, write_comparison
from nlrepro.report.page import write_page
from nlrepro.report.panels import PagePanel, PageProfile
from nlrepro.report.task import draw_task
from nlrepro.report.verdicts import error_rates, write_claims
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.trial import Folders

PROFILES = ("mini", "paper")  # always on the page; another one, such as your own, joins them when it is reported
FIGURE_4 = {"C2D baseline": RunSpec().key, "NL C2D, 5-block": RunSpec(net=NetSpec(blocks="5-block")).key}


def report(catalogue: Catalogue, names: Sequence[str], profile: Profile, folders: Folders) -> None:
    """Write the tables, figures and claims of `folders.results` and the page of all tables; print the tables with their verdicts.

    Local tables show the published numbers beside your own; the published ones show only themselves. The published page is
    that of `PROFILES` alone, whichever profile was published last.
    """
    results, found = folders.results, gather(catalogue, profile, folders)
    compared = [name for name in names if name in catalogue.comparisons]
    own = [name for name in names if name not in compared]
    others = [gather(catalogue, load_profile(name), folders) for name in PROFILES if name != profile.name]
    if found.stale:
        what = f"{counted(len(found.stale), 'record')} stale (made with other settings or videos) and left out"
        print(f"{what}: {', '.join(map(str, found.stale))}")
    for line in (line for one in (found, *others) for line in one.left_out):
        print(line)
    pages = [page_profile(one, catalogue, boards(catalogue, one.profile.name, folders)) for one in (found, *others)]
    page = pages[0]
    if own or not compared:
        write_files([axis.table for axis in catalogue.chosen(own)], found, page, results)
    for one in page.boards if "all" in own else ():
        write(one, folders)
    for name in compared:
        frame = beside_others(catalogue, name, found)
        print("\n" + write_comparison(catalogue.comparisons[name], frame, results / "tables" / profile.name))
    if profile.name not in PROFILES and results.resolve() == findings.PUBLISHED.resolve():
        shown, first = pages[1:], PROFILES[0]
    else:
        order = [*PROFILES, profile.name]
        shown, first = sorted(pages, key=lambda p: order.index(p.name)), profile.name
    print(f"written: {write_page(shown, first, results / 'report.html')}")


def beside_others(catalogue: Catalogue, name: str, found: Findings) -> pd.DataFrame:
    """A comparison with other systems; their numbers are of real videos, so that records of generated ones stand in none."""
    mine = found.sources[-1]
    runs, tests = (mine.records, mine.evaluations) if found.profile.real else ((), ())
    return shown(catalogue.comparisons[name], runs, tests)


def write_files(names: Sequence[str], found: Findings, page: PageProfile, results: Path) -> None:
    tables, figures = (results / kind / found.profile.name for kind in ("tables", "figures"))
    write_claims(found.verdicts, tables)
    for name, svg in page.pictures(names).items():
        write_atomic(figures / f"{name}.svg", svg)
    panels = {panel.table: panel for panel in page.panels}
    for name in names:
        finding, panel = found.tables[name], panels[name]
        notes = [error_rates(found.verdicts), *finding.notes]
        finding.write(tables, notes)
        more = write_kinds(finding.spec, finding.kinds, tables)
        print("\n" + finding.summary(notes))
        texts = ", ".join([f"table{name}.md, .csv, .tex", *(path.name for path in more)])
        print(f"written: {tables}/{texts}; {figures}/{', '.join(f'table{name}{end}.svg' for end in panel.pictures)}")


def page_profile(found: Findings, catalogue: Catalogue, others: tuple[Board, ...] = ()) -> PageProfile:
    """Everything that the page shows of one profile; curves only of what was trained; `others` are tables of other tasks."""
    keys = {record.key for record in found.records}
    return PageProfile(
        name=found.profile.name,
        about=about(found.profile),
        panels=tuple(_panel(finding, found) for finding in found.tables.values()),
        task=to_svg(draw_task(found.profile.generator)) if found.profile.generator else None,
        learning=to_svg(draw_curves(FIGURE_4, found.records)) if keys >= set(FIGURE_4.values()) else None,
        costs={spec.key: paper_cost(spec) for spec in found.specs},
        sources=found.sources,
        compared={
            f"Table {name}: {each.title}": beside_others(catalogue, name, found)
            for name, each in catalogue.comparisons.items()
            if found.profile.real
        },
        boards=others,
    )


def boards(catalogue: Catalogue, profile: str, folders: Folders) -> tuple[Board, ...]:
    """The tables of other tasks whose profile has this name, where anything is recorded of them."""
    found = [board(each, profile, folders) for each in catalogue.beyond.values() if each.folder(profile)]
    return tuple(each for each in found if each.recorded)


def about(profile: Profile) -> str:
    """What a stranger must know of a profile's numbers before reading any of them."""
    task, width = profile.generator, profile.geometry.width
    if task is None:
        return "Real videos with the paper's nets and recipe, or what the profile says otherwise."
    frames = ", ".join(f"{kind} clips have {clips.frames} frames" for kind, clips in profile.clips.items())
    classes = " or ".join(str(number) for number in sorted({clips.classes for clips in profile.clips.values()}))
    return (
        f"Not Kinetics: {task.videos['train']:,} generated training videos of {task.size}x{task.size} pixels, and the paper's "
        f"nets with {width} channels where these have 64. The task is made of the comparisons that the block makes, so gains are "
        "larger than on Kinetics: compare directions and verdicts, not points. "
        f"There are {classes} classes, so that top-5 says little; {frames} (the paper's: short 32, long 128)."
    )


def _panel(finding: Finding, found: Findings) -> PagePanel:
    return PagePanel(
        finding=finding,
        gains=to_svg(draw_gains(finding.spec, finding.mine, finding.published)),
        kinds=None if finding.kinds.empty else to_svg(draw_kinds(finding.spec, finding.kinds)),
        curves=to_svg(draw_rows(finding.spec, found.records)) if finding.mine["top1"].notna().any() else None,
    )
