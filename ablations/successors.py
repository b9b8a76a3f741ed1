"""Table 7, beyond the paper: the blocks that came after it, at the place of Table 2a's.

Squeeze-and-excitation (2018) looks at no pairs, and is the control. The sentences are those of the papers of
the other blocks, each against the paper's block; nets/later_blocks.py has the equations. Their papers have
other data and recipes, and BoTNet's block takes the place of a convolution, where here all are added.

What the drawn videos tell: the card's ink is all that a digit must be told, and is the same for every digit.
So a block that tells all positions the same (squeeze-and-excitation, simplified, global context) can do as
well here as one in which each position gathers its own. Nor is it asked here what a block does on large maps:
there are 4 x 6 x 6 positions.

Axis: the block.
Fixed: C2D ResNet-50, one block before the last residual block of res4, 32-frame clips.

Command: make table7
Cost: 11 runs a seed, 5.7 minutes on two cores (mini, by the published records)
Expected (mini, 1 seed), R50: C2D baseline 63.4 %; squeeze-excitation +24.7 [22.9, 26.5], non-local +22.3
    [20.4, 24.1], simplified +24.0 [22.2, 25.8], global context +23.7 [22.0, 25.5], double attention +24.1
    [22.3, 25.8], compact generalized +24.1 [22.3, 25.9], criss-cross +20.1 [18.4, 21.8], disentangled +23.4
    [21.5, 25.2], linear attention +23.9 [22.1, 25.7], relative positions +24.5 [22.7, 26.3]
"""

from nlrepro.spec import Insert, NetSpec
from nlrepro.stats.verdicts import Alike, Beats, Cheaper, beat
from nlrepro.table import Cell, Table, rows

KINDS: dict[str, Insert] = {
    "squeeze-excitation": "excitation",
    "non-local": "nonlocal",
    "simplified": "simplified",
    "global context": "context",
    "double attention": "double",
    "compact generalized": "compact",
    "criss-cross": "crisscross",
    "disentangled": "disentangled",
    "linear attention": "linear",
    "relative positions": "relative",
}
NETS = {"C2D baseline": NetSpec()} | {
    label: NetSpec(blocks="res4", kind=kind) for label, kind in KINDS.items()
}


def alike(text: str, block: str) -> Alike:
    cells = Cell("7", 50, block), Cell("7", 50, "non-local")
    return Alike(text, alike=cells, baseline=Cell("7", 50, "C2D baseline"))


def better(text: str, block: str, than: str = "non-local") -> Beats:
    return Beats(text, beat("7", (block, than)))


def cheaper(text: str, block: str) -> Cheaper:
    return Cheaper(text, beat("7", (block, "non-local")))


TABLE = Table(
    name="7",
    title="Successors: 1 block of another paper added to the C2D baseline",
    rows=rows(NETS),
    shows_cost=True,
    claims=(
        better("squeeze-and-excitation beats the baseline (SENet)", "squeeze-excitation", "C2D baseline"),
        alike("the simplified block is as good as the non-local one (GCNet)", "simplified"),
        better("global context beats the non-local block (GCNet)", "global context"),
        cheaper("global context takes fewer FLOPs", "global context"),
        better("global context beats squeeze-and-excitation (GCNet)", "global context", "squeeze-excitation"),
        better("double attention beats the non-local block (A2-Nets)", "double attention"),
        cheaper("double attention takes fewer FLOPs", "double attention"),
        better("compact generalized beats the non-local block (CGNL)", "compact generalized"),
        alike("criss-cross is as good as the non-local block (CCNet)", "criss-cross"),
        cheaper("criss-cross takes fewer FLOPs", "criss-cross"),
        better("disentangled beats the non-local block (DNL)", "disentangled"),
        alike("linear attention is as good as the non-local block (linear transformers)", "linear attention"),
        cheaper("linear attention takes fewer FLOPs", "linear attention"),
        better("relative positions beat the non-local block (BoTNet)", "relative positions"),
    ),
)
