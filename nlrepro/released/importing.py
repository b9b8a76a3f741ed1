"""Weights as a file with a note of where they came from: released ones, or a finished run's net to pass on."""

import json
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import torch

from nlrepro.config import Profile
from nlrepro.evaluation import OWN, Weights
from nlrepro.files import BadInput, write_atomic
from nlrepro.nets.imagenet import CLASSES, imagenet_file
from nlrepro.nets.reading import tensors
from nlrepro.nets.resnet import VideoResNet
from nlrepro.released.adopt import adopt
from nlrepro.released.known import variant_of
from nlrepro.released.names import Source, bare, naming_of
from nlrepro.released.nets import ReleasedResNet
from nlrepro.released.variants import IMAGENET_PIXELS, variant
from nlrepro.run import Run
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.train.checkpoint import state_bytes


def net(source: Source, spec: RunSpec, profile: Profile, name: str | None) -> VideoResNet:
    """The net that weights of this source and variant belong to; another one of the same tensors would be an error unseen.

    Raises:
        BadInput: the source has released no such net.
    """
    if source != "torchvision":
        if spec.clip not in profile.clips:
            raise BadInput(f"the profile {profile.name} has no {spec.clip} clips, of which {spec.key} is; choose another key")
        return ReleasedResNet(spec, profile.geometry, profile.clips[spec.clip].classes, source, variant(source, name or ""))
    if spec != RunSpec(net=NetSpec(depth=spec.net.depth)):
        raise BadInput(
            f"torchvision's weights are of still images, got the key {spec.key}; use --key r{spec.net.depth}-c2d, the same net, "
            "from which all runs start, inflating it for I3D"
        )
    return VideoResNet(spec.net, profile.geometry, CLASSES)


def suited(profile: Profile, spec: RunSpec, source: Source, name: str) -> Profile:
    """The profile with the clips, the pixels and the test that these weights are of."""
    found = variant(source, name)
    clips = {**profile.clips, spec.clip: replace(profile.clips[spec.clip], frames=found.frames, stride=found.stride)}
    mean, std = IMAGENET_PIXELS if source == "mmaction2" else (profile.data.mean, profile.data.std)
    real = profile.real
    if real:
        assert source != "torchvision"  # which has no variants
        side = profile.data.size if found.small else real.test_side
        real = replace(real, sampling=source, averaged=found.averaged, test_side=side)
    return replace(profile, clips=clips, data=replace(profile.data, mean=mean, std=std), real=real)


def import_weights(file: Path, source: Source, spec: RunSpec, profile: Profile, out: Path, name: str | None = None) -> Weights:
    """Write the state at `out` and the note beside it, as `out`.json; without a `name` the file's tells the variant.

    Raises:
        BadInput: the file is missing, refused or of another net, or `out` cannot be written.
    """
    if source == "torchvision":
        file, name = imagenet(file, spec), None
    else:
        name = variant_of(file.name, source, spec, name)
    with torch.device("meta"):
        shapes = net(source, spec, profile, name)
    blobs = bare(tensors(file), str(file))
    adopted = adopt(blobs, shapes, naming_of(blobs, source, str(file)), str(file))
    state = state_bytes(adopted.state)
    note = Weights(
        source=source,
        variant=name,
        key=spec.key,
        file=file.name,
        sha256=sha256(file.read_bytes()).hexdigest(),
        state=sha256(state).hexdigest(),
        used=tuple(adopted.used),
        left=tuple(adopted.left),
    )
    return write_noted(out, state, note)


def write_noted(out: Path, state: bytes, note: Weights) -> Weights:
    """The state at `out`, the note beside it."""
    write_atomic(out, state)
    write_atomic(note_path(out), json.dumps(asdict(note), indent=1) + "\n")
    return note


def note_path(weights: Path) -> Path:
    return weights.with_name(weights.name + ".json")


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


def keep(run: Run, out: Path) -> Weights:
    """Write a finished run's net in float16 at `out` and the note beside it, as `out`.json.

    The note's `file` ends in the fingerprint of the record.

    Raises:
        BadInput: the run is not finished, float16 cannot hold its net, or `out` cannot be written.
    """
    file, results = run.weights, run.folders.results
    if not run.finished():
        raise BadInput(f"no finished run {run.name} below {results}; `run` or `sweep` makes it")
    half = {name: x.half() if x.is_floating_point() else x for name, x in tensors(file).items()}
    lost = [name for name, x in half.items() if not torch.isfinite(x).all()]
    if lost:
        raise BadInput(f"float16 cannot hold {lost[0]} of {file}; keep the file itself")
    state = state_bytes(half)
    note = Weights(
        source=OWN,
        variant=f"seed{run.seed}",
        key=run.key,
        file=str(file.relative_to(results / "runs")),
        sha256=sha256(file.read_bytes()).hexdigest(),
        state=sha256(state).hexdigest(),
    )
    return write_noted(out, state, note)
