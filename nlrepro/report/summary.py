"""What the terminal shows at the end of `make table2a`: the table, its verdicts and where the numbers come from."""

from collections.abc import Sequence

import pandas as pd

from nlrepro.report.claims import Verdict
from nlrepro.report.tables import TableSpec, side_by_side


def summary(
    spec: TableSpec,
    mine: pd.DataFrame,
    published: pd.DataFrame | None,
    verdicts: Sequence[Verdict] = (),
    notes: Sequence[str] = (),
) -> str:
    """Plain text; of `verdicts`, those on this table."""
    shown = side_by_side(spec, mine, published)
    align = ("left", *["right"] * (shown.shape[1] - 1))
    table = shown.to_markdown(index=False, tablefmt="simple", disable_numparse=True, colalign=align)
    lines = [verdict.line for verdict in verdicts if verdict.claim.table == spec.table]
    parts = [f"Table {spec.table}. {spec.title}", table, "\n".join(lines), *notes]
    return "\n\n".join(part for part in parts if part) + "\n"
