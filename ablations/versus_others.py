"""Table 3, Kinetics against other systems: the long-clip models of Table 2g beside what others reached.

The paper's claim (section 5.1): its RGB model surpasses the RGB and RGB + flow systems of the time, and is on par with the winner
of the 2017 competition, which uses flow and audio too. Nothing is trained here: other systems' numbers are the paper's, and its
own rows are filled by the records of Table 2g and by released weights that were evaluated. On the test split, whose labels are
held back, nothing can be measured.

Command: make table3 PROFILE=paper
Cost: none beyond Table 2g
"""

from ablations.long_clips import LongClips
from nlrepro.report.others import Comparison
from nlrepro.spec import DEPTHS

VERSUS_OTHERS = Comparison(
    table="3",
    title="Comparison with state-of-the-art results in Kinetics",
    ours={("NL I3D", f"ResNet-{depth}"): LongClips.spec(conv="3x1x1", blocks="5-block", depth=depth).key for depth in DEPTHS},
)
