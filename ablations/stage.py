"""Table 2b, stages: where in the net does a non-local block help?

The paper's claim (section 5.1): "the improvement of a non-local block on res2, res3, or res4 is similar, and
on res5 is slightly smaller", perhaps since res5's 7x7 maps hold too little precise spatial information.

Axis: the stage whose last residual block the non-local block stands before.
Fixed: C2D ResNet-50, one embedded Gaussian spacetime block, 32-frame clips.

Command: make table2b
Cost: 5 runs a seed, 2.6 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: baseline 63.1 %; res2 +22.5 [21.1, 24.0], res3 +23.7 [22.4, 25.0], res4 +23.6
    [22.3, 24.9], res5 +18.0 [14.6, 21.4]
"""

from nlrepro.spec import NetSpec
from nlrepro.stats.verdicts import Alike, Beats, beat
from nlrepro.table import Cell, Table, rows

NETS = {
    "baseline": NetSpec(),
    "res2": NetSpec(blocks="res2"),
    "res3": NetSpec(blocks="res3"),
    "res4": NetSpec(blocks="res4"),
    "res5": NetSpec(blocks="res5"),
}
EARLY = ("res2", "res3", "res4")

TABLE = Table(
    name="2b",
    title="Stages: 1 non-local block added to different stages",
    rows=rows(NETS),
    claims=(
        Beats(
            "a block helps in every stage", beat("2b", *((stage, "baseline") for stage in (*EARLY, "res5")))
        ),
        Alike(
            "res2, res3 and res4 are alike",
            alike=tuple(Cell("2b", 50, stage) for stage in EARLY),
            baseline=Cell("2b", 50, "baseline"),
        ),
        Beats("res5 gains less", beat("2b", *((stage, "res5") for stage in EARLY))),
    ),
)
