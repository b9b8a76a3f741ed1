"""Table 3, Kinetics against other systems: the long-clip models of Table 2g beside what others reached.

The paper's claim (section 5.1): its RGB model surpasses the RGB and RGB + flow systems of the time, and is on
par with the winner of the 2017 competition, which uses flow and audio too. Nothing is trained here: other
systems' numbers are the paper's, and its own rows are filled by the records of Table 2g and by released
weights that were evaluated. On the test split, whose labels are held back, nothing can be measured.

Command: make table3 PROFILE=paper
Cost: none beyond Table 2g
"""

from ablations import long_clips
from nlrepro import paper
from nlrepro.table import Row, Table

OURS = {f"{row.label}, ResNet-{row.depth}": row.spec for row in long_clips.TABLE.rows}

TABLE = Table(
    name="3",
    title="Comparison with state-of-the-art results in Kinetics",
    trains=False,
    rows=tuple(Row(label=label, spec=OURS.get(label), depth=depth) for depth, label in paper.numbers("3")),
    measures={
        "top1": "top-1",
        "top5": "top-5",
        "top1_test": "test top-1",
        "top5_test": "test top-5",
        "avg_test": "test average",
    },
    compared=(),
    plotted=("top1", "top5"),
)
