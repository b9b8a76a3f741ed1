"""Non-local Neural Networks (Wang et al., CVPR 2018): Table 2 reproduced, and its block for nets of your own.

>>> from nlrepro import NonLocalBlock, add_nonlocal
>>> block = NonLocalBlock(64, form="dot")  # for images (B, C, H, W) and clips (B, C, T, H, W)

Importing the package takes no time: PyTorch comes with the first of these names, Lightning and wandb with
neither.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlrepro.nets.add_nonlocal import add_nonlocal
    from nlrepro.nets.nonlocal_block import NonLocalBlock

__all__ = ["NonLocalBlock", "add_nonlocal"]


def __getattr__(name: str) -> Any:
    if name == "NonLocalBlock":
        from nlrepro.nets.nonlocal_block import NonLocalBlock

        return NonLocalBlock
    if name == "add_nonlocal":
        from nlrepro.nets.add_nonlocal import add_nonlocal

        return add_nonlocal
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
