"""What a position looks at: the strongest x_j of one x_i in one block, on the frames of a clip (the paper's Figure 3)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Position(NamedTuple):
    """A position of a block's map; a max-pooled x_j lies between four of them."""

    t: float
    y: float
    x: float


class Spot(NamedTuple):
    """A frame of the clip and a place on it, in pixels from the centre of the upper left one."""

    frame: int
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Look:
    """x_i, its strongest x_j, the strongest first, and their weights f(x_i, x_j) / C(x)."""

    query: Position
    keys: tuple[Position, ...]
    weights: tuple[float, ...]
    of: int  # number of all x_j
    total: float  # of all weights


@dataclass(frozen=True, kw_only=True)
class Attention:
    """A look, and where its ends lie on the frames of the clip."""

    key: str
    block: str  # "res3_3": after which residual block it sits
    look: Look
    shape: tuple[int, int, int]  # of the block's map: frames, height, width
    softmax: bool
    pooled: bool  # each x_j stands for 2 x 2 positions
    frames: npt.NDArray[np.uint8]  # (T, H, W, 3) RGB, of the clip
    start: Spot
    ends: tuple[Spot, ...]
    columns: tuple[int, ...]  # the frame of the clip at the centre of each frame of the map

    @property
    def caption(self) -> str:
        """What is drawn, in two sentences."""
        look, (t, y, x) = self.look, (int(i) for i in self.look.query)
        frames, height, width = (side - 1 for side in self.shape)
        cells = " (2 x 2 max-pooled)" if self.pooled else ""
        weights = f"{look.weights[0]:.3g} to {look.weights[-1]:.3g}"
        place = f"x_i: frame {t} of 0-{frames}, row {y} of 0-{height}, column {x} of 0-{width} of the map."
        found = f"Arrows: the {len(look.keys)} strongest of {look.of} x_j{cells}"
        if self.softmax:
            return f"{place} {found}; softmax weights {weights}, together {sum(look.weights):.2f} of 1."
        return f"{place} {found}; no softmax in this form: responses f / C(x), {weights}; all together {look.total:.3g}."
