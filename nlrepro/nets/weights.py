"""Weights that nets start from: read safely, from ImageNet or the shipped ones, copied and inflated.

A pickle is a program, so a file may name only what weights need: tensors come out, nothing runs. Short clips
start from ImageNet (section 4), or from nets pretrained on drawn stills (nlrepro/pretrained).
"""

import io
import pickle
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

from nlrepro.config import Profile
from nlrepro.files import BadInput, file_digest
from nlrepro.nets.resnet import VideoResNet
from nlrepro.pretrained import IMAGENET, net_path, pretraining_settings, read_note
from nlrepro.spec import Depth, NetSpec

State = Mapping[str, Tensor]

PLAIN = {("builtins", "set"), ("collections", "OrderedDict"), ("_codecs", "encode")}
ARRAYS = {"ndarray", "dtype", "_reconstruct", "scalar", "_frombuffer"}
NUMPY = {"numpy", *(f"numpy.{core}.{x}" for core in ("core", "_core") for x in ("multiarray", "numeric"))}
IGNORED = (  # what mmengine, Lightning and others keep beside the weights
    "argparse.Namespace",
    "builtins.getattr",
    "mmengine.logging.history_buffer.HistoryBuffer",
    *(f"pathlib{own}.{path}" for own in ("", "._local") for path in ("PosixPath", "WindowsPath")),  # 3.13's
    *(f"{module}.{name}" for module in sorted(NUMPY) for name in sorted(ARRAYS)),
)
# How files of torch begin, since 1.6 and before:
TORCH = re.compile(rb"(?s)PK\x03\x04|\x80.{,16}\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.")
OTHERS = {  # how a file begins that is none of weights -> what it is
    rb"$": "is empty; get it again",
    rb"\s*<[!?\w]": "is a web page; download the file itself",
    rb"version https://git-lfs": "is Git LFS's pointer; `git lfs pull` gets the file itself",
    rb"\s*[{\[][\s\w\"{\[]": "is JSON, such as the index of a checkpoint in several files; join them in one",
    rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc|Rar!|.{257}ustar": "is compressed or an archive; unpack it",
}
SAVE = "save the net's state_dict() with torch.save or safetensors"
FAULTS = {  # a part of a reader's error -> what is wrong
    r"GLOBAL (\S+)": rf"it names \1, which weights do not need and could run any program; {SAVE}",
    "TorchScript": "it is a TorchScript archive, a program; torch.save its torch.jit.load(FILE).state_dict()",
    r"pickle protocol (\d)": r"it is a pickle of protocol \1, that torch cannot read safely; save it with 2",
    r"not in a subdirectory|data\.pkl": f"it is a zip archive, but not of torch.save; unpack it, or {SAVE}",
    r"^[^.\n]{,100}": r"it is damaged or no file of weights (\g<0>); get it from its source again",
}
WRAPPERS = re.compile(r"\b_(orig_mod|fsdp_wrapped_module|checkpoint_wrapped_module)\.")  # torch's, in names

IMAGENET_CLASSES = 1000
COUNTER = "num_batches_tracked"  # of each normalisation; torchvision's older files have none


