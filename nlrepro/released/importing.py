"""Released files as nets of this project: read safely, converted by name, and loaded again by their note.

Each tensor of a file is used or listed, none is guessed. The nets are the authors' "release", but for what
a variant does otherwise (names.py).
"""

import json
import re
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from textwrap import shorten
from typing import cast

import torch
from torch import Tensor, nn

from nlrepro.config import Clips, Profile, Sampling
from nlrepro.files import BadInput, file_digest, write_atomic
from nlrepro.nets.nonlocal_block import NonLocalBlock
from nlrepro.nets.resnet import FoldedNonLocalBlock, Triple, VideoResNet
from nlrepro.nets.weights import COUNTER, State, number_fault, read_net, read_tensors
from nlrepro.record import OWN, Weights, read_json
from nlrepro.released.names import (
    IGNORED,
    Source,
    Variant,
    find_variant,
    naming_of,
    source_name,
    variant_of,
)
from nlrepro.run import Run
from nlrepro.spec import SITES, RunSpec
from nlrepro.task import VIDEO
from nlrepro.train.checkpoint import state_bytes

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of mmaction2's pixels: red, green, blue
EPSILON = 1e-5  # of every batch normalisation here
# Of a normalisation that changes nothing:
IDENTITY = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1 - EPSILON}
CHOOSE = "choose the key of the net that the file is of"


