"""Tensors out of files of strangers: a pickle is a program, so only what weights need may be named in it."""

import io
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlrepro.files import BadInput

NESTED = ("blobs", "model_state", "state_dict")  # Caffe2, PySlowFast, mmaction2: where a file keeps its tensors
ADMITTED = {("builtins", "set"), ("collections", "OrderedDict"), ("_codecs", "encode")}
ARRAYS = {"ndarray", "dtype", "_reconstruct", "scalar"}
NUMPY = {"numpy", "numpy.core.multiarray", "numpy._core.multiarray"}
UNREAD = (  # what mmengine and others keep beside the weights
    "argparse.Namespace",
    "builtins.getattr",
    "mmengine.logging.history_buffer.HistoryBuffer",
    *(f"{module}.{name}" for module in sorted(NUMPY) for name in sorted(ARRAYS)),
)
TORCH = (b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")  # how its files begin: since 1.6, and before
NO_WEIGHTS = {  # how files begin that are none
    b"<": "it is a web page; download the file itself",
    b"\x1f\x8b": "it is compressed; unpack it",
    b"BZh": "it is compressed; unpack it",
    b"version https://git-lfs": "it is Git LFS's pointer to the file; download the file itself",
}
TAR = slice(257, 262)  # where a tar archive says "ustar"


class Unread:
    """What is left of an object in a file that is no tensor: it takes all and keeps nothing."""

    def __init__(self, *parts: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


class Arrays(pickle.Unpickler):
    """Admits numpy's arrays, scalars and dtypes, and plain containers."""

    def find_class(self, module: str, name: str) -> Any:
        module = {"__builtin__": "builtins"}.get(module, module)  # Python 2's name
        if module in NUMPY and name in ARRAYS:
            module = module.replace("numpy.core", "numpy._core")
            return super().find_class(module, name)
        if (module, name) in ADMITTED:
            return super().find_class(module, name)
        raise BadInput(f"it names {module}.{name}, which weights do not need and could run any program; it was not read further")


def tensors(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of a file of torch, or of a pickle of numpy arrays; its content tells which, not its name.

    Raises:
        BadInput: no such file, damaged, or with something other than tensors in plain containers.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}; give the path of a file of weights") from None
    demand_weights(content, path)
    return by_name(checkpoint(content, path) if content.startswith(TORCH) else arrays(content, path), path)


def demand_weights(content: bytes, path: Path) -> None:
    """
    Raises:
        BadInput: the file is empty, or of another kind.
    """
    reasons = [reason for begin, reason in NO_WEIGHTS.items() if content.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(begin)]
    if not content:
        reasons = ["it is empty; download it again"]
    elif content[TAR] == b"ustar":
        reasons = ["it is a tar archive; unpack it, and give a file out of it"]
    if reasons:
        raise BadInput(f"{path} is no file of weights: {reasons[0]}")


def by_name(found: Any, path: Path) -> dict[str, Tensor]:
    """
    Raises:
        BadInput: what was found is not tensors in a plain container, or in one of those that sources use.
    """
    inner = next((found[name] for name in NESTED if isinstance(found, dict) and name in found), found)
    if not isinstance(inner, dict):
        raise BadInput(f"{path}: expected names and tensors, got {type(inner).__name__}; it is no file of weights")
    return {str(name): as_tensor(value, f"{path}: {name}") for name, value in inner.items()}


def arrays(content: bytes, path: Path) -> Any:
    """What a pickle of Python 2 or 3 holds."""
    try:
        return Arrays(io.BytesIO(content), encoding="latin1").load()
    except BadInput as error:
        raise BadInput(f"{path} is refused: {error}") from None
    except Exception as error:  # a damaged pickle can raise anything
        raise BadInput(f"{path} cannot be read as a pickle ({type(error).__name__}: {error}); download it again") from None


def checkpoint(content: bytes, path: Path) -> Any:
    """What a file of torch holds, by torch's own restricted reader; of objects in UNREAD nothing is left."""
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([(Unread, name) for name in UNREAD]):
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise anything
        named = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it names {named[1]}, which weights do not need" if named else "it is damaged, cut off, or no such file"
        raise BadInput(f"{path} is refused by torch.load(weights_only=True): {reason}; get it from its source again") from None


def as_tensor(value: Any, label: str) -> Tensor:
    """
    Raises:
        BadInput: neither a tensor, an array nor a number.
    """
    if isinstance(value, Tensor):
        return value
    numeric = isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fiub"
    if numeric or isinstance(value, int | float):
        return torch.from_numpy(np.ascontiguousarray(value))
    raise BadInput(f"{label}: expected an array of numbers, got {type(value).__name__}")
