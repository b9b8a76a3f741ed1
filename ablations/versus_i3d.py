"""Table 2e, non-local net vs. 3D ConvNet: two ways to look across time, and what they cost.

The paper's claim (section 5.1): the non-local C2D model is "more accurate than the I3D counterpart (75.1 vs.
74.4), while having a smaller number of FLOPs (1.2x vs. 1.5x)": used alone it can be more effective than 3D
convolutions.

Axis: nothing, 3x3x3 or 3x1x1 kernels in every second residual block, or five non-local blocks.
Fixed: ResNet-101, 32-frame clips. Parameters and FLOPs are relative to the C2D baseline's 43.2 M and 34.2 B.

Command: make table2e
Cost: 4 runs a seed, 3.4 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R101: C2D baseline 61.2 %; I3D 3x3x3 +19.8 [16.8, 22.9], I3D 3x1x1 +17.3 [15.1,
    19.6], NL C2D, 5-block +25.7 [23.6, 27.7]
"""

from nlrepro.spec import NetSpec
from nlrepro.stats.verdicts import Beats, Cheaper, beat
from nlrepro.table import Table, rows

NETS = {
    "C2D baseline": NetSpec(),
    "I3D 3x3x3": NetSpec(conv="3x3x3"),
    "I3D 3x1x1": NetSpec(conv="3x1x1"),
    "NL C2D, 5-block": NetSpec(blocks="5-block"),
}
PAIRS = beat("2e", ("NL C2D, 5-block", "I3D 3x3x3"), ("NL C2D, 5-block", "I3D 3x1x1"), depths=[101])

TABLE = Table(
    name="2e",
    title="Non-local vs. 3D Conv: a 5-block non-local C2D vs. inflated 3D ConvNet (I3D)",
    shows_cost=True,
    rows=rows(NETS, [101]),
    claims=(
        Beats("the non-local C2D beats both I3D", PAIRS),
        Cheaper("the non-local C2D takes fewer FLOPs than both I3D", PAIRS),
    ),
)
