"""What is compared: our block, the same in each order that it chooses from, and rivals from their own public code.

Rivals are imported from a folder of checkouts, `<rivals>/<name>`, that the user gives; what is absent is skipped. None of their
code is in this project.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

from torch import Tensor, nn

from nlrepro.nets.block import NonLocalBlock
from nlrepro.nets.rectified import by_sorting
from nlrepro.spec import PaperForm

Build = Callable[[int], nn.Module]  # channels -> block


class DirectBlock(NonLocalBlock):
    """Eq. 1 as it stands: all N x M values of f are held."""

    def aggregate(self, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        return self.weights(theta, phi) @ g  # (S, N, M) (S, M, K) -> (S, N, K)


class LinearBlock(NonLocalBlock):
    """The other order of the dot product and the concatenation form, linear in N, also where holding the pairs is cheaper."""

    def aggregate(self, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        g = g / g.shape[1]
        if self.w_f is None:
            return theta @ (phi.mT @ g)  # (S, N, K)
        w_theta, w_phi = self.w_f.chunk(2)  # (K,) both
        return by_sorting(theta @ w_theta, phi @ w_phi, g)  # (S, N, K)


class Operation(nn.Module):
    """A block's Eq. 1 alone, without its 1x1x1 convolutions: theta (S, N, K), phi (S, M, K), g (S, M, K) -> (S, N, K)."""

    def __init__(self, block: NonLocalBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        return self.block.aggregate(theta, phi, g)


def load(path: Path) -> ModuleType:
    """Import one Python file by its path."""
    spec = importlib.util.spec_from_file_location(f"rival_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def slowfast(rivals: Path, form: PaperForm) -> Build | None:
    """PySlowFast: embedded Gaussian (scaled) and dot product; it pools x before phi and g."""
    names = {"embedded": "softmax", "dot": "dot_product"}
    path = rivals / "SlowFast" / "slowfast" / "models" / "nonlocal_helper.py"
    if form not in names or not path.is_file():
        return None
    block = load(path).Nonlocal
    return lambda channels: block(channels, channels // 2, [1, 2, 2], names[form])


def mmcv(rivals: Path, form: PaperForm) -> Build | None:
    """mmcv, which needs mmengine installed: all four forms, here with unscaled scores; its 3D block pools phi and g."""
    names = {"embedded": "embedded_gaussian", "dot": "dot_product", "gaussian": "gaussian", "concatenation": "concatenation"}
    if not (rivals / "mmcv" / "mmcv" / "cnn" / "bricks" / "non_local.py").is_file():
        return None
    sys.path.insert(0, str(rivals / "mmcv"))
    try:
        block = importlib.import_module("mmcv.cnn.bricks.non_local").NonLocal3d
    except ImportError as error:
        print(f"mmcv is skipped: {error}", file=sys.stderr)
        return None
    norm = {"type": "BN3d"}
    return lambda channels: block(
        channels, mode=names[form], sub_sample=True, use_scale=False, conv_cfg={"type": "Conv3d"}, norm_cfg=norm
    )


def standalone(rivals: Path, form: PaperForm) -> Build | None:
    """AlexHex7/Non-local_pytorch, the stand-alone one most often copied: all four forms, pools phi and g."""
    names = {"embedded": "embedded_gaussian", "dot": "dot_product", "gaussian": "gaussian", "concatenation": "concatenation"}
    path = rivals / "Non-local_pytorch" / "lib" / f"non_local_{names[form]}.py"
    if not path.is_file():
        return None
    return partial(load(path).NONLocalBlock3D)


def build(rivals: Path | None, form: PaperForm, name: str, channels: int) -> nn.Module:
    """One of the subjects, for a process that can be told its name only."""
    return dict(subjects(rivals, form))[name](channels)


def subjects(rivals: Path | None, form: PaperForm) -> Iterator[tuple[str, Build]]:
    """Names and builders of what can be compared for a form; ours first, as in the text and as in the authors' code.

    PySlowFast is to be compared with the latter: both subsample before phi and g, which is another function and cheaper.
    """
    yield "ours", lambda channels: NonLocalBlock(channels, form)
    yield "ours, release", lambda channels: NonLocalBlock(channels, form, architecture="release")
    yield "direct", lambda channels: DirectBlock(channels, form)
    if form in ("dot", "concatenation"):
        yield "linear", lambda channels: LinearBlock(channels, form)
    for name, find in {"PySlowFast": slowfast, "mmcv": mmcv, "Non-local_pytorch": standalone}.items():
        build = find(rivals, form) if rivals else None
        if build:
            yield name, build
