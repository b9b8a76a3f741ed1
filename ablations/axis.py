"""What the seven axes share: rows and sentences as data. An axis is a Lightning module; its rows map axis values to run specs."""

from dataclasses import dataclass
from typing import Any, ClassVar

from nlrepro.report.contrasts import Claim
from nlrepro.spec import Depth, RunSpec
from nlrepro.train.module import VideoClassifier


@dataclass(frozen=True)
class Row:
    """A row of a table: the paper's label, its backbone's depth, and the value on the axis (None: the baseline)."""

    label: str
    value: Any
    depth: Depth = 50


class Ablation(VideoClassifier):
    """One axis of Table 2. The first row of each depth is the baseline that the table's differences are taken against."""

    table: ClassVar[str]
    title: ClassVar[str]
    rows: ClassVar[tuple[Row, ...]]
    claims: ClassVar[tuple[Claim, ...]]  # the sentences that the paper draws from the table
    shows_cost: ClassVar[bool] = False  # whether parameters and multiply-adds are columns of the table

    @classmethod
    def spec(cls, row: Row) -> RunSpec:
        """The run that gives this row."""
        raise NotImplementedError
