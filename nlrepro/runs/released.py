"""Released weights as a file that a run or a test can start from, with a note of where they came from."""

import json
from hashlib import sha256
from pathlib import Path

import torch

from nlrepro.errors import BadInput
from nlrepro.files import write_whole
from nlrepro.nets.imagenet import imagenet_file
from nlrepro.nets.released.adopt import Adopted, adopt
from nlrepro.nets.released.names import Source
from nlrepro.nets.released.nets import ReleasedResNet
from nlrepro.nets.released.reading import tensors
from nlrepro.nets.video_resnet import VideoResNet
from nlrepro.profile import Profile
from nlrepro.runs.place import save_whole
from nlrepro.spec import RunSpec

IMAGENET_CLASSES = 1000


def net(source: Source, spec: RunSpec, profile: Profile) -> VideoResNet:
    """The net that weights of this source belong to; testing them in another one of the same tensors is an error unseen.

    Raises:
        BadInput: the source has released no such net, or one that this project's cannot be.
    """
    if source != "torchvision":
        return ReleasedResNet(spec, profile.net, profile.clips[spec.clip], source)
    if spec.clip != "still":
        raise BadInput(
            f"torchvision's weights are of still images, got the key {spec.key}; use --key r{spec.net.depth}-c2d-still, "
            "from which runs start, inflating them for I3D"
        )
    return VideoResNet(spec.net, profile.net, IMAGENET_CLASSES)


def import_weights(file: Path, source: Source, spec: RunSpec, profile: Profile, out: Path) -> Adopted:
    """Write the state at `out` and the note beside it, as `out`.json; the note's `source` says which `net` it is of.

    Raises:
        BadInput: the file is missing, refused or of another net, or `out` cannot be written.
    """
    if source == "torchvision":
        file = imagenet(file, spec)
    with torch.device("meta"):
        shapes = net(source, spec, profile)
    naming: Source = "caffe2" if source == "pyslowfast" and file.suffix == ".pkl" else source  # their zoo holds both
    adopted = adopt(tensors(file), shapes, naming, str(file))
    save_whole(adopted.state, out)
    note = {
        "file": file.name,
        "sha256": sha256(file.read_bytes()).hexdigest(),
        "source": source,
        "key": spec.key,
        "profile": profile.name,
        "used": len(adopted.used),
        "left": adopted.left,
    }
    write_whole(out.with_name(out.name + ".json"), json.dumps(note, indent=1) + "\n")
    return adopted


def imagenet(file: Path, spec: RunSpec) -> Path:
    """`file`, or the file of that name in torch.hub's cache.

    Raises:
        BadInput: neither is there; the message says which file to put where.
    """
    kept, url = imagenet_file(spec.net.depth)
    cached = kept.with_name(file.name)
    if file.is_file() or cached.is_file():
        return file if file.is_file() else cached
    raise BadInput(f"no file {file} nor {cached}; download {url} and give its path, or put it there")
