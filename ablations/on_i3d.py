"""Table 2f, non-local 3D ConvNet: do non-local operations and 3D convolutions complement each other?

The paper's claim (section 5.1): non-local I3D models "improve over their I3D counterparts (+1.6 point accuracy), showing that
non-local operations and 3D convolutions are complementary".

Axis: C2D, I3D 3x1x1, or the same with five non-local blocks; in ResNet-50 and ResNet-101.
Fixed: embedded Gaussian spacetime blocks, 32-frame clips.

Command: make table2f
Cost: 6 runs a seed, 3.9 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: C2D baseline 64.0 %; I3D +17.6 [16.4, 18.7], NL I3D +19.6 [18.4, 20.8]
Expected (mini, 5 seeds), R101: C2D baseline 65.1 %; I3D +17.7 [16.5, 18.8], NL I3D +19.3 [18.2, 20.4]
"""

from itertools import product
from typing import ClassVar, Literal

from nlrepro.experiments.ablation import Ablation, Row
from nlrepro.report.claims import Beats, Claim, beat
from nlrepro.spec import DEPTHS, Depth, NetSpec, RunSpec

MODELS: dict[str, dict[str, str]] = {
    "C2D baseline": {},
    "I3D": {"conv": "3x1x1"},
    "NL I3D": {"conv": "3x1x1", "blocks": "5-block"},
}


class OnI3D(Ablation):
    table: ClassVar[str] = "2f"
    title: ClassVar[str] = "Non-local 3D ConvNet: 5 non-local blocks added on top of our best I3D models"
    rows: ClassVar[tuple[Row, ...]] = tuple(
        Row(label, {**model, "depth": depth}) for depth, (label, model) in product(DEPTHS, MODELS.items())
    )

    claims: ClassVar[tuple[Claim, ...]] = (
        Beats(
            table="2f",
            text="non-local blocks improve I3D at both depths",
            pairs=beat("2f", 50, ("NL I3D", "I3D")) + beat("2f", 101, ("NL I3D", "I3D")),
        ),
    )

    @staticmethod
    def spec(*, conv: Literal["2d", "3x1x1"] = "2d", blocks: Literal["none", "5-block"] = "none", depth: Depth = 50) -> RunSpec:
        return RunSpec(net=NetSpec(depth=depth, conv=conv, blocks=blocks))
