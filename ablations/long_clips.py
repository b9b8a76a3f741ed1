"""Table 2g, longer sequences: do the gains last on clips four times as long?

The paper's claim (section 5.1): "all models have better results on longer inputs", and the non-local I3D "can maintain its gain
over the I3D counterparts, showing that our models work well on longer sequences".

Axis: the models of Table 2f on 128 frames; each starts from its own 32-frame model.
Fixed: as in 2f. Batch normalisation stays as the short-clip model left it, for few long clips fit into a batch: `frozen_norm` of
the recipe.

Command: make table2g
Cost: 6 runs a seed, 4.2 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: C2D baseline 64.8 %; I3D +22.4 [20.8, 24.0], NL I3D +26.7 [25.5, 27.8]
Expected (mini, 5 seeds), R101: C2D baseline 65.7 %; I3D +23.8 [22.7, 24.9], NL I3D +26.0 [24.8, 27.3]
"""

from dataclasses import replace
from itertools import product
from typing import ClassVar, Literal

from ablations.on_i3d import MODELS, OnI3D
from nlrepro.experiments.ablation import Ablation, Row
from nlrepro.report.claims import Beats, Cell, Claim, beat
from nlrepro.spec import DEPTHS, Depth, RunSpec


class LongClips(Ablation):
    table: ClassVar[str] = "2g"
    title: ClassVar[str] = "Longer clips: we fine-tune and test the models in Table 2f on the 128-frame clips"
    rows: ClassVar[tuple[Row, ...]] = OnI3D.rows

    claims: ClassVar[tuple[Claim, ...]] = (
        Beats(
            table="2g",
            text="every model gains from longer clips",
            pairs=tuple((Cell("2g", depth, model), Cell("2f", depth, model)) for depth, model in product(DEPTHS, MODELS)),
        ),
        Beats(
            table="2g",
            text="NL I3D keeps its gain over I3D on long clips",
            pairs=beat("2g", 50, ("NL I3D", "I3D")) + beat("2g", 101, ("NL I3D", "I3D")),
        ),
    )

    @staticmethod
    def spec(*, conv: Literal["2d", "3x1x1"] = "2d", blocks: Literal["none", "5-block"] = "none", depth: Depth = 50) -> RunSpec:
        return replace(OnI3D.spec(conv=conv, blocks=blocks, depth=depth), clip="long")
