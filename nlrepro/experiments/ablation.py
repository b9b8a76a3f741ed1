"""What the seven experiments share: a Lightning module that is built from a value on its axis, rows and sentences as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, ClassVar

from pydantic import ValidationError, validate_call

from nlrepro.config import Profile
from nlrepro.files import BadInput
from nlrepro.report.claims import Claim
from nlrepro.spec import RunSpec, explain
from nlrepro.train.module import VideoClassifier


@dataclass(frozen=True)
class Row:
    """A row of a table: the paper's label, and its value on the axis, {} for the baseline."""

    label: str
    value: Mapping[str, Any] = field(default_factory=dict)


class Ablation(VideoClassifier):
    """One axis of Table 2: `PairwiseForm(load("mini"), form="dot")` is the Lightning module of its net and recipe.

    The first row of each depth is the baseline that the table's differences are taken against.
    """

    table: ClassVar[str]
    title: ClassVar[str]
    rows: ClassVar[tuple[Row, ...]]
    claims: ClassVar[tuple[Claim, ...]]  # the sentences that the paper draws from the table
    shows_cost: ClassVar[bool] = False  # whether parameters and multiply-adds are columns of the table

    def __init__(self, profile: Profile, *, devices: int = 1, **value: Any) -> None:
        super().__init__(self.at(**value), profile, devices)

    @staticmethod
    def spec(*args: Any, **value: Any) -> RunSpec:
        """The run at a value of the axis; the parameters are what the axis varies, all else is held fixed."""
        raise NotImplementedError

    @classmethod
    def at(cls, **value: Any) -> RunSpec:
        """`spec`, for values that nobody has checked.

        Raises:
            BadInput: the axis does not vary that, or has no such value.
        """
        try:
            return validate_call(cls.spec)(**value)
        except ValidationError as error:
            raise BadInput(f"{cls.__name__} varies {', '.join(signature(cls.spec).parameters)}; {explain(error)}") from None
