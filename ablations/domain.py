"""Table 2d, space vs time vs spacetime: over which positions must the sum run?

The paper's claim (section 5.1): "both the space-only and time-only versions improve over the C2D baseline, but are inferior
to the spacetime version".

Axis: the sum runs over positions of the same frame, of the same place, or over all; in ResNet-50 and ResNet-101.
Fixed: C2D, five embedded Gaussian blocks, 32-frame clips.
"""

from typing import ClassVar

from ablations.axis import Ablation, Row
from nlrepro.report.contrasts import Beats, Claim, beat
from nlrepro.spec import DEPTHS, NetSpec, RunSpec


class SpaceTime(Ablation):
    table: ClassVar[str] = "2d"
    title: ClassVar[str] = "Space vs. time vs. spacetime: non-local operations applied along these dimensions"
    rows: ClassVar[tuple[Row, ...]] = tuple(
        Row(label, domain, depth)
        for depth in DEPTHS
        for label, domain in (("baseline", None), ("space-only", "space"), ("time-only", "time"), ("spacetime", "spacetime"))
    )

    claims: ClassVar[tuple[Claim, ...]] = (
        Beats(
            table="2d",
            text="space-only and time-only beat the baseline",
            pairs=tuple(
                pair for depth in DEPTHS for pair in beat("2d", depth, ("space-only", "baseline"), ("time-only", "baseline"))
            ),
        ),
        Beats(
            table="2d",
            text="spacetime beats space-only and time-only",
            pairs=tuple(
                pair for depth in DEPTHS for pair in beat("2d", depth, ("spacetime", "space-only"), ("spacetime", "time-only"))
            ),
        ),
    )

    @classmethod
    def spec(cls, row: Row) -> RunSpec:
        return RunSpec(
            net=NetSpec(depth=row.depth, blocks="5-block", domain=row.value) if row.value else NetSpec(depth=row.depth)
        )
