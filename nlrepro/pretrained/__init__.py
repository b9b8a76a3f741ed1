"""The shipped nets that runs on generated data start from, each with its digest. Imports no torch.

`cards-r<depth>.pt` are to `mini` what torchvision's ImageNet file is to `paper`; `mini-r<depth>.pt`, of
smaller stills, are the trunks of `coco-mini`'s detectors. Each has a note of how it was made (`python -m
nlrepro.train.pretrain` makes both). `coco-<set>-<backbone>[-keypoints].pt` are detectors that find digits and
cards and their inks, or digits and their strokes, of which nothing is hidden: a net must detect cards before
it can use them. From the trunks alone the heads take most of a run to learn that, and when a row then began
to use the card was chance. The code of all runs made them: `python -m ablations sweep 5 --profile start`, and
6; `python -m nlrepro.train.pretrain --half NET OUT`.
"""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from nlrepro.config import Generator, Pretraining, Profile, as_json
from nlrepro.files import BadInput, file_digest
from nlrepro.spec import Depth, DetectionSpec

HERE = Path(__file__).parent
IMAGENET = "imagenet"
NOT_IN_STILLS = {"videos", "kinds", "frames", "shown", "card_frames", "far", "crf"}  # of [generator]


def net_path(name: str, depth: Depth) -> Path:
    """Of a shipped set, or in a folder of your own, such as "results/local/nets/wide"."""
    return HERE / f"{name}-r{depth}.pt" if "/" not in name else Path(name) / f"r{depth}.pt"


def note_path(net: Path) -> Path:
    return net.with_suffix(".json")


@cache
def read_note(net: Path) -> dict[str, Any]:
    """The note of a pretrained net: its sha256, settings and accuracy.

    Raises:
        BadInput: there is no such net, or its note is damaged.
    """
    try:
        note = json.loads(note_path(net).read_text())
    except FileNotFoundError:
        advice = "`python -m nlrepro.train.pretrain` makes it, or name a shipped one in the profile"
        raise BadInput(f"no pretrained net {net}; {advice}") from None
    except (OSError, ValueError):
        note = None
    if not isinstance(note, dict) or not {"sha256", "settings"} <= note.keys():
        raise BadInput(f"the note {note_path(net)} is damaged; restore it, or make net and note anew")
    return note


def pretrained_digest(profile: Profile, depth: Depth) -> str:
    """sha256 of the weights that short clips start from; "imagenet" for torchvision's, which records name."""
    if profile.pretrained == IMAGENET:
        return IMAGENET
    return str(read_note(net_path(profile.pretrained, depth))["sha256"])


def pretraining_parts(profile: Profile) -> tuple[Pretraining, Generator]:
    """The recipe of pretraining, and the generator of its stills.

    Raises:
        BadInput: the profile has none.
    """
    if not profile.pretraining or not profile.generator:
        parts = "[pretraining] and [generator]"
        raise BadInput(f"the profile {profile.name} has no {parts}, which {profile.pretrained!r} needs")
    return profile.pretraining, profile.generator


def pretraining_settings(profile: Profile) -> dict[str, Any]:
    """All that a pretrained net depends on besides its depth; errors as of `pretraining_parts`."""
    recipe, generator = pretraining_parts(profile)
    drawing = {name: value for name, value in asdict(generator).items() if name not in NOT_IN_STILLS}
    net = {name: value for name, value in asdict(profile.geometry).items() if name != "dropout"}
    return dict(as_json({"pretraining": asdict(recipe), "drawing": drawing, "net": net}))


def detector_path(name: str, spec: DetectionSpec) -> Path:
    """The shipped detector of a set for this backbone, that of the spec's kind where there is one.

    Raises:
        BadInput: there is none.
    """
    of_kind, any_kind = (HERE / f"coco-{name}-{spec.backbone}{end}.pt" for end in (f"-{spec.kind}", ""))
    if of_kind.is_file():
        return of_kind
    if not any_kind.is_file():
        known = ", ".join(sorted(path.stem for path in HERE.glob("coco-*.pt")))
        raise BadInput(f"no detector {any_kind.stem} to start from; use one of {known}")
    return any_kind


@cache
def detector_digest(name: str, spec: DetectionSpec) -> str:
    """sha256 of a shipped detector."""
    return file_digest(detector_path(name, spec))
