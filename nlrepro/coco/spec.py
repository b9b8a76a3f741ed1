"""What is run for Tables 5 and 6. Imports no torch."""

from typing import Literal

from pydantic.dataclasses import dataclass

from nlrepro.errors import BadInput
from nlrepro.profile import STRICT
from nlrepro.spec import Depth

Kind = Literal["boxes", "keypoints"]
Backbone = Literal["r50", "r101", "x101"]
CLASSES: dict[Kind, int] = {"boxes": 91, "keypoints": 2}  # COCO's numbers of categories go to 90, a person's is 1; 0: background
DEPTH: dict[Backbone, Depth] = {"r50": 50, "r101": 101, "x101": 101}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DetectionSpec:
    """One net: Mask R-CNN for `boxes`, Keypoint R-CNN for `keypoints`, and where it has non-local blocks."""

    kind: Kind
    backbone: Backbone
    block: bool = False  # one, right before the last residual block of res4
    head_blocks: bool = False  # four in the keypoint head

    def __post_init__(self) -> None:
        if self.head_blocks and self.kind != "keypoints":
            raise BadInput("head_blocks are of the keypoint head; only kind = 'keypoints' has one")

    @property
    def key(self) -> str:
        return f"{self.backbone}-{self.kind}" + "-head" * self.head_blocks + "-nl" * self.block
