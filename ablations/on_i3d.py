"""Table 2f, non-local 3D ConvNet: do non-local operations and 3D convolutions complement each other?

The paper's claim (section 5.1): non-local I3D models "improve over their I3D counterparts (+1.6 point
accuracy), showing that non-local operations and 3D convolutions are complementary".

Axis: C2D, I3D 3x1x1, or the same with five non-local blocks; in ResNet-50 and ResNet-101.
Fixed: embedded Gaussian spacetime blocks, 32-frame clips.

Command: make table2f
Cost: 6 runs a seed, 4.7 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: C2D baseline 63.1 %; I3D +15.9 [14.1, 17.6], NL I3D +22.1 [20.2, 24.0]
Expected (mini, 5 seeds), R101: C2D baseline 61.2 %; I3D +17.3 [15.6, 19.1], NL I3D +25.2 [23.3, 27.1]
"""

from nlrepro.spec import DEPTHS, NetSpec
from nlrepro.stats.verdicts import Beats, beat
from nlrepro.table import Table, rows

NETS = {
    "C2D baseline": NetSpec(),
    "I3D": NetSpec(conv="3x1x1"),
    "NL I3D": NetSpec(conv="3x1x1", blocks="5-block"),
}

TABLE = Table(
    name="2f",
    title="Non-local 3D ConvNet: 5 non-local blocks added on top of our best I3D models",
    rows=rows(NETS, DEPTHS),
    claims=(
        Beats("non-local blocks improve I3D at both depths", beat("2f", ("NL I3D", "I3D"), depths=DEPTHS)),
    ),
)
