"""A source's tensors as the state of one of our nets: every one is used or listed, none is guessed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nlrepro.files import BadInput
from nlrepro.nets.resnet import VideoResNet
from nlrepro.released.names import Source, ignored, theirs
from nlrepro.released.nets import ReleasedResNet

EPSILON = 1e-5  # of every batch normalisation here
IDENTITY = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1 - EPSILON}  # normalisation that changes nothing


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """A net's state, the source's names that it was made of, and those that it has no use for."""

    state: dict[str, Tensor]
    used: list[str]
    left: list[str]


def adopt(blobs: dict[str, Tensor], net: VideoResNet, naming: Source, file: str) -> Adopted:
    """The tensors of `file`, by the source's names, as a state of `net`.

    Raises:
        BadInput: a name is missing or unknown, a shape does not fit, or a value is none of a working net.
    """
    affine = naming == "caffe2" and "res_conv1_bn_s" in blobs and "res_conv1_bn_rm" not in blobs
    if isinstance(net, ReleasedResNet) and affine != net.variant.affine:
        found, wanted = ("without", "with") if affine else ("with", "without")
        raise BadInput(f"{file} is {found} running means, {net.variant.name} files of {net.source} are {wanted}; see --variant")
    state, used = {}, []
    for name, ours in net.state_dict().items():
        peer, constant = theirs(naming, name), fixed(name, naming, affine)
        if constant is not None:
            state[name] = torch.full(ours.shape, constant, dtype=ours.dtype, device="cpu")
        elif peer not in blobs:
            raise BadInput(
                f"{file} lacks {peer}, of shape {tuple(ours.shape)}, which {net.spec.name} needs; "
                "choose the key of the net that the file is of"
            )
        else:
            if naming != "torchvision":  # whose classes are those of still images
                demand_classes(name, blobs[peer], ours.shape, file)
            state[name] = fitted(blobs[peer], ours.shape, f"{file}: {peer}")
            demand_sane(name, state[name], f"{file}: {peer}")
            used.append(peer)
    left = sorted(set(blobs) - set(used))
    unknown = [name for name in left if not ignored(naming, name)]
    if unknown:
        raise BadInput(
            f"{file} has {unknown[0]}, of shape {tuple(blobs[unknown[0]].shape)}, for which {net.spec.name} has no place "
            f"({len(unknown)} such); choose the key of the net that the file is of"
        )
    return Adopted(state=state, used=used, left=left)


def demand_classes(name: str, blob: Tensor, shape: torch.Size, file: str) -> None:
    """
    Raises:
        BadInput: the file's classifier is of other classes.
    """
    if name == "fc.weight" and blob.ndim and len(blob) != shape[0]:
        raise BadInput(
            f"{file} tells {len(blob)} classes apart, the profile {shape[0]}: is it of other videos, such as Kinetics-600? "
            f"Give as --profile a copy of the profile's TOML file with classes = {len(blob)}"
        )


def demand_sane(name: str, values: Tensor, label: str) -> None:
    """
    Raises:
        BadInput: a value is no finite number, or a variance below 0.
    """
    if not values.isfinite().all():
        raise BadInput(f"{label} has values that are no finite numbers: the file is damaged, or its training had failed")
    if name.endswith("running_var") and bool((values < 0).any()):
        raise BadInput(f"{label} has variances below 0: the file is damaged, or none of this source")


def fixed(name: str, naming: Source, affine: bool) -> float | None:
    """The value of a tensor of ours that no file of this kind has; None for those that must be there.

    An affine file of Caffe2 holds scale and bias alone, and its non-local blocks have no normalisation; mmcv's convolution
    before a normalisation has no bias.
    """
    module, _, kind = name.rpartition(".")
    if kind == "num_batches_tracked" or (naming == "mmaction2" and name.endswith("w_z.bias")):
        return 0.0
    if affine and (kind.startswith("running_") or (module.startswith("inserted.") and module.endswith(".bn"))):
        return IDENTITY[kind]
    return None


def fitted(blob: Tensor, shape: torch.Size, label: str) -> Tensor:
    """A blob in our shape: without a kernel's axis of length 1.

    Raises:
        BadInput: it has other numbers of channels, classes or places, or is not of numbers.
    """
    if not blob.is_floating_point():
        raise BadInput(f"{label}: expected floating-point numbers, got {blob.dtype}; the file is no net's weights")
    found = blob
    if blob.ndim == 5 and len(shape) == 4 and blob.shape[2] == 1:
        found = blob.squeeze(2)
    elif len(shape) == 2 and blob.shape[2:].numel() == 1:
        found = blob.flatten(1)
    if found.shape != shape:
        raise BadInput(f"{label}: expected the shape {tuple(shape)}, got {tuple(blob.shape)}; choose the key of the file's net")
    return found.float().clone()
