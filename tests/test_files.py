"""Whole or nothing: a full disk or a lost permission leaves the old file, no half one, and says so."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from conftest import smoke_run
from matplotlib.figure import Figure
from records import record

from nlrepro.config import Profile
from nlrepro.data.clips import Tree, decoded
from nlrepro.files import BadInput, atomic, write_atomic
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.record import write_record
from nlrepro.report.figures import to_svg
from nlrepro.run import Folders
from nlrepro.train.checkpoint import state_bytes
from nlrepro.train.loop import train

NOBODY = 65534
Write = Callable[[Path, int], Any]  # version 0 or 1 of a file, in a folder


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes: a write fails midway, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def content(folder: Path) -> dict[Path, bytes]:
    """Of all files, temporary ones as well."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def figure(version: int) -> str:
    drawing = Figure()
    drawing.subplots().set_title(f"version {version}")
    return to_svg(drawing)


WRITERS: dict[str, Write] = {
    "record": lambda folder, version: write_record(record("r50-c2d", 0, "0" * (5000 + version)), folder),
    "figure": lambda folder, version: write_atomic(folder / "table2a.svg", figure(version)),
    "net": lambda folder, version: write_atomic(
        folder / "net.pt", state_bytes({"weights": torch.full((9999,), float(version))})
    ),
}


@pytest.mark.parametrize("what", WRITERS)
def test_a_full_disk_leaves_the_old_file_and_says_so(what: str, tmp_path: Path) -> None:
    write = WRITERS[what]
    write(tmp_path, 0)
    before = content(tmp_path)
    error = rf"cannot write {tmp_path}/.*: File too large; .* free space"
    with full_at(1000), pytest.raises(BadInput, match=error):
        write(tmp_path, 1)
    assert content(tmp_path) == before
    write(tmp_path, 1)
    assert content(tmp_path) != before


def test_a_full_disk_leaves_no_half_cache(smoke: Profile, data: Path, tmp_path: Path) -> None:
    tree = Tree.scan(data / "smoke" / "test", 6)
    with full_at(10_000), pytest.raises(BadInput, match=r"cannot write .*\.npy: File too large"):
        decoded(tree, smoke.data, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".lock"}
    assert np.array_equal(decoded(tree, smoke.data, tmp_path), decoded(tree, smoke.data, data / "cache"))


def test_a_run_on_a_full_disk_fails_and_goes_on_from_its_last_checkpoint(data: Path, tmp_path: Path) -> None:
    run = smoke_run("r50-c2d", Folders(data=data, results=tmp_path))

    class Filled(VideoClassifier):
        """The disk is full at step 3, before the second checkpoint."""

        def on_train_batch_start(self, *_: Any) -> None:
            if self.global_step == 3:
                resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    error = r"cannot write .*part-.*\.ckpt: File too large"
    with full_at(resource.RLIM_INFINITY), pytest.raises(BadInput, match=error):
        train(replace(run, module=Filled))
    assert torch.load(run.checkpoint, weights_only=True)["global_step"] == 2
    assert "File too large" in (run.failure() or "")
    assert not run.record_path.exists()
    assert train(run).curve[-1].step == 4


def lose_permission(folder: Path, out: Connection) -> None:
    """In a process that gives the rights of root away: send the error, and what is left."""
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    path = folder / "table.md"
    write_atomic(path, "old")
    try:
        with atomic(path) as file:
            file.write(b"new")
            folder.chmod(0o555)
    except Exception as error:
        out.send((type(error), str(error), path.read_text()))


def test_a_permission_lost_in_mid_write_leaves_the_old_file_and_is_named() -> None:
    with TemporaryDirectory() as folder:  # pytest's are closed to others
        context = get_context("forkserver")
        own, other = context.Pipe()
        process = context.Process(target=lose_permission, args=(Path(folder), other))
        process.start()
        other.close()
        kind, message, left = own.recv()
        process.join()
        assert (kind, left) == (BadInput, "old")
        assert message.startswith(f"cannot write {folder}/table.md: Permission denied; check the permissions")