class ReleasedResNet(VideoResNet):
    """`VideoResNet` of the release with the strides, pools and non-local blocks of a source's variant.

    Raises:
        BadInput: the source has released no such net.
    """

    def __init__(self, spec: RunSpec, profile: Profile, source: Source, variant: Variant) -> None:
        check_supported(source, variant, spec)
        step, geometry = variant.time_stride, profile.geometry
        geometry = replace(
            geometry,
            architecture="release",
            stem_stride=(step, *geometry.stem_stride[1:]),
            pool1_stride=(step, *geometry.pool1_stride[1:]),
            pool1_kernel=(1 if variant.padded else step, *geometry.pool1_kernel[1:]),
        )
        of_r50 = source == "pyslowfast" and spec.net.blocks == "5-block"  # also in its ResNet-101
        sites = SITES[50]["5-block"] if of_r50 else spec.net.sites
        super().__init__(spec.net, geometry, clips_of(spec, profile).classes, sites)
        self.source, self.variant = source, variant
        for name, block in self.inserted.items():
            if isinstance(block, NonLocalBlock):
                block.release = source != "mmaction2"
            if isinstance(block, FoldedNonLocalBlock) and name.startswith("res3_"):
                block.group = variant.group

    @property
    def pool1_window(self) -> tuple[Triple, Triple]:
        t, h, w = self.geometry.pool1_kernel
        return (t, h, w), (0, h // 2, w // 2) if self.variant.padded else (0, 0, 0)

    def pool2(self, x: Tensor, frames: int) -> tuple[Tensor, int]:
        return super().pool2(x, frames) if self.variant.pool2 else (x, frames)

    def head(self, x: Tensor) -> Tensor:
        """mmaction2 takes the mean of all positions, the others test in windows."""
        return self.fc(x.mean((1, 3, 4))) if self.source == "mmaction2" else super().head(x)  # (B, classes)


def check_supported(source: Source, variant: Variant, spec: RunSpec) -> None:
    """Raise `BadInput` where the source has released no weights of such a net in this variant."""
    net = spec.net
    if spec.clip != variant.clip:
        clips = f"{source} {variant.name} is of {variant.clip} clips, {spec.key} of {spec.clip} ones"
        raise BadInput(f"{clips}; use the key {replace(spec, clip=variant.clip).key}, or another --variant")
    own = net.kind != "nonlocal" or net.domain != "spacetime" or net.form == "concatenation"
    if own or net.conv not in variant.convs or (net.sites and not variant.nonlocal_blocks):
        kinds = " and ".join("C2D" if conv == "2d" else f"I3D {conv}" for conv in variant.convs)
        blocks = "spacetime" if variant.nonlocal_blocks else "no"
        has = f"it has {kinds} with {blocks} non-local blocks"
        raise BadInput(f"{source} {variant.name} has no weights of {spec.key}; {has}: choose such a key")


def clips_of(spec: RunSpec, profile: Profile) -> Clips:
    """The profile's clips of the spec's kind; `BadInput` where it has none."""
    if spec.clip not in profile.clips:
        missing = f"the profile {profile.name} has no {spec.clip} clips, of which {spec.key} is"
        raise BadInput(f"{missing}; choose another key")
    return profile.clips[spec.clip]


def convert(
    blobs: State, net: ReleasedResNet, naming: Source, file: str
) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """The tensors of `file`, by the source's names, as a state of `net`, which may be on the meta device.

    Besides the state: the names that it is made of, and those in the file that it has no use for.

    Raises:
        BadInput: a name is missing or unknown, a shape does not fit, or a value is none of a working net.
    """
    affine = naming == "caffe2" and "res_conv1_bn_s" in blobs and "res_conv1_bn_rm" not in blobs
    if affine != net.variant.affine:
        given, expected = ("without", "with") if affine else ("with", "without")
        files = f"{net.variant.name} files of {net.source} are {expected}"
        raise BadInput(f"{file} is {given} running means, {files}; see --variant")
    state: dict[str, Tensor] = {}
    used: list[str] = []
    for name, x in net.state_dict().items():
        blob_name, value = source_name(naming, name), constant(name, naming, affine)
        if value is not None:
            state[name] = torch.full(x.shape, value, dtype=x.dtype, device="cpu")
            continue
        if blob_name not in blobs:
            missing = f"{file} lacks {blob_name}, of shape {tuple(x.shape)}, which {net.spec.name} needs"
            raise BadInput(f"{missing}; {CHOOSE}")
        blob = blobs[blob_name]
        if name == "fc.weight" and blob.ndim and len(blob) != len(x):
            advice = f"with classes = {len(blob)}, if its videos are others, such as Kinetics-600"
            classes = f"{file} is of {len(blob)} classes, the profile of {len(x)}"
            raise BadInput(f"{classes}; give as --profile a copy of its TOML file {advice}")
        state[name] = reshape(blob, x.shape, f"{file}: {blob_name}")
        if fault := number_fault(name, blob):
            raise BadInput(f"{file} has {blob_name} {fault}")
        used.append(blob_name)
    left = sorted(set(blobs) - set(used))
    unknown = [name for name in left if not re.fullmatch(IGNORED[naming], name)]
    if unknown:
        first = f"{file} has {unknown[0]}, of shape {tuple(blobs[unknown[0]].shape)}"
        raise BadInput(f"{first}, for which {net.spec.name} has no place ({len(unknown)} such); {CHOOSE}")
    return state, used, left


def constant(name: str, naming: Source, affine: bool) -> float | None:
    """The value of a tensor that no file of this kind has; None for those that must be there.

    An affine file of Caffe2 holds scale and bias alone, and its non-local blocks have no normalisation.
    mmcv's convolution before a normalisation has no bias.
    """
    module, _, kind = name.rpartition(".")
    if kind == COUNTER or (naming == "mmaction2" and name.endswith("w_z.bias")):
        return 0.0
    of_block = module.startswith("inserted.") and module.endswith(".bn")
    return IDENTITY[kind] if affine and (of_block or kind.startswith("running_")) else None


def reshape(blob: Tensor, shape: torch.Size, label: str) -> Tensor:
    """A blob in another shape, which differs in axes of length 1 alone.

    Raises:
        BadInput: it has other numbers of channels, classes or places.
    """
    sides, expected = ([side for side in each if side != 1] for each in (blob.shape, shape))
    if sides != expected:
        raise BadInput(f"{label}: expected the shape {tuple(shape)}, got {tuple(blob.shape)}; {CHOOSE}")
    return blob.reshape(shape).float().clone()


def import_weights(
    file: Path, source: Source, spec: RunSpec, profile: Profile, out: Path, variant: str | None = None
) -> Weights:
    """Write the state at `out` and the note beside it, as `out`.json; the file's name may show the variant.

    Raises:
        BadInput: the file is missing, refused or of another net, or `out` cannot be written.
    """
    with torch.device("meta"):
        net = ReleasedResNet(spec, profile, source, variant_of(file.name, source, spec, variant))
    naming = naming_of(read_tensors(file), source, str(file))
    needed = [name for name in net.state_dict() if constant(name, naming, affine=True) is None]
    own, others = read_net(file, [source_name(naming, name) for name in needed])
    state, used, left = convert(own | others, net, naming, str(file))
    content = state_bytes(state)
    note = Weights(
        source=source,
        variant=net.variant.name,
        key=spec.key,
        file=file.name,
        sha256=file_digest(file),
        state=sha256(content).hexdigest(),
        used=tuple(used),
        left=tuple(left),
    )
    write_atomic(out, content)
    write_atomic(note_path(out), json.dumps(asdict(note), indent=1) + "\n")
    return note


def note_path(weights: Path) -> Path:
    return weights.with_name(weights.name + ".json")


def read_note(path: Path) -> Weights:
    """The note that `weights import` leaves beside the weights; errors as of `read_json`."""
    return cast(Weights, read_json(Weights, path, "note", "run `weights import` again"))


def identify(file: Path, run: Run) -> Weights:
    """Where the weights in a file come from, by their note, or of a run's net by its name.

    Raises:
        BadInput: the weights are missing or of another key, or neither note nor name shows what they are.
    """
    digest, note_file, names = file_digest(file), note_path(file), (run.weights.stem, run.checkpoint.stem)
    if note_file.is_file():
        note = read_note(note_file)
        if note.key != run.key:
            content = f"{note.key} ({note.name}, {note.file})"
            raise BadInput(f"{file} holds weights of {content}, not of {run.key}; evaluate that key")
        if note.state != digest:
            raise BadInput(f"{file} is not what {note_file} was written for; run `weights import` again")
        return note
    if file.stem not in names:
        missing = f"there is no note {note_file.name} of `weights import`, and its name is not {names[0]}.*"
        raise BadInput(
            f"is {file} of {run.key}? {missing}, as its runs write; if it is, copy it to that name"
        )
    return Weights(source=OWN, variant=None, key=run.key, file=file.name, sha256=digest, state=digest)


def build_net(weights: Weights, spec: RunSpec, profile: Profile) -> tuple[VideoResNet, Profile]:
    """The net that weights belong to, and the profile with the clips, pixels and test that they want."""
    clips, data, real = clips_of(spec, profile), profile.data, profile.real
    if weights.source == OWN:
        return VideoResNet(spec.net, profile.geometry, clips.classes), profile
    source = cast(Source, weights.source)
    variant = find_variant(source, weights.variant or "")
    if real:
        side = data.size if variant.small else real.test_side
        sampling = cast(Sampling, source)
        real = replace(real, sampling=sampling, averaged=variant.averaged, test_side=side)
    if source == "mmaction2":
        data = replace(data, mean=MEAN, std=STD)
    clips = replace(clips, frames=variant.frames, stride=variant.stride)
    fitting = replace(profile, clips={**profile.clips, spec.clip: clips}, data=data, real=real)
    return ReleasedResNet(spec, profile, source, variant), fitting


def load_state(net: nn.Module, file: Path) -> None:
    """Load a file that must fit the net exactly, but for other modules in it, such as a loss.

    torchvision's modules take the names of its older files too.

    Raises:
        BadInput: it is damaged, or a tensor is missing, unknown, of another shape, or none of a working net.
    """
    state, _ = read_net(file, net.state_dict())
    try:
        net.load_state_dict(state)
    except RuntimeError as error:  # the first line names the net, the others what does not fit
        reason = shorten(str(error).splitlines()[1], 200, placeholder=" ...")
        raise BadInput(f"{file} does not fit: {reason}; is it of this key and profile?") from None


def load_net(file: Path, spec: RunSpec, profile: Profile) -> tuple[VideoResNet, Profile]:
    """The net of a file of weights, in eval mode, and the profile with the clips and pixels that it wants.

    Raises:
        BadInput: the weights are missing, damaged or do not fit.
    """
    clips_of(spec, profile)
    weights = identify(file, Run(task=VIDEO, spec=spec, profile=profile, seed=0))
    net, fitting = build_net(weights, spec, profile)
    load_state(net, file)
    return net.eval(), fitting
