"""Files of strangers: tensors come out, nothing runs."""

import io
import os
import pickle
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from nlrepro.files import BadInput
from nlrepro.nets.reading import tensors


class Harmful:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_names_a_function_is_refused_before_it_runs(tmp_path: Path) -> None:
    written = tmp_path / "written"
    pickled = pickle.dumps({"blobs": {"w": np.ones(1), "x": Harmful(written)}}, protocol=2)
    pickle.loads(pickled)
    assert written.is_dir()  # a plain reader does run it
    written.rmdir()
    (tmp_path / "evil.pkl").write_bytes(pickled)
    with pytest.raises(BadInput, match=r"evil\.pkl is refused: it names posix.mkdir, which weights do not need"):
        tensors(tmp_path / "evil.pkl")
    assert not written.exists()


@pytest.mark.parametrize(
    "opcodes", [b"cos\nsystem\n(S'true'\ntR.", b"c__builtin__\neval\n(S'1'\ntR.", b"cnumpy.core.multiarray\nfromfile\n."]
)
def test_other_globals_are_refused_by_name(tmp_path: Path, opcodes: bytes) -> None:
    (tmp_path / "evil.pkl").write_bytes(opcodes)
    module, name = opcodes[1:].decode().split("\n")[:2]
    with pytest.raises(BadInput, match=rf"it names {module.replace('__builtin__', 'builtins')}\.{name}"):
        tensors(tmp_path / "evil.pkl")


@pytest.mark.parametrize("suffix", [".pth", ".pyth"])
def test_torch_files_with_anything_but_tensors_are_refused_by_name(tmp_path: Path, suffix: str) -> None:
    written, path = tmp_path / "written", tmp_path / f"evil{suffix}"
    torch.save({"state_dict": {"x": Harmful(written)}}, path)
    with pytest.raises(BadInput, match=rf"evil{suffix} is refused by torch.load.*names posix.mkdir"):
        tensors(path)
    assert not written.exists()


class HistoryBuffer:
    """Pickled as mmengine's: with arrays, and with its own methods by their names."""

    def __init__(self) -> None:
        self.state = np.ones(2), {"min": HistoryBuffer.least}, np.float64(1)

    def least(self) -> float:
        return 0.0


@pytest.mark.parametrize("numpy", [b"numpy._core", b"numpy.core"])
def test_of_what_mmengine_keeps_beside_the_weights_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numpy: bytes
) -> None:
    monkeypatch.setattr(HistoryBuffer, "__module__", "mmengine.logging.history_buffer")
    for name in ("mmengine", "mmengine.logging", "mmengine.logging.history_buffer"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules[HistoryBuffer.__module__].HistoryBuffer = HistoryBuffer  # type: ignore[attr-defined]
    logs = {"meta": {"cfg": Namespace(lr=0.1)}, "message_hub": {"log_scalars": {"train/lr": HistoryBuffer()}}}
    saved = io.BytesIO()
    torch.save({**logs, "state_dict": {"w": torch.ones(2)}}, saved, _use_new_zipfile_serialization=False)
    assert b"getattr" in saved.getvalue()
    (tmp_path / "epoch_3.pth").write_bytes(saved.getvalue().replace(b"numpy._core", numpy))
    for name in ("mmengine", "mmengine.logging", "mmengine.logging.history_buffer"):
        monkeypatch.delitem(sys.modules, name)
    assert tensors(tmp_path / "epoch_3.pth")["w"].tolist() == [1, 1]


def test_a_pickle_of_python_2_is_read(tmp_path: Path) -> None:
    """Protocol 2, numpy.core, and bytes as str, as cPickle wrote them."""
    pickled = pickle.dumps({"blobs": {"w": np.arange(3, dtype=np.float32), "lr": np.float64(0.5)}}, protocol=2)
    (tmp_path / "old.pkl").write_bytes(pickled.replace(b"numpy._core", b"numpy.core"))
    found = tensors(tmp_path / "old.pkl")
    assert found["w"].tolist() == [0, 1, 2]
    assert found["lr"].item() == 0.5


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps([1, 2]), pickle.dumps({"w": "text"})])
@pytest.mark.parametrize("suffix", [".pkl", ".pth"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, suffix: str) -> None:
    (tmp_path / f"bad{suffix}").write_bytes(content)
    with pytest.raises(BadInput, match=rf"bad{suffix}"):
        tensors(tmp_path / f"bad{suffix}")
