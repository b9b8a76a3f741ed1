"""Table 6, COCO keypoints: Keypoint R-CNN with non-local blocks in its head, and in its backbone too.

The paper's claim (section 6): four blocks in the keypoint head give about 1 point of AP, and one more in the backbone adds to it:
"more non-local blocks improve the AP", and blocks in head and backbone are complementary.

Axis: four blocks in the head, one after every two of its eight convolutions; the same and one in res4; or none.
Fixed: R101 with FPN. In `mini` the persons are digits, some of them partly hidden, whose twin elsewhere shows what is hidden.

Command: make table6
Cost: 3 runs a seed, 9.2 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R101: baseline AP 27.8; NL, +4 in head +0.0 [-0.3, 0.4];
    NL, +4 in head, +1 in backbone +0.0 [-0.3, 0.4]
"""

from nlrepro.beyond.experiment import Experiment, Line, better, printed
from nlrepro.coco.trial import Detection
from nlrepro.spec import DetectionSpec

MEASURES = {"kp_ap": "AP", "kp_ap50": "AP50", "kp_ap75": "AP75"}
BASELINE, HEAD, BOTH = "baseline", "NL, +4 in head", "NL, +4 in head, +1 in backbone"
SPECS = {
    BASELINE: DetectionSpec(kind="keypoints", backbone="r101"),
    HEAD: DetectionSpec(kind="keypoints", backbone="r101", head_blocks=True),
    BOTH: DetectionSpec(kind="keypoints", backbone="r101", head_blocks=True, block=True),
}

KEYPOINTS = Experiment(
    table="6",
    title="Adding non-local blocks to Mask R-CNN for COCO keypoint detection",
    task=Detection(),
    measures=MEASURES,
    main=("kp_ap",),
    lines=tuple(
        Line(
            label=row["row"],
            depth=101,
            spec=SPECS[row["row"]],
            paper={measure: float(row[measure]) for measure in MEASURES},
        )
        for row in printed("6")
    ),
    claims=(
        better("6", "blocks in the head improve keypoints", [(101, HEAD, BASELINE)], ["AP"]),
        better("6", "blocks in head and backbone are complementary", [(101, BOTH, HEAD), (101, BOTH, BASELINE)], ["AP"]),
    ),
    size=3,
)
