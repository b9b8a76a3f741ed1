"""Table 2d, space vs time vs spacetime: over which positions must the sum run?

The paper's claim (section 5.1): "both the space-only and time-only versions improve over the C2D baseline,
but are inferior to the spacetime version".

Axis: the sum runs over positions of the same frame, of the same place, or over all; in ResNet-50 and
ResNet-101.
Fixed: C2D, five embedded Gaussian blocks, 32-frame clips.

Command: make table2d
Cost: 8 runs a seed, 5.4 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: baseline 64.0 %; space-only +1.7 [0.9, 2.5], time-only +19.6 [18.6, 20.7],
    spacetime +22.5 [21.4, 23.6]
Expected (mini, 5 seeds), R101: baseline 65.1 %; space-only +0.2 [-0.5, 1.0], time-only +21.3 [20.2, 22.4],
    spacetime +21.9 [20.8, 23.0]
"""

from nlrepro.spec import DEPTHS, NetSpec
from nlrepro.stats.verdicts import Beats, beat
from nlrepro.table import Table, rows

NETS = {
    "baseline": NetSpec(),
    "space-only": NetSpec(blocks="5-block", domain="space"),
    "time-only": NetSpec(blocks="5-block", domain="time"),
    "spacetime": NetSpec(blocks="5-block", domain="spacetime"),
}

TABLE = Table(
    name="2d",
    title="Space vs. time vs. spacetime: non-local operations applied along these dimensions",
    rows=rows(NETS, DEPTHS),
    claims=(
        Beats(
            "space-only and time-only beat the baseline",
            beat("2d", ("space-only", "baseline"), ("time-only", "baseline"), depths=DEPTHS),
        ),
        Beats(
            "spacetime beats space-only and time-only",
            beat("2d", ("spacetime", "space-only"), ("spacetime", "time-only"), depths=DEPTHS),
        ),
    ),
)
