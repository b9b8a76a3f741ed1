"""Table 2f, non-local 3D ConvNet: do non-local operations and 3D convolutions complement each other?

The paper's claim (section 5.1): non-local I3D models "improve over their I3D counterparts (+1.6 point accuracy), showing that
non-local operations and 3D convolutions are complementary".

Axis: C2D, I3D 3x1x1, or the same with five non-local blocks; in ResNet-50 and ResNet-101.
Fixed: embedded Gaussian spacetime blocks, 32-frame clips.
"""

from typing import ClassVar

from ablations.axis import Ablation, Row
from nlrepro.report.contrasts import Beats, Claim, beat
from nlrepro.spec import DEPTHS, Blocks, Conv, NetSpec, RunSpec

MODELS: tuple[tuple[str, tuple[Conv, Blocks]], ...] = (
    ("C2D baseline", ("2d", "none")),
    ("I3D", ("3x1x1", "none")),
    ("NL I3D", ("3x1x1", "5-block")),
)


class OnI3D(Ablation):
    table: ClassVar[str] = "2f"
    title: ClassVar[str] = "Non-local 3D ConvNet: 5 non-local blocks added on top of our best I3D models"
    rows: ClassVar[tuple[Row, ...]] = tuple(Row(label, model, depth) for depth in DEPTHS for label, model in MODELS)

    claims: ClassVar[tuple[Claim, ...]] = (
        Beats(
            table="2f",
            text="non-local blocks improve I3D at both depths",
            pairs=beat("2f", 50, ("NL I3D", "I3D")) + beat("2f", 101, ("NL I3D", "I3D")),
        ),
    )

    @classmethod
    def spec(cls, row: Row) -> RunSpec:
        conv, blocks = row.value
        return RunSpec(net=NetSpec(depth=row.depth, conv=conv, blocks=blocks))
