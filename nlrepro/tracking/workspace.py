"""A saved workspace at wandb: a section a table with accuracy per row, curves grouped by row, accuracy against cost."""

from collections.abc import Mapping
from pathlib import Path

import wandb_workspaces.reports.v2 as reports
import wandb_workspaces.workspaces as workspaces
from wandb_workspaces import expr

from nlrepro.files import write_atomic
from nlrepro.tracking.dashboard import LOSS, PROJECT, STEP, TEST, VALIDATION, tag

ROW = reports.Config("key")


def section(table: str, title: str) -> workspaces.Section:
    """Panels of the metrics under the table's name, which only its rows have; bands span the seeds."""
    test, validation, loss = (f"{tag(table)}/{name}" for name in (TEST, VALIDATION, LOSS))
    return workspaces.Section(
        name=f"Table {table}. {title}",
        is_open=True,
        layout_settings=workspaces.SectionLayoutSettings(columns=2, rows=2),
        panels=[
            reports.BarPlot(
                title="Test accuracy per row, mean and range of the seeds",
                metrics=[test],
                title_x="top-1, %",
                groupby=ROW,
                groupby_aggfunc="mean",
                groupby_rangefunc="minmax",
            ),
            reports.ScatterPlot(
                title="Test accuracy against cost",
                x=reports.Config("macs"),
                y=reports.SummaryMetric(test),
                legend_template="${config:key}: ${x} multiply-adds, ${y} %",
            ),
            _curves("Validation accuracy, %", validation),
            _curves("Training loss", loss),
        ],
    )


def _curves(title: str, metric: str) -> reports.LinePlot:
    return reports.LinePlot(
        title=title, x=STEP, y=[metric], groupby=ROW, groupby_aggfunc="mean", groupby_rangefunc="minmax", smoothing_factor=0
    )


def workspace(entity: str, profile: str, titles: Mapping[str, str]) -> workspaces.Workspace:
    """The runs of one profile, grouped by net; `titles` by table."""
    return workspaces.Workspace(
        entity=entity,
        project=PROJECT,
        name=f"Table 2, {profile}",
        sections=[section(table, title) for table, title in titles.items()],
        settings=workspaces.WorkspaceSettings(x_axis=STEP, max_runs=100, sort_panels_alphabetically=False),
        runset_settings=workspaces.RunsetSettings(
            filters=expr.And(expr.Config("profile") == profile),
            groupby=[expr.Config("key")],
            order=[expr.Ordering(expr.Config("key"), ascending=True)],
            pinned_columns=["config:seed", f"summary:{TEST}", "config:macs"],
        ),
    )


def save(entity: str, profile: str, titles: Mapping[str, str], memory: Path) -> str:
    """Save the workspace, in place of the one whose address `memory` holds; returns the address."""
    made = workspace(entity, profile, titles)
    if memory.is_file():
        old = workspaces.Workspace.from_url(memory.read_text())
        old.sections, old.settings, old.runset_settings = made.sections, made.settings, made.runset_settings
        made = old
    made.save()
    write_atomic(memory, made.url)
    return str(made.url)
