"""What the one page shows of each profile: Table 2 as the paper lays it out, pictures, costs at the paper's scale."""

from nlrepro.experiments.costs import paper_cost
from nlrepro.experiments.findings import Findings
from nlrepro.report.curves import draw_curves, draw_rows
from nlrepro.report.figures import draw
from nlrepro.report.finding import Finding
from nlrepro.report.kinds import draw_kinds
from nlrepro.report.page import PagePanel, PageProfile
from nlrepro.report.style import to_svg
from nlrepro.spec import NetSpec, RunSpec

PROFILES = ("mini", "paper")  # always on the page; another one, such as your own, joins them when it is reported
ABOUT = {
    "mini": "Generated videos and the paper's topology at an eighth of its width: compare directions and verdicts, not points.",
    "paper": "Kinetics-400 with the paper's nets and recipe.",
}
FIGURE_4 = {"C2D baseline": RunSpec().key, "NL C2D, 5-block": RunSpec(net=NetSpec(blocks="5-block")).key}


def page_profile(found: Findings) -> PageProfile:
    """Everything that the page shows of one profile; curves only of what was trained."""
    keys = {record.key for record in found.records}
    return PageProfile(
        name=found.profile.name,
        about=ABOUT.get(found.profile.name, ""),
        panels=tuple(_panel(finding, found) for finding in found.tables.values()),
        learning=to_svg(draw_curves(FIGURE_4, found.records)) if keys >= set(FIGURE_4.values()) else None,
        costs={spec.key: paper_cost(spec) for spec in found.specs},
        records=tuple(found.records),
    )


def _panel(finding: Finding, found: Findings) -> PagePanel:
    return PagePanel(
        finding=finding,
        gains=to_svg(draw(finding.spec, finding.mine, finding.published)),
        kinds=None if finding.kinds.empty else to_svg(draw_kinds(finding.spec, finding.kinds)),
        curves=to_svg(draw_rows(finding.spec, found.records)) if finding.mine["top1"].notna().any() else None,
    )
