"""Table 2c, deeper non-local models: do more blocks help, and is it only depth?

The paper's claim (section 5.1): "more non-local blocks in general lead to better results", since they pass
messages over several hops; and a ResNet-50 with five of them beats the ResNet-101 baseline, so that the gain
is not just that of a deeper net.

Axis: 0, 1, 5 or 10 blocks, in ResNet-50 and ResNet-101; and five residual blocks at the same sites, a control
of which the paper says that "the accuracy is not increased", without a number.
Fixed: C2D, embedded Gaussian spacetime blocks (1 in res4; 5 and 10 in res3 and res4), 32-frame clips.

Command: make table2c
Cost: 9 runs a seed, 7.3 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: baseline 63.1 %; 1-block +23.6 [22.3, 24.9], 5-block +23.6 [22.3, 25.0],
    10-block +23.9 [22.6, 25.3], 5 residual blocks -0.1 [-0.7, 0.4]
Expected (mini, 5 seeds), R101: baseline 61.2 %; 1-block +22.8 [17.8, 27.8], 5-block +25.7 [23.9, 27.4],
    10-block +26.0 [23.9, 28.0]
"""

from nlrepro.spec import DEPTHS, NetSpec
from nlrepro.stats.verdicts import Beats, beat
from nlrepro.table import Cell, Table, rows

NETS = {
    "baseline": NetSpec(),
    "1-block": NetSpec(blocks="res4"),
    "5-block": NetSpec(blocks="5-block"),
    "10-block": NetSpec(blocks="10-block"),
}
CONTROL = {"5 residual blocks": NetSpec(blocks="5-block", kind="residual")}

TABLE = Table(
    name="2c",
    title="Deeper non-local models: 1, 5, and 10 non-local blocks added to the C2D baseline",
    rows=rows(NETS, DEPTHS) + rows(CONTROL),
    claims=(
        Beats(  # without the step to ten blocks in ResNet-101, where the paper's numbers are equal
            "more blocks are better",
            beat("2c", ("1-block", "baseline"), ("5-block", "1-block"), ("10-block", "5-block"))
            + beat("2c", ("1-block", "baseline"), ("5-block", "1-block"), depths=[101]),
        ),
        Beats(
            "R50 with five blocks beats the R101 baseline: it is not only depth",
            ((Cell("2c", 50, "5-block"), Cell("2c", 101, "baseline")),),
        ),
        Beats(  # the paper: "the accuracy is not increased" by residual blocks; it prints no number
            "five non-local blocks beat five residual blocks", beat("2c", ("5-block", "5 residual blocks"))
        ),
    ),
)
