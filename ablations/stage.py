"""Table 2b, stages: where in the net does a non-local block help?

The paper's claim (section 5.1): "the improvement of a non-local block on res2, res3, or res4 is similar, and on res5 is slightly
smaller", perhaps since res5's 7x7 maps hold too little precise spatial information.

Axis: the stage whose last residual block the non-local block stands before.
Fixed: C2D ResNet-50, one embedded Gaussian spacetime block, 32-frame clips.

Command: make table2b
Cost: 5 runs a seed, 2.0 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: baseline 64.0 %; res2 +20.6 [19.1, 22.2], res3 +22.0 [20.4, 23.6], res4 +20.8 [19.2, 22.4],
    res5 +19.5 [18.0, 21.0]
"""

from typing import ClassVar, Literal

from nlrepro.experiments.ablation import Ablation, Row
from nlrepro.report.claims import Alike, Beats, Cell, Claim, beat
from nlrepro.spec import NetSpec, RunSpec

EARLY = ("res2", "res3", "res4")


class Stage(Ablation):
    table: ClassVar[str] = "2b"
    title: ClassVar[str] = "Stages: 1 non-local block added to different stages"
    rows: ClassVar[tuple[Row, ...]] = (
        Row("baseline"),
        Row("res2", {"stage": "res2"}),
        Row("res3", {"stage": "res3"}),
        Row("res4", {"stage": "res4"}),
        Row("res5", {"stage": "res5"}),
    )

    claims: ClassVar[tuple[Claim, ...]] = (
        Beats(
            table="2b",
            text="a block helps in every stage",
            pairs=beat("2b", 50, *((stage, "baseline") for stage in (*EARLY, "res5"))),
        ),
        Alike(
            table="2b",
            text="res2, res3 and res4 are alike",
            cells=tuple(Cell("2b", 50, stage) for stage in EARLY),
            baseline=Cell("2b", 50, "baseline"),
        ),
        Beats(table="2b", text="res5 gains less", pairs=beat("2b", 50, *((stage, "res5") for stage in EARLY))),
    )

    @staticmethod
    def spec(*, stage: Literal["none", "res2", "res3", "res4", "res5"] = "none") -> RunSpec:
        return RunSpec(net=NetSpec(blocks=stage))
