"""Stand-ins for released files: names and shapes of the peers' own nets (golden/released), filled by name.

In the lists `x.bn.*` stands for all tensors of a batch normalisation.
"""

import math
import re
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from nlrepro.config import Profile
from nlrepro.released.importing import ReleasedResNet, constant
from nlrepro.released.names import Source, find_variant, source_name
from nlrepro.spec import NetSpec, RunSpec

GOLDEN = Path(__file__).parent / "golden" / "released"
TORCH = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
KINDS = {"caffe2": ("s", "b", "rm", "riv"), "pyslowfast": TORCH, "mmaction2": TORCH}
Shapes = dict[str, tuple[int, ...]]


def shapes(source: str, spec: NetSpec, affine: bool) -> Shapes:
    """Of the source's net, whose list is of I3D ResNet-50 with five embedded Gaussian blocks."""
    listed: Shapes = {}
    for line in (GOLDEN / f"{source}.txt").read_text().splitlines():
        name, text = line.split()
        shape = tuple(map(int, text.split("x")))
        if spec.conv == "2d" and len(shape) == 5:
            shape = (*shape[:2], 1, *shape[3:])
        kinds = KINDS[source] if name.endswith("*") else ("",)
        listed |= {name.removesuffix("*") + kind: () if kind == TORCH[-1] else shape for kind in kinds}
    lacks = ["non_?local"] * (not spec.sites) + ["theta|phi"] * (spec.form == "gaussian")
    lacks += ["_rm$|_riv$|nonlocal.*_bn_"] * affine  # of Caffe2
    listed = {name: x for name, x in listed.items() if not any(re.search(part, name) for part in lacks)}
    return deeper(listed) if spec.depth == 101 else listed


def deeper(listed: Shapes) -> Shapes:
    """PySlowFast's ResNet-101: 17 more blocks in its s4, inflated in turns as those of ResNet-50."""
    more: Shapes = {}
    for n in range(6, 23):
        like = f"s4.pathway0_res{4 + n % 2}."
        own = {name: shape for name, shape in listed.items() if name.startswith(like)}
        more |= {name.replace(like, f"s4.pathway0_res{n}."): shape for name, shape in own.items()}
    return listed | more


def blob(name: str, shape: tuple[int, ...]) -> Tensor:
    """As the peers' nets were filled when their outputs were taken: by name, from seed 0."""
    seed = int(sha256(f"0 {name}".encode()).hexdigest()[:8], 16)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    if name.endswith(("running_var", "_riv")):
        return x.abs() * 0.5 + 0.5
    if re.search("non_?local", name):
        x = (0.5 if re.search("theta|phi", name) else 0.1 if len(shape) > 1 else 0.3) * x
    if len(shape) == 1:
        return 0.2 * x + (1.0 if name.endswith((".weight", "_s")) else 0.0)
    return x * math.prod(shape[1:]) ** -0.5 if shape else torch.tensor(0)


def blobs(listed: Shapes) -> dict[str, Tensor]:
    return {name: blob(name, shape) for name, shape in listed.items()}


def clip(frames: int, side: int = 64) -> Tensor:
    """(1, 3, T, side, side)."""
    return torch.randn(1, 3, frames, side, side, generator=torch.Generator().manual_seed(5))


def narrow(source: Source, spec: RunSpec, profile: Profile, variant: str) -> dict[str, Tensor]:
    """A random net of the profile's width as a file of the source has it."""
    torch.manual_seed(0)
    net = ReleasedResNet(spec, profile, source, find_variant(source, variant))
    return {
        source_name(source, name): x.clone()
        for name, x in net.state_dict().items()
        if constant(name, source, net.variant.affine) is None
    }
