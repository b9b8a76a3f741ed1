"""Table 7, beyond the paper: the blocks that came after it, at the place of Table 2a's.

Squeeze-and-excitation (2018) looks at no pairs, and is the control. The sentences are those of the papers of
the other blocks, each against the paper's block; nets/later_blocks.py has the equations. Their papers have
other data and recipes, and BoTNet's block takes the place of a convolution, where here all are added.

What the drawn videos tell: the card's ink is all that a digit must be told, and is the same for every digit.
So a block that tells all positions the same (squeeze-and-excitation, simplified, global context) does as well
here as one in which each position gathers its own. Nor is it asked here what a block does on large maps:
there are 4 x 6 x 6 positions.

Axis: the block.
Fixed: C2D ResNet-50, one block before the last residual block of res4, 32-frame clips.

Command: make table7
Cost: 11 runs a seed, 7.2 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: C2D baseline 63.1 %; squeeze-excitation +24.6 [23.3, 25.9], non-local +23.6
    [22.3, 24.9], simplified +24.4 [23.1, 25.7], global context +24.1 [22.5, 25.6], double attention +24.5
    [23.2, 25.9], compact generalized +24.3 [22.9, 25.7], criss-cross +9.6 [-0.6, 19.7], disentangled +24.1
    [22.8, 25.4], linear attention +24.4 [23.1, 25.7], relative positions +24.3 [22.9, 25.6]
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
