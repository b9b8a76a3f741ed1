"""Table 2e, non-local net vs. 3D ConvNet: two ways to look across time, and what they cost.

The paper's claim (section 5.1): the non-local C2D model is "more accurate than the I3D counterpart (75.1 vs. 74.4), while having
a smaller number of FLOPs (1.2x vs. 1.5x)": used alone it can be more effective than 3D convolutions.

Axis: nothing, 3x3x3 or 3x1x1 kernels in every second residual block, or five non-local blocks.
Fixed: ResNet-101, 32-frame clips. Parameters and FLOPs are relative to the C2D baseline's 43.2 M and 34.2 B.

Command: make table2e
Cost: 4 runs a seed, 3.0 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R101: C2D baseline 65.1 %; I3D 3x3x3 +18.5 [17.4, 19.6], I3D 3x1x1 +17.7 [16.5, 18.8], NL C2D,
    5-block +21.9 [20.8, 23.1]
"""

from typing import ClassVar, Literal

from nlrepro.experiments.ablation import Ablation, Row
from nlrepro.report.claims import Beats, Cheaper, Claim, beat
from nlrepro.spec import Conv, NetSpec, RunSpec

PAIRS = beat("2e", 101, ("NL C2D, 5-block", "I3D 3x3x3"), ("NL C2D, 5-block", "I3D 3x1x1"))


class VersusI3D(Ablation):
    table: ClassVar[str] = "2e"
    title: ClassVar[str] = "Non-local vs. 3D Conv: a 5-block non-local C2D vs. inflated 3D ConvNet (I3D)"
    shows_cost: ClassVar[bool] = True
    rows: ClassVar[tuple[Row, ...]] = (
        Row("C2D baseline"),
        Row("I3D 3x3x3", {"conv": "3x3x3"}),
        Row("I3D 3x1x1", {"conv": "3x1x1"}),
        Row("NL C2D, 5-block", {"blocks": "5-block"}),
    )

    claims: ClassVar[tuple[Claim, ...]] = (
        Beats(table="2e", text="the non-local C2D beats both I3D", pairs=PAIRS),
        Cheaper(table="2e", text="the non-local C2D takes fewer FLOPs than both I3D", pairs=PAIRS),
    )

    @staticmethod
    def spec(*, conv: Conv = "2d", blocks: Literal["none", "5-block"] = "none") -> RunSpec:
        return RunSpec(net=NetSpec(depth=101, conv=conv, blocks=blocks))
