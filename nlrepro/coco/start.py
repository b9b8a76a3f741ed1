"""The shipped detectors that generated scenes start from. They find digits and cards and tell their inks, or, for keypoints, find
digits and their strokes, of which nothing is hidden. Imports no torch.

They are to `mini` what ImageNet's nets are to `paper`: who learns what a card far away says must first see cards. From the trunks
alone, which tag stills, the heads take most of a run to learn to see, and when a row then began to look far away was chance.
The code of all runs made them: `python -m ablations sweep 5 --profile nlrepro/coco/profiles/start.toml --only 'r*-boxes'`, and of
table 6 `--only r101-keypoints`. `python -m nlrepro.coco.start NET OUT` writes such a net in half precision.
"""

import sys
from functools import cache
from hashlib import sha256
from pathlib import Path

from nlrepro.files import BadInput
from nlrepro.spec import DetectionSpec

HERE = Path(__file__).parent / "pretrained"


def start_path(name: str, spec: DetectionSpec) -> Path:
    """That of the spec's kind, where there is one.

    Raises:
        BadInput: no such net is shipped.
    """
    own, path = (HERE / f"{name}-{spec.backbone}{kind}.pt" for kind in (f"-{spec.kind}", ""))
    if own.is_file():
        return own
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in HERE.glob("*.pt")))
        raise BadInput(f"no detector {path.stem} to start from; there are {known}")
    return path


@cache
def digest_of(name: str, spec: DetectionSpec) -> str:
    return sha256(start_path(name, spec).read_bytes()).hexdigest()


def main(net: Path, out: Path) -> None:
    """Write a trained net in half precision."""
    import torch

    from nlrepro.train.checkpoint import save_atomic

    state = torch.load(net, weights_only=True)
    save_atomic({name: x.half() if x.is_floating_point() else x for name, x in state.items()}, out)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
