"""Table 2d, space vs time vs spacetime: over which positions must the sum run?

The paper's claim (section 5.1): "both the space-only and time-only versions improve over the C2D baseline,
but are inferior to the spacetime version".

Axis: the sum runs over positions of the same frame, of the same place, or over all; in ResNet-50 and
ResNet-101.
Fixed: C2D, five embedded Gaussian blocks, 32-frame clips.

Command: make table2d
Cost: 8 runs a seed, 6.5 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: baseline 63.1 %; space-only +2.5 [1.5, 3.5], time-only +16.1 [10.8, 21.3],
    spacetime +23.6 [22.3, 25.0]
Expected (mini, 5 seeds), R101: baseline 61.2 %; space-only +5.9 [4.7, 7.1], time-only +21.8 [19.9, 23.8],
    spacetime +25.7 [23.9, 27.4]
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
