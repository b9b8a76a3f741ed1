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

from itertools import product

from nlrepro.spec import DEPTHS, Depth, Domain, NetSpec, RunSpec
from nlrepro.stats.verdicts import Beats, beat
from nlrepro.table import Table, row

DOMAINS: dict[str, Domain | None] = {
    "baseline": None,
    "space-only": "space",
    "time-only": "time",
    "spacetime": "spacetime",
}


def spec(domain: Domain | None = None, depth: Depth = 50) -> RunSpec:
    """The run with five blocks over this domain, or the baseline."""
    if domain is None:
        return RunSpec(net=NetSpec(depth=depth))
    return RunSpec(net=NetSpec(depth=depth, blocks="5-block", domain=domain))


TABLE = Table(
    name="2d",
    title="Space vs. time vs. spacetime: non-local operations applied along these dimensions",
    rows=tuple(row(label, spec(each, depth)) for depth, (label, each) in product(DEPTHS, DOMAINS.items())),
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
