"""Table 5, COCO: Mask R-CNN without and with one non-local block.

The paper's claims (section 6): "a single NL block improves all R50/101 and X152 baselines, on all metrics
involving detection and segmentation"; box AP grows by about 1 point; the block "only adds <5% computation to
the baseline model". torchvision has no ResNeXt-152, so X101-32x8d stands in its row (`paper` only).

Axis: one block right before the last residual block of res4, or none.
Fixed: Mask R-CNN with FPN, trained end to end from weights that classify. In `mini` the images are drawn: the
category of digits is the ink of a card far away.

Command: make table5
Cost: 4 runs a seed, 8.0 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: baseline box AP 49.6, mask AP 14.8; +1 NL +24.8 [15.8, 33.9], +7.1 [4.2, 10.0]
Expected (mini, 5 seeds), R101: baseline box AP 37.2, mask AP 11.7; +1 NL +21.5 [-3.0, 45.9], +6.1 [-1.0,
    13.2]
"""

from itertools import product

from nlrepro.spec import Backbone, DetectionSpec
from nlrepro.stats.verdicts import AddsLessThan, Beats, beat
from nlrepro.table import Row, Table
from nlrepro.task import DETECTION

MEASURES = {f"{of}_ap{iou}": f"{of} AP{iou}" for of, iou in product(("box", "mask"), ("", "50", "75"))}
DEPTHS: dict[Backbone, int] = {"r50": 50, "r101": 101, "x101": 152}  # the paper's row is of X152
ROWS = {"baseline": False, "+1 NL": True}


TABLE = Table(
    name="5",
    title="Adding 1 non-local block to Mask R-CNN for COCO object detection and instance segmentation",
    task=DETECTION,
    rows=tuple(
        Row(label=label, spec=DetectionSpec(kind="boxes", backbone=backbone, block=block), depth=depth)
        for (backbone, depth), (label, block) in product(DEPTHS.items(), ROWS.items())
    ),
    measures=MEASURES,
    compared=tuple(MEASURES),
    plotted=("box_ap", "mask_ap"),
    claims=(
        *(
            Beats(
                f"one block improves boxes and masks, {name}",
                beat("5", ("+1 NL", "baseline"), depths=[depth], measures=("box_ap", "mask_ap")),
            )
            for name, depth in (("R50", 50), ("R101", 101), ("X152", 152))
        ),
        AddsLessThan(
            "one block adds less than 5 % of FLOPs",
            beat("5", ("+1 NL", "baseline"), depths=DEPTHS.values()),
            limit=5.0,
        ),
    ),
    variants=("mini-1000-steps",),
)
