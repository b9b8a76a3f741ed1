"""The shipped detectors that generated scenes start from: they find digits and cards and tell their inks. Imports no torch.

They are to `mini` what ImageNet's nets are to `paper`: who learns what a card far away says must first see cards. From the trunks
alone, which tag stills, the heads take most of a run to learn to see, and when a row then began to look far away was chance.
The code of every run made them: `python -m ablations sweep 5 --profile nlrepro/coco/profiles/start.toml --only 'r*-boxes'`, and
`python -m nlrepro.coco.start NET OUT` writes such a net in half precision.
"""

import sys
from functools import cache
from hashlib import sha256
from pathlib import Path

from nlrepro.coco.spec import Backbone
from nlrepro.errors import BadInput

HERE = Path(__file__).parent / "pretrained"


def start_path(name: str, backbone: Backbone) -> Path:
    """
    Raises:
        BadInput: no such net is shipped.
    """
    path = HERE / f"{name}-{backbone}.pt"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in HERE.glob("*.pt")))
        raise BadInput(f"no detector {path.stem} to start from; there are {known}")
    return path


@cache
def digest_of(name: str, backbone: Backbone) -> str:
    return sha256(start_path(name, backbone).read_bytes()).hexdigest()


def main(net: Path, out: Path) -> None:
    """Write a trained net in half precision."""
    import torch

    from nlrepro.train.checkpoint import save_atomic

    state = torch.load(net, weights_only=True)
    save_atomic({name: x.half() if x.is_floating_point() else x for name, x in state.items()}, out)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
