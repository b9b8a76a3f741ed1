"""Table 6, COCO keypoints: Keypoint R-CNN with non-local blocks in its head, and in its backbone too.

The paper's claim (section 6): four blocks in the keypoint head give about 1 point of AP, and one more in the
backbone adds to it: "more non-local blocks improve the AP", and blocks in head and backbone are
complementary.

Axis: four blocks in the head, one after every two of its eight convolutions; the same and one in res4; or
none.
Fixed: R101 with FPN. In `mini` the persons are digits, some of them partly hidden, whose twin elsewhere shows
what is hidden.

Command: make table6
Cost: 3 runs a seed, 9.2 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R101: baseline AP 27.8; NL, +4 in head +0.0 [-0.3, 0.4];
    NL, +4 in head, +1 in backbone +0.0 [-0.3, 0.4]
"""

from nlrepro.spec import DetectionSpec
from nlrepro.stats.verdicts import Beats, beat
from nlrepro.table import Row, Table
from nlrepro.task import DETECTION

MEASURES = {"kp_ap": "AP", "kp_ap50": "AP50", "kp_ap75": "AP75"}
BASELINE, HEAD, BOTH = "baseline", "NL, +4 in head", "NL, +4 in head, +1 in backbone"
SPECS = {
    BASELINE: DetectionSpec(kind="keypoints", backbone="r101"),
    HEAD: DetectionSpec(kind="keypoints", backbone="r101", head_blocks=True),
    BOTH: DetectionSpec(kind="keypoints", backbone="r101", head_blocks=True, block=True),
}

TABLE = Table(
    name="6",
    title="Adding non-local blocks to Mask R-CNN for COCO keypoint detection",
    task=DETECTION,
    rows=tuple(Row(label=label, spec=spec, depth=101) for label, spec in SPECS.items()),
    measures=MEASURES,
    compared=tuple(MEASURES),
    plotted=("kp_ap",),
    claims=(
        Beats("blocks in the head improve keypoints", beat("6", (HEAD, BASELINE), depths=[101])),
        Beats(
            "blocks in head and backbone are complementary",
            beat("6", (BOTH, HEAD), (BOTH, BASELINE), depths=[101]),
        ),
    ),
)
