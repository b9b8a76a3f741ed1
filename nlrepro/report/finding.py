"""One table with all that stands around it: what a report shows, whether in a terminal, a file or a page."""

from dataclasses import dataclass

import pandas as pd

from nlrepro.report.claims import Verdict
from nlrepro.report.tables import TableSpec


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`mine` and `published` are table frames of `spec`; without `published`, `mine` are the published records.

    `kinds` is the `kinds_frame` of the records of `mine`; it has no lines where their videos are of no kinds.
    """

    spec: TableSpec
    mine: pd.DataFrame
    published: pd.DataFrame | None
    kinds: pd.DataFrame
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]  # where the numbers come from

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """By the name to show."""
        return {"here": self.mine} if self.published is None else {"published": self.published, "yours": self.mine}
