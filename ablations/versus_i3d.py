"""Table 2e, non-local net vs. 3D ConvNet: two ways to look across time, and what they cost.

The paper's claim (section 5.1): the non-local C2D model is "more accurate than the I3D counterpart (75.1 vs. 74.4), while having
a smaller number of FLOPs (1.2x vs. 1.5x)": used alone it can be more effective than 3D convolutions.

Axis: nothing, 3x3x3 or 3x1x1 kernels in every second residual block, or five non-local blocks.
Fixed: ResNet-101, 32-frame clips. Parameters and FLOPs are relative to the C2D baseline's 43.2 M and 34.2 B.
"""

from typing import ClassVar

from ablations.axis import Ablation, Row
from nlrepro.report.contrasts import Beats, Cheaper, Claim, beat
from nlrepro.spec import NetSpec, RunSpec

PAIRS = beat("2e", 101, ("NL C2D, 5-block", "I3D 3x3x3"), ("NL C2D, 5-block", "I3D 3x1x1"))


class VersusI3D(Ablation):
    table: ClassVar[str] = "2e"
    title: ClassVar[str] = "Non-local vs. 3D Conv: a 5-block non-local C2D vs. inflated 3D ConvNet (I3D)"
    shows_cost: ClassVar[bool] = True
    rows: ClassVar[tuple[Row, ...]] = (
        Row("C2D baseline", NetSpec(depth=101), 101),
        Row("I3D 3x3x3", NetSpec(depth=101, conv="3x3x3"), 101),
        Row("I3D 3x1x1", NetSpec(depth=101, conv="3x1x1"), 101),
        Row("NL C2D, 5-block", NetSpec(depth=101, blocks="5-block"), 101),
    )

    claims: ClassVar[tuple[Claim, ...]] = (
        Beats(table="2e", text="the non-local C2D beats both I3D", pairs=PAIRS),
        Cheaper(table="2e", text="the non-local C2D takes fewer FLOPs than both I3D", pairs=PAIRS),
    )

    @classmethod
    def spec(cls, row: Row) -> RunSpec:
        return RunSpec(net=row.value)
