"""What to run: a `RunSpec` is one training run, whichever tables ask for it.

Section 3.3 and 4 of Wang et al., "Non-local Neural Networks", CVPR 2018. Two rows of Table 2 that describe the same
net and the same clips give equal specs, hence the same `key`, hence one record on disk: nothing is trained twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import field, replace
from itertools import product
from typing import Literal, get_args

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid")

Depth = Literal[50, 101]
Conv = Literal["2d", "3x1x1", "3x3x3"]  # C2D; I3D inflating the first 1x1 or the 3x3 of every second block
PaperForm = Literal["gaussian", "embedded", "dot", "concatenation"]  # the paper's
Domain = Literal["space", "time", "spacetime"]
Kind = Literal["nonlocal", "residual"]  # of the blocks at the sites; plain residual ones are the text's control (section 5.1)
Blocks = Literal["none", "res2", "res3", "res4", "res5", "5-block", "10-block"]
Clip = Literal["short", "long"]  # 32-frame clips, 128-frame clips
Site = tuple[int, int]  # (stage 2..5, 0-based residual block after which a non-local block sits)

DEPTHS: tuple[Depth, ...] = (50, 101)
STAGE_BLOCKS: dict[Depth, dict[int, int]] = {50: {2: 3, 3: 4, 4: 6, 5: 3}, 101: {2: 3, 3: 4, 4: 23, 5: 3}}

# "Right before the last residual block of a stage" (one block), "to every other residual block" of res3 and res4
# (five), "to every residual block" of them (ten). For ResNet-101 the paper says "the corresponding residual blocks";
# the spread over its 23 res4 blocks is our reading. Records know a place by its name: other sites want another name, or
# records of the old ones pass for fresh.
SITES: dict[Depth, dict[Blocks, tuple[Site, ...]]] = {
    50: {
        "none": (),
        "res2": ((2, 1),),
        "res3": ((3, 2),),
        "res4": ((4, 4),),
        "res5": ((5, 1),),
        "5-block": ((3, 1), (3, 3), (4, 1), (4, 3), (4, 5)),
        "10-block": tuple((3, i) for i in range(4)) + tuple((4, i) for i in range(6)),
    },
    101: {
        "none": (),
        "res2": ((2, 1),),
        "res3": ((3, 2),),
        "res4": ((4, 21),),
        "res5": ((5, 1),),
        "5-block": ((3, 1), (3, 3), (4, 6), (4, 13), (4, 20)),
        "10-block": tuple((3, i) for i in range(4)) + tuple((4, i) for i in range(2, 23, 4)),
    },
}


class UnknownForm(ValueError):
    """Neither the paper's nor defined with `@form` (nlrepro/nets/forms.py)."""

    def __init__(self, form: str, known: Iterable[str]) -> None:
        super().__init__(f"form: expected one of {', '.join(map(repr, known))}, got {form!r}")
        self.form = form


def form_source(name: str) -> str:
    """The source of a form of one's own, which is part of its runs' settings; of the paper's forms "".

    Raises:
        UnknownForm: there is no such form.
    """
    if name in get_args(PaperForm):
        return ""
    from nlrepro.nets.forms import forms  # imports torch, which specs of the paper's forms do without

    if name not in forms():
        raise UnknownForm(name, forms())
    return forms()[name].source


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NetSpec:
    """One architecture. Fields that mean nothing without non-local blocks, or without any, fall back to their defaults."""

    depth: Depth = 50
    conv: Conv = "2d"
    blocks: Blocks = "none"
    kind: Kind = "nonlocal"
    form: str = "embedded"
    domain: Domain = "spacetime"

    def __post_init__(self) -> None:
        form_source(self.form)
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
    """One run: a net and the clips that it is trained and tested on."""

    net: NetSpec = field(default_factory=NetSpec)
    clip: Clip = "short"

    @property
    def key(self) -> str:
        return self.net.name if self.clip == "short" else f"{self.net.name}-{self.clip}"

    @property
    def parent(self) -> "RunSpec | None":
        """The run whose weights this one starts from.

        Long clips start from the short-clip model of the same net; short clips from pretrained weights, which are no run.
        """
        return replace(self, clip="short") if self.clip == "long" else None


def every_run(forms: Iterable[str]) -> Iterator[RunSpec]:
    """All runs that there can be with these forms; some come twice, where a field means nothing."""
    nets = product(DEPTHS, *map(get_args, (Conv, Blocks, Kind)), forms, *map(get_args, (Domain, Clip)))
    for depth, conv, blocks, kind, form, domain, clip in nets:
        net = NetSpec(depth=depth, conv=conv, blocks=blocks, kind=kind, form=form, domain=domain)
        yield RunSpec(net=net, clip=clip)
