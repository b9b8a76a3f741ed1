"""What to run for Table 4: a net, and the pair of splits that it is trained and tested on."""

from dataclasses import field
from typing import Literal

from pydantic.dataclasses import dataclass

from nlrepro.spec import STRICT, NetSpec, RunSpec

Part = Literal["train", "val", "test"]  # a set of videos
Split = Literal["train/val", "trainval/test"]  # the two columns of the paper's table: trained on / tested on

TRAINED: dict[Split, tuple[Part, ...]] = {"train/val": ("train",), "trainval/test": ("train", "val")}
TESTED: dict[Split, Part] = {"train/val": "val", "trainval/test": "test"}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ActionSpec:
    """One run: a net, and its splits."""

    net: NetSpec = field(default_factory=NetSpec)
    split: Split = "train/val"

    @property
    def key(self) -> str:
        return f"{self.net.name}-charades-{self.tested}"

    @property
    def tested(self) -> Part:
        return TESTED[self.split]

    @property
    def parent(self) -> RunSpec:
        """The run of Table 2g whose weights it starts from: "We initialize our models pre-trained on Kinetics (128-frame)"."""
        return RunSpec(net=self.net, clip="long")
