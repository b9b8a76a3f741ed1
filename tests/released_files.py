"""Stand-ins for released files: the peers' own names and shapes (golden/released), filled by name from a seed.

The lists come from nets that the peers' public code built. `x.bn.*` stands for the tensors of a batch normalisation.
"""

import math
import re
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from nlrepro.config import Profile
from nlrepro.released.adopt import fixed
from nlrepro.released.importing import net
from nlrepro.released.names import Source, theirs
from nlrepro.released.nets import ReleasedResNet
from nlrepro.spec import RunSpec

GOLDEN = Path(__file__).parent / "golden" / "released"
TORCH = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
CAFFE2 = ("s", "b", "rm", "riv")
Shapes = dict[str, tuple[int, ...]]


def shapes(source: str) -> Shapes:
    """Names and shapes of the source's I3D ResNet-50 with five non-local blocks."""
    found: Shapes = {}
    for line in (GOLDEN / f"{source}.txt").read_text().splitlines():
        name, text = line.split()
        shape = tuple(map(int, text.split("x")))
        kinds = (CAFFE2 if source == "caffe2" else TORCH) if name.endswith("*") else ("",)
        found |= {name.removesuffix("*") + kind: () if kind == TORCH[-1] else shape for kind in kinds}
    return found


def baseline(found: Shapes) -> Shapes:
    return {name: shape for name, shape in found.items() if not re.search("non_?local", name)}


def flat(found: Shapes) -> Shapes:
    """C2D: kernels without extent in time."""
    return {name: (*shape[:2], 1, *shape[3:]) if len(shape) == 5 else shape for name, shape in found.items()}


def affine(found: Shapes) -> Shapes:
    """Scale and bias alone, non-local blocks without either."""
    return {name: shape for name, shape in found.items() if not re.search(r"_rm$|_riv$|nonlocal.*_bn_", name)}


def deeper(found: Shapes) -> Shapes:
    """PySlowFast's ResNet-101: 17 more blocks in its s4, inflated in turns as those of ResNet-50."""
    more: Shapes = {}
    for n in range(6, 23):
        like = f"s4.pathway0_res{4 + n % 2}."
        more |= {name.replace(like, f"s4.pathway0_res{n}."): shape for name, shape in found.items() if name.startswith(like)}
    return found | more


def gaussian(found: Shapes) -> Shapes:
    return {name: shape for name, shape in found.items() if ".theta." not in name and ".phi." not in name}


def blob(name: str, shape: tuple[int, ...]) -> Tensor:
    """As the peers' nets were filled when their outputs were taken: by name, from seed 0."""
    generator = torch.Generator().manual_seed(int(sha256(f"0 {name}".encode()).hexdigest()[:8], 16))
    x = torch.randn(shape, generator=generator)
    if name.endswith(("running_var", "_riv")):
        return x.abs() * 0.5 + 0.5
    if re.search("non_?local", name):
        x = (0.5 if re.search("theta|phi", name) else 0.1 if len(shape) > 1 else 0.3) * x
    if len(shape) == 1:
        return 0.2 * x + (1.0 if name.endswith((".weight", "_s")) else 0.0)
    return x * math.prod(shape[1:]) ** -0.5 if shape else torch.tensor(0)


def blobs(found: Shapes) -> dict[str, Tensor]:
    return {name: blob(name, shape) for name, shape in found.items()}


def clip(frames: int, side: int = 64) -> Tensor:
    """(1, 3, T, side, side)."""
    return torch.randn(1, 3, frames, side, side, generator=torch.Generator().manual_seed(5))


def narrow(source: Source, spec: RunSpec, profile: Profile, variant: str) -> dict[str, Tensor]:
    """A net of the profile's width as a file of the source has it."""
    torch.manual_seed(0)
    found = net(source, spec, profile, variant)
    assert isinstance(found, ReleasedResNet)
    return {
        theirs(source, name): tensor.clone()
        for name, tensor in found.state_dict().items()
        if fixed(name, source, found.variant.affine) is None
    }
