"""What short clips start from: the paper's ImageNet nets (section 4), or nets pretrained on drawn stills."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from torch import Tensor

from nlrepro.config import Profile
from nlrepro.files import BadInput
from nlrepro.nets.imagenet import imagenet
from nlrepro.nets.reading import tensors
from nlrepro.pretrained import IMAGENET, net_path, read_note, settings
from nlrepro.spec import Depth


def pretrained(depth: Depth, profile: Profile, files: Sequence[Path] = ()) -> tuple[dict[str, Tensor], str]:
    """The weights, and what to call them in a record; `files` are torchvision's, where its cache lacks them.

    Raises:
        BadInput: they are not there, damaged, of another net or made with other settings.
    """
    if profile.pretrained == IMAGENET:
        return imagenet(depth, profile.geometry, files)
    net = net_path(profile.pretrained, depth)
    note = read_note(net)
    if net.is_file() and sha256(net.read_bytes()).hexdigest() != note["sha256"]:
        raise BadInput(f"the pretrained net {net} is not the file that its note is of; restore it, or make both with `pretrain`")
    if wrong := differences(note["settings"], settings(profile)):
        told = "; ".join(wrong)
        raise BadInput(f"the pretrained net {net} does not fit {profile.name}: {told}; `pretrain` makes one that fits")
    state = {name: x.float() if x.is_floating_point() else x for name, x in tensors(net).items()}
    return state, f"{net.name} (sha256 {note['sha256'][:12]})"


def differences(of_net: dict[str, dict[str, object]], wanted: dict[str, dict[str, object]]) -> list[str]:
    """ "net.width is 8, the profile has 16" """
    return [
        f"{part}.{name} is {of_net.get(part, {}).get(name)}, the profile has {value}"
        for part, values in wanted.items()
        for name, value in values.items()
        if of_net.get(part, {}).get(name) != value
    ]
