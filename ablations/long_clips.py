"""Table 2g, longer sequences: do the gains last on clips four times as long?

The paper's claim (section 5.1): "all models have better results on longer inputs", and the non-local I3D "can
maintain its gain over the I3D counterparts, showing that our models work well on longer sequences".

Axis: the models of Table 2f on 128 frames; each starts from its own 32-frame model.
Fixed: as in 2f. Batch normalisation stays as the short-clip model left it, for few long clips fit into a
batch: `frozen_norm` of the recipe.

Command: make table2g
Cost: 6 runs a seed, 5.8 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: C2D baseline 69.7 %; I3D +23.3 [21.4, 25.1], NL I3D +27.6 [25.7, 29.6]
Expected (mini, 5 seeds), R101: C2D baseline 69.9 %; I3D +23.3 [21.5, 25.1], NL I3D +27.7 [25.8, 29.7]
"""

from itertools import product

from ablations.on_i3d import NETS
from nlrepro.spec import DEPTHS
from nlrepro.stats.verdicts import Beats, beat
from nlrepro.table import Cell, Table, rows

TABLE = Table(
    name="2g",
    title="Longer clips: we fine-tune and test the models in Table 2f on the 128-frame clips",
    rows=rows(NETS, DEPTHS, clip="long"),
    claims=(
        Beats(
            "every model gains from longer clips",
            tuple((Cell("2g", *cell), Cell("2f", *cell)) for cell in product(DEPTHS, NETS)),
        ),
        Beats("NL I3D keeps its gain over I3D on long clips", beat("2g", ("NL I3D", "I3D"), depths=DEPTHS)),
    ),
)
