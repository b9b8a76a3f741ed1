"""Table 5, COCO: Mask R-CNN without and with one non-local block.

The paper's claims (section 6): "a single NL block improves all R50/101 and X152 baselines, on all metrics involving detection and
segmentation"; box AP grows by about 1 point; the block "only adds <5% computation to the baseline model". torchvision has no
ResNeXt-152, so X101-32x8d stands in its row (`paper` only).

Axis: one block right before the last residual block of res4, or none.
Fixed: Mask R-CNN with FPN, trained end to end from weights that classify. In `mini` the images are drawn: the category of
digits is the ink of a card far away.

Command: make table5
Cost: 4 runs a seed, 8.0 minutes on two cores (mini, by the published records)
Expected (mini, 5 seeds), R50: baseline box AP 49.6, mask AP 14.8; +1 NL +24.8 [15.8, 33.9], +7.1 [4.2, 10.0]
Expected (mini, 5 seeds), R101: baseline box AP 37.2, mask AP 11.7; +1 NL +21.5 [-3.0, 45.9], +6.1 [-1.0, 13.2]
"""

from typing import get_args

from nlrepro.beyond.experiment import Experiment, Line, better, cell, printed
from nlrepro.coco.costs import macs
from nlrepro.coco.trial import Detection
from nlrepro.report.claims import Slight
from nlrepro.spec import Backbone, DetectionSpec

MEASURES = {
    f"{what}_{name}": f"{what} {title}"
    for what in ("box", "mask")
    for name, title in (("ap", "AP"), ("ap50", "AP50"), ("ap75", "AP75"))
}
DEPTHS: dict[Backbone, int] = {"r50": 50, "r101": 101, "x101": 152}  # the paper's row is of X152
BLOCK, BASELINE = ([cell("5", depth, row, "multiply-adds") for depth in DEPTHS.values()] for row in ("+1 NL", "baseline"))


def lines() -> tuple[Line, ...]:
    backbones = [backbone for backbone in get_args(Backbone) for _ in range(2)]
    return tuple(
        Line(
            label=row["row"],
            depth=DEPTHS[backbone],
            spec=DetectionSpec(kind="boxes", backbone=backbone, block=row["row"] != "baseline"),
            paper={measure: float(row[measure]) for measure in MEASURES},
        )
        for backbone, row in zip(backbones, printed("5"), strict=True)
    )


DETECTION = Experiment(
    table="5",
    title="Adding 1 non-local block to Mask R-CNN for COCO object detection and instance segmentation",
    task=Detection(),
    measures=MEASURES,
    main=("box_ap", "mask_ap"),
    lines=lines(),
    claims=(
        *(
            better("5", f"one block improves boxes and masks, {name}", [(depth, "+1 NL", "baseline")], ["box AP", "mask AP"])
            for name, depth in (("R50", 50), ("R101", 101), ("X152", 152))
        ),
        Slight(
            table="5", text="one block adds less than 5 % of FLOPs", pairs=tuple(zip(BLOCK, BASELINE, strict=True)), limit=5.0
        ),
    ),
    macs={
        place: macs(backbone, block=cells is BLOCK)
        for cells in (BLOCK, BASELINE)
        for backbone, place in zip(DEPTHS, cells, strict=True)
    },
    variants=("mini-1000-steps",),
)
