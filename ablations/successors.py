"""Table 7, beyond the paper: blocks that came after it, at the place of Table 2a's.

GCNet (Cao et al., 2019, arXiv:1904.11492) found that the maps of the paper's block hardly depend on i, and
put one map for all positions in its place. On the embedded benchmark that should do as well: the card's ink
is all that a digit must be told, and is the same for every digit. So Table 2a shows there that a block
gathers what is far away, and not that each position gathers its own.

Axis: the block.
Fixed: C2D ResNet-50, one block before the last residual block of res4, 32-frame clips.

Command: make table7
Cost: 3 runs a seed, 1.1 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: C2D baseline 64.0 %; non-local +20.8 [19.4, 22.1], global context +22.1 [20.8,
    23.4]
"""

from nlrepro.spec import NetSpec
from nlrepro.table import Table, rows

NETS = {
    "C2D baseline": NetSpec(),
    "non-local": NetSpec(blocks="res4", form="embedded"),
    "global context": NetSpec(blocks="res4", kind="context"),
}

TABLE = Table(
    name="7",
    title="Successors: 1 block of another paper added to the C2D baseline",
    rows=rows(NETS),
)
