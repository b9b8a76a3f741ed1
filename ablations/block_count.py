"""Table 2c, deeper non-local models: do more blocks help, and is it only depth?

The paper's claim (section 5.1): "more non-local blocks in general lead to better results", since they pass messages over several
hops; and a ResNet-50 with five of them beats the ResNet-101 baseline, so that the gain is not just that of a deeper net.

Axis: 0, 1, 5 or 10 blocks, in ResNet-50 and ResNet-101.
Fixed: C2D, embedded Gaussian spacetime blocks (1 in res4; 5 and 10 in res3 and res4), 32-frame clips.
"""

from typing import ClassVar

from ablations.axis import Ablation, Row
from nlrepro.spec import DEPTHS, NetSpec, RunSpec


class BlockCount(Ablation):
    table: ClassVar[str] = "2c"
    title: ClassVar[str] = "Deeper non-local models: 1, 5, and 10 non-local blocks added to the C2D baseline"
    rows: ClassVar[tuple[Row, ...]] = tuple(
        Row(label, blocks, depth)
        for depth in DEPTHS
        for label, blocks in (("baseline", "none"), ("1-block", "res4"), ("5-block", "5-block"), ("10-block", "10-block"))
    )

    @classmethod
    def spec(cls, row: Row) -> RunSpec:
        return RunSpec(net=NetSpec(depth=row.depth, blocks=row.value))