class Ignored:
    """What is left of an object in a file that is no tensor: it takes all and keeps nothing."""

    def __init__(self, *parts: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


class ArrayUnpickler(pickle.Unpickler):
    """Reads numpy's arrays, scalars and dtypes, and plain containers; all else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        module = {"__builtin__": "builtins"}.get(module, module)  # Python 2's name
        if (module in NUMPY and name in ARRAYS) or (module, name) in PLAIN:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"GLOBAL {module}.{name}")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Name -> tensor, of a net's file of torch or safetensors, or a pickle of numpy arrays.

    Its content decides which of them it is, not its name. Tensors may lie in dictionaries beside an optimizer
    and counters. The names are without what torch.compile and wrappers put into them.

    Raises:
        BadInput: no such file, damaged, of two nets, or with other things than tensors in plain containers.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}; give the path of a file of weights") from None
    for begin, words in OTHERS.items():
        if re.match(begin, content, re.DOTALL):
            raise BadInput(f"{path} {words}")
    try:
        nets = states(unpack(content))
    except Exception as error:  # a damaged file can raise anything
        faults = ((re.search(part, str(error)), words) for part, words in FAULTS.items())
        raise BadInput(f"{path} is refused: {next(m.expand(words) for m, words in faults if m)}") from None
    most = max((count for count, _, _ in nets), default=0)
    large = [net for net in nets if 2 * net[0] > most]  # others are a loss, a random state
    if len(large) != 1:
        several = f"{len(large)} nets, {', '.join(place for _, place, _ in large)}; keep one"
        raise BadInput(f"{path} holds {several if large else 'no tensors of a net'}: {SAVE}")
    tensors: dict[str, Tensor] = {}
    for name, value in large[0][2].items():
        own = WRAPPERS.sub("", str(name))
        if own in tensors:
            raise BadInput(f"{path} has {own} twice, also as {name}; keep one of the two nets in it")
        tensors[own] = as_tensor(value, f"{path}: {name}")
    return tensors


def unpack(content: bytes) -> Any:
    """What a file holds, by a reader that runs nothing of it; may raise anything."""
    if content[8:9] == b"{" and int.from_bytes(content[:8], "little") < len(content):  # its header is JSON
        return safetensors.torch.load(content)
    if not TORCH.match(content):
        return ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()  # of Python 2 or 3
    with warnings.catch_warnings(), torch.serialization.safe_globals([(Ignored, name) for name in IGNORED]):
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "Detected pickle protocol [45]")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def states(parts: Any, place: str = "") -> list[tuple[int, str, dict[Any, Any]]]:
    """The dictionaries with tensors in what a file holds, how many and where; none of an optimizer."""
    if not isinstance(parts, dict) or "param_groups" in parts:
        return []
    count = sum(isinstance(x, Tensor | np.ndarray) for x in parts.values())
    inner = (states(part, f"{place}.{name}".lstrip(".")) for name, part in parts.items())
    return [*([(count, place or "its top", parts)] if count else []), *chain.from_iterable(inner)]


def as_tensor(value: Any, label: str) -> Tensor:
    """A tensor of an array or a number; `label` begins the error for anything else."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray | np.generic | int | float):
        array = np.array(value, order="C")
        if array.dtype.kind in "fiub" and array.dtype.itemsize <= 8:
            return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
    raise BadInput(f"{label}: expected an array of numbers, got {type(value).__name__}")


def read_net(path: Path, names: Iterable[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of a file under a net's own `names`, and those of other modules in the file.

    What stands before all names of the net, such as "module." or "net.", is taken off. Errors besides those
    of `read_tensors`:

    Raises:
        BadInput: the file has two such nets, or a value is none of a working net.
    """
    state, wanted = read_tensors(path), set(names)
    ends = ((name, place.end()) for name in state for place in re.finditer(r"^|[./]", name))
    fits = Counter(name[:end] for name, end in ends if name[end:] in wanted)
    prefixes = [prefix for prefix, count in fits.items() if 2 * count > len(wanted)]
    if len(prefixes) > 1:
        two = " and ".join(f"{prefix}*" for prefix in prefixes)
        raise BadInput(f"{path} has two nets, {two}; keep one: {SAVE}")
    prefix = prefixes[0] if prefixes else ""
    own = {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}
    others = {name: x for name, x in state.items() if not name.startswith(prefix)}
    for name in sorted(own.keys() & others.keys()):
        raise BadInput(f"{path} has both {prefix}{name} and {name}; keep one of the two nets in it")
    for name in own.keys() & wanted:
        if not name.endswith(COUNTER) and (fault := number_fault(name, own[name])):
            raise BadInput(f"{path} has {prefix}{name} {fault}")
    return own, others


def convert_floats(state: State, dtype: torch.dtype) -> dict[str, Tensor]:
    """The state with its floating-point tensors in `dtype`: half precision in files, single in nets."""
    return {name: x.to(dtype) if x.is_floating_point() else x for name, x in state.items()}


def start_name(path: Path) -> str:
    """What a record calls weights to start from: "mini-r50.pt (sha256 0123456789ab)"."""
    return f"{path.name} (sha256 {file_digest(path)[:12]})"


def imagenet_file(architecture: str) -> tuple[Path, str]:
    """Where torchvision keeps its first weights of an architecture such as "resnet50", and their URL."""
    url = str(get_model_weights(architecture)["IMAGENET1K_V1"].url)
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2], url


def imagenet(architecture: str, net: nn.Module, files: Sequence[Path] = ()) -> tuple[dict[str, Tensor], str]:
    """torchvision's ImageNet weights, and what a record calls them.

    They are of the first file that fits `net`, which may be on the meta device, or of torchvision's cache.

    Raises:
        BadInput: no file fits, or one before that is damaged.
    """
    cached, url = imagenet_file(architecture)
    shapes = {name: x.shape for name, x in net.state_dict().items() if not name.endswith(COUNTER)}
    misfits = []
    for path in (*files, *([cached] if cached.is_file() else [])):
        own, _ = read_net(path, shapes)
        state = {name: x for name, x in own.items() if not name.endswith(COUNTER)}
        reason = misfit(state, shapes)
        if not reason:
            return convert_floats(state, torch.float32), start_name(path)
        misfits.append(f"; {path} {reason}")
    where = f"as --imagenet FILE, or put it at {cached} (TORCH_HOME moves that folder)"
    raise BadInput(
        f"no ImageNet weights of {architecture}: download {url} and give it {where}{''.join(misfits)}"
    )


def misfit(state: State, shapes: Mapping[str, torch.Size]) -> str | None:
    """Why these are not the weights of a trained net with these names and shapes; None if they are."""
    for name in {**shapes, **state}:
        if name not in state:
            return f"lacks {name}"
        if name not in shapes:
            return f"has {name}, for which the net has no place"
        if state[name].shape != shapes[name]:
            return f"has {name} of shape {tuple(state[name].shape)}, expected {tuple(shapes[name])}"
    return None


def number_fault(name: str, x: Tensor) -> str | None:
    """What is wrong with the numbers of a tensor of a trained net; None if nothing."""
    if not x.is_floating_point():
        return f"of {x.dtype}, expected floating-point numbers"
    if x.is_meta or x.layout != torch.strided:
        return "as a sparse tensor or without values"
    if not x.float().isfinite().all():  # of 8 bits they have no such test
        return "with values that are no finite numbers: it is damaged, or its training had failed"
    if name.endswith("running_var") and bool((x < 0).any()):
        return "with variances below 0: it is damaged, or no such file"
    return None


def pretrained(depth: Depth, profile: Profile, files: Sequence[Path] = ()) -> tuple[dict[str, Tensor], str]:
    """What short clips start from, and what a record calls it; `files` may hold ImageNet's weights.

    Raises:
        BadInput: they are not there, damaged, of another net or made with other settings.
    """
    if profile.pretrained == IMAGENET:
        with torch.device("meta"):
            net = VideoResNet(NetSpec(depth=depth), profile.geometry, IMAGENET_CLASSES)
        return imagenet(f"resnet{depth}", net, files)
    path = net_path(profile.pretrained, depth)
    note = read_note(path)
    if path.is_file() and file_digest(path) != note["sha256"]:
        advice = "restore it, or make both with `pretrain`"
        raise BadInput(f"the pretrained net {path} is not the file that its note is of; {advice}")
    made, settings = note["settings"], pretraining_settings(profile)
    changes = [
        f"{part}.{name} is {made.get(part, {}).get(name)}, the profile has {value}"
        for part, values in settings.items()
        for name, value in values.items()
        if made.get(part, {}).get(name) != value
    ]
    if changes:
        reasons = f"{'; '.join(changes)}; `pretrain` makes one that fits"
        raise BadInput(f"the pretrained net {path} does not fit {profile.name}: {reasons}")
    return convert_floats(read_tensors(path), torch.float32), start_name(path)


def inflate(weight: Tensor, shape: torch.Size) -> Tensor:
    """A 2D kernel (C', C, k, k) as a 3D one (C', C, t, k, k), each of the t planes 1/t of it.

    On a clip of one repeated frame the inflated convolution gives what the 2D one gives (section 4, "I3D").
    """
    return weight.unsqueeze(2).expand(shape) / shape[2]


def start_from(child: nn.Module, parent: State, *, classifier: bool = True) -> list[str]:
    """Copy into `child` what fits of a parent's state; return the names that keep their initial values.

    The classifier `fc` is copied only if it has as many classes, and not at all without `classifier`;
    non-local blocks only if the parent has them.

    Raises:
        ValueError: the parent lacks another tensor, or its shape neither fits nor can be inflated.
    """
    state = child.state_dict()
    fresh = []
    for name, x in state.items():
        source = parent.get(name)
        if source is None or (name.startswith("fc.") and not (classifier and source.shape == x.shape)):
            if not name.startswith(("fc.", "inserted.")) and not name.endswith(COUNTER):
                raise ValueError(f"{name}: expected the shape {tuple(x.shape)}, the parent lacks it")
            fresh.append(name)
            continue
        if x.ndim == 5 and source.shape == (*x.shape[:2], *x.shape[3:]):
            source = inflate(source, x.shape)
        if source.shape != x.shape:
            shapes = f"expected the shape {tuple(x.shape)}, the parent has {tuple(source.shape)}"
            raise ValueError(f"{name}: {shapes}")
        state[name] = source
    child.load_state_dict(state)
    return fresh


def start_from_file(child: nn.Module, path: Path, *, classifier: bool = True) -> list[str]:
    """As `start_from`, of a parent's file of weights.

    Raises:
        BadInput: the file is missing, damaged or does not fit.
    """
    try:
        return start_from(child, read_net(path, child.state_dict())[0], classifier=classifier)
    except ValueError as error:
        raise BadInput(f"the weights {path} do not fit: {error}") from None
