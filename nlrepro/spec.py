"""What to run: a spec is one training, whichever tables ask for it; its `key` names its record on disk.

Sections 3.3, 4, 5 and 6 of the paper. Two rows of Table 2 with the same net and the same clips have equal
specs, hence one key and one record: nothing is trained twice. Imports no torch.
"""

import re
from dataclasses import field, replace
from typing import Any, ClassVar, Literal, get_args

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from nlrepro.files import BadInput

STRICT = ConfigDict(extra="forbid")

Depth = Literal[50, 101]
Conv = Literal["2d", "3x1x1", "3x3x3"]  # C2D; I3D inflating the first 1x1 or the 3x3 of every second block
PaperForm = Literal["gaussian", "embedded", "dot", "concatenation"]  # the paper's pairwise functions
Domain = Literal["space", "time", "spacetime"]
# At the sites: the paper's block, section 5.1's control, and what came after it (nets/later_blocks.py).
Insert = Literal[
    "nonlocal",
    "residual",
    "excitation",
    "simplified",
    "context",
    "double",
    "compact",
    "crisscross",
    "disentangled",
    "linear",
    "relative",
]
Blocks = Literal["none", "res2", "res3", "res4", "res5", "5-block", "10-block"]
Clip = Literal["short", "long"]  # 32-frame clips, 128-frame clips
Site = tuple[int, int]  # (stage 2..5, 0-based residual block after which a non-local block sits)

DEPTHS: tuple[Depth, ...] = (50, 101)
STAGE_BLOCKS: dict[Depth, dict[int, int]] = {50: {2: 3, 3: 4, 4: 6, 5: 3}, 101: {2: 3, 3: 4, 4: 23, 5: 3}}

# "Right before the last residual block of a stage" (one block), "to every other residual block" of res3 and
# res4 (five), "to every residual block" of them (ten). For ResNet-101 the paper says "the corresponding
# residual blocks"; the spread over its 23 res4 blocks is our reading. Records know a place by its name: other
# sites need another name, or old records pass for fresh ones.
SITES_R50: dict[Blocks, tuple[Site, ...]] = {
    "none": (),
    "res2": ((2, 1),),
    "res3": ((3, 2),),
    "res4": ((4, 4),),
    "res5": ((5, 1),),
    "5-block": ((3, 1), (3, 3), (4, 1), (4, 3), (4, 5)),
    "10-block": tuple((3, i) for i in range(4)) + tuple((4, i) for i in range(6)),
}
SITES_R101 = SITES_R50 | {
    "res4": ((4, 21),),
    "5-block": ((3, 1), (3, 3), (4, 6), (4, 13), (4, 20)),
    "10-block": tuple((3, i) for i in range(4)) + tuple((4, i) for i in range(2, 23, 4)),
}
SITES: dict[Depth, dict[Blocks, tuple[Site, ...]]] = {50: SITES_R50, 101: SITES_R101}

KEY = re.compile(
    r"r(?P<depth>50|101)-(?:c2d|i3d-(?P<conv>3x1x1|3x3x3))"
    rf"(?:-(?P<kind>nl|{'|'.join(get_args(Insert)[1:])})-(?P<blocks>{'|'.join(get_args(Blocks)[1:])})"
    rf"(?:-(?P<form>[a-z0-9]+)-(?P<domain>{'|'.join(get_args(Domain))}))?)?(?P<long>-long)?"
)


