"""Table 2g, longer sequences: do the gains last on clips four times as long?

The paper's claim (section 5.1): "all models have better results on longer inputs", and the non-local I3D "can maintain its gain
over the I3D counterparts, showing that our models work well on longer sequences".

Axis: the models of Table 2f on 128 frames; each starts from its own 32-frame model.
Fixed: as in 2f. Batch normalisation stays as the short-clip model left it, for few long clips fit into a batch: `frozen_norm` of
the recipe.
"""

from dataclasses import replace
from typing import ClassVar

from ablations.axis import Ablation, Row
from ablations.on_i3d import OnI3D
from nlrepro.report.contrasts import Beats, Cell, Claim, beat
from nlrepro.spec import RunSpec


class LongClips(Ablation):
    table: ClassVar[str] = "2g"
    title: ClassVar[str] = "Longer clips: we fine-tune and test the models in Table 2f on the 128-frame clips"
    rows: ClassVar[tuple[Row, ...]] = OnI3D.rows

    claims: ClassVar[tuple[Claim, ...]] = (
        Beats(
            table="2g",
            text="every model gains from longer clips",
            pairs=tuple((Cell("2g", row.depth, row.label), Cell("2f", row.depth, row.label)) for row in OnI3D.rows),
        ),
        Beats(
            table="2g",
            text="NL I3D keeps its gain over I3D on long clips",
            pairs=beat("2g", 50, ("NL I3D", "I3D")) + beat("2g", 101, ("NL I3D", "I3D")),
        ),
    )

    @classmethod
    def spec(cls, row: Row) -> RunSpec:
        return replace(OnI3D.spec(row), clip="long")
