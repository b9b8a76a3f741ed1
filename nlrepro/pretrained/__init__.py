"""The nets that short clips of generated videos start from: a file of weights and a note of how it came about, one a depth.

They are to `mini` what torchvision's ImageNet file is to `paper`. `python -m ablations pretrain` makes them; users need not.
"""

import json
from dataclasses import asdict
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from nlrepro.config import Profile
from nlrepro.files import BadInput
from nlrepro.spec import Depth

IMAGENET = "imagenet"
OF_VIDEOS = {"videos", "kinds", "frames", "shown", "card_frames", "far", "crf"}  # of the generator: nothing that a still shows


def net_path(name: str, depth: Depth) -> Path:
    """Of a shipped set, or in a folder of one's own, such as "results/local/nets/wide"."""
    folder = Path(str(resources.files(__name__)))
    return folder / f"{name}-r{depth}.pt" if "/" not in name else Path(name) / f"r{depth}.pt"


def note_path(net: Path) -> Path:
    return net.with_suffix(".json")


@cache
def read_note(net: Path) -> dict[str, Any]:
    """
    Raises:
        BadInput: there is no such net, or its note is damaged.
    """
    try:
        note = json.loads(note_path(net).read_text())
    except FileNotFoundError:
        raise BadInput(f"no pretrained net {net}; `pretrain` makes it, or name a shipped one in the profile") from None
    except (OSError, ValueError):
        note = None
    if not isinstance(note, dict) or not {"sha256", "settings"} <= note.keys():
        raise BadInput(f"the note {note_path(net)} is damaged; restore it, or make net and note with `pretrain`")
    return note


def digest(profile: Profile, depth: Depth) -> str:
    """What tells the start of short clips apart; of ImageNet the file's name, which the record of a run holds, tells it."""
    return IMAGENET if profile.pretrained == IMAGENET else str(read_note(net_path(profile.pretrained, depth))["sha256"])


def settings(profile: Profile) -> dict[str, Any]:
    """All that a pretrained net depends on besides its depth, as it stands in JSON.

    Raises:
        BadInput: the profile does not say how its nets are pretrained.
    """
    if not profile.pretraining or not profile.generator:
        raise BadInput(f"the profile {profile.name} has no [pretraining] and [generator], which {profile.pretrained!r} needs")
    drawing = {name: value for name, value in asdict(profile.generator).items() if name not in OF_VIDEOS}
    net = {name: value for name, value in asdict(profile.geometry).items() if name != "dropout"}
    found: dict[str, Any] = json.loads(json.dumps({"pretraining": asdict(profile.pretraining), "drawing": drawing, "net": net}))
    return found