def explain(error: Exception) -> str:
    """A validation error in one line: of the first fields, what was expected and what was given."""
    if not isinstance(error, ValidationError):
        return str(error)
    faults = [(".".join(map(str, e["loc"])), e["msg"], e["input"]) for e in error.errors()]
    words = [f"{place}: {message}, got {value!r:.60}" for place, message, value in faults[:3]]
    return "; ".join([*words, *([f"and {len(faults) - 3} more"] if len(faults) > 3 else [])])


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NetSpec:
    """One video net. Fields that mean nothing without (non-local) blocks fall back to their defaults.

    `form` is one of the paper's or of your own; the net checks it when it is built.
    """

    depth: Depth = 50
    conv: Conv = "2d"
    blocks: Blocks = "none"
    kind: Insert = "nonlocal"
    form: str = "embedded"
    domain: Domain = "spacetime"

    def __post_init__(self) -> None:
        if self.blocks == "none":
            object.__setattr__(self, "kind", "nonlocal")
        if self.blocks == "none" or self.kind != "nonlocal":
            object.__setattr__(self, "form", "embedded")
            object.__setattr__(self, "domain", "spacetime")

    @property
    def sites(self) -> tuple[Site, ...]:
        return SITES[self.depth][self.blocks]

    @property
    def name(self) -> str:
        trunk = f"r{self.depth}-" + ("c2d" if self.conv == "2d" else f"i3d-{self.conv}")
        if self.blocks == "none":
            return trunk
        if self.kind != "nonlocal":
            return f"{trunk}-{self.kind}-{self.blocks}"
        return f"{trunk}-nl-{self.blocks}-{self.form}-{self.domain}"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RunSpec:
    """One run of Table 2: a net and the clips that it is trained and tested on."""

    net: NetSpec = field(default_factory=NetSpec)
    clip: Clip = "short"

    @property
    def key(self) -> str:
        return self.net.name if self.clip == "short" else f"{self.net.name}-{self.clip}"

    @property
    def recipe(self) -> Clip:
        """The name of the profile's recipe that trains it."""
        return self.clip

    @property
    def parent(self) -> "RunSpec | None":
        """Long clips start from the short-clip run of the same net; short ones from pretrained weights."""
        return replace(self, clip="short") if self.clip == "long" else None

    @classmethod
    def of_key(cls, key: str) -> "RunSpec | None":
        """The spec of a key, of any net that the fields can describe; None if there is no such spec."""
        match = KEY.fullmatch(key)
        if not match:
            return None
        chosen: dict[str, Any] = {"depth": int(match["depth"])}
        chosen |= {name: match[name] for name in ("conv", "blocks", "form", "domain") if match[name]}
        if match["kind"] not in (None, "nl"):
            chosen["kind"] = match["kind"]
        net = NetSpec(**chosen)
        spec = cls(net=net, clip="long" if match["long"] else "short")
        return spec if spec.key == key else None


Part = Literal["train", "val", "test"]  # of Charades' videos
Split = Literal["train/val", "trainval/test"]  # the two columns of Table 4: trained on / tested on
TRAINED: dict[Split, tuple[Part, ...]] = {"train/val": ("train",), "trainval/test": ("train", "val")}
TESTED: dict[Split, Part] = {"train/val": "val", "trainval/test": "test"}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ActionSpec:
    """One run of Table 4: a net, and the pair of splits that it is trained and tested on."""

    net: NetSpec = field(default_factory=NetSpec)
    split: Split = "train/val"
    recipe: ClassVar[Clip] = "long"

    @property
    def key(self) -> str:
        return f"{self.net.name}-charades-{self.tested}"

    @property
    def tested(self) -> Part:
        return TESTED[self.split]

    @property
    def parent(self) -> RunSpec:
        """The run of Table 2g: "We initialize our models pre-trained on Kinetics (128-frame)"."""
        return RunSpec(net=self.net, clip="long")


Target = Literal["boxes", "keypoints"]
Backbone = Literal["r50", "r101", "x101"]
COCO_CLASSES: dict[Target, int] = {"boxes": 91, "keypoints": 2}  # 0: background; a person's is 1
BACKBONE_DEPTH: dict[Backbone, Depth] = {"r50": 50, "r101": 101, "x101": 101}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DetectionSpec:
    """One run of Tables 5 and 6: Mask R-CNN for `boxes`, Keypoint R-CNN for `keypoints`, and its blocks.

    Raises:
        BadInput: blocks in a head that there is not.
    """

    kind: Target
    backbone: Backbone
    block: bool = False  # one, right before the last residual block of res4
    head_blocks: bool = False  # four in the keypoint head

    def __post_init__(self) -> None:
        if self.head_blocks and self.kind != "keypoints":
            raise BadInput("head_blocks are of the keypoint head; only kind = 'keypoints' has one")

    @property
    def recipe(self) -> Target:
        return self.kind

    @property
    def key(self) -> str:
        return f"{self.backbone}-{self.kind}" + "-head" * self.head_blocks + "-nl" * self.block
