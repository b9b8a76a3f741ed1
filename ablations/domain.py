"""Table 2d, space vs time vs spacetime: over which positions must the sum run?

The paper's claim (section 5.1): "both the space-only and time-only versions improve over the C2D baseline, but are inferior
to the spacetime version".

Axis: the sum runs over positions of the same frame, of the same place, or over all; in ResNet-50 and ResNet-101.
Fixed: C2D, five embedded Gaussian blocks, 32-frame clips.

Command: make table2d
Cost: 8 runs a seed, 5.4 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: baseline 64.0 %; space-only +1.7 [0.9, 2.5], time-only +19.6 [18.6, 20.7], spacetime +22.5
    [21.4, 23.6]
Expected (mini, 5 seeds), R101: baseline 65.1 %; space-only +0.2 [-0.5, 1.0], time-only +21.3 [20.2, 22.4], spacetime +21.9
    [20.8, 23.0]
"""

from itertools import product
from typing import ClassVar

from nlrepro.experiments.ablation import Ablation, Row
from nlrepro.report.claims import Beats, Claim, beat
from nlrepro.spec import DEPTHS, Depth, Domain, NetSpec, RunSpec

LABELS: dict[Domain | None, str] = {None: "baseline", "space": "space-only", "time": "time-only", "spacetime": "spacetime"}


class SpaceTime(Ablation):
    table: ClassVar[str] = "2d"
    title: ClassVar[str] = "Space vs. time vs. spacetime: non-local operations applied along these dimensions"
    rows: ClassVar[tuple[Row, ...]] = tuple(
        Row(label, {"domain": domain, "depth": depth}) for depth, (domain, label) in product(DEPTHS, LABELS.items())
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

    @staticmethod
    def spec(*, domain: Domain | None = None, depth: Depth = 50) -> RunSpec:
        return RunSpec(net=NetSpec(depth=depth, blocks="5-block", domain=domain) if domain else NetSpec(depth=depth))
