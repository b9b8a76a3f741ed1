"""Whole or nothing: a full disk leaves the old file, no half one, and says so."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import smoke_run
from records import record

from nlrepro.config import Profile
from nlrepro.data.clips import Tree, decoded
from nlrepro.files import BadInput, atomic, write_atomic
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.record import write_record
from nlrepro.run import Folders
from nlrepro.train.loop import train


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


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path: Path) -> None:
    write_record(record("r50-c2d", 0, "0" * 5000), tmp_path)
    before, other = content(tmp_path), record("r50-c2d", 0, "1" * 5000)
    error = rf"cannot write {tmp_path}/.*: File too large; .* free space"
    with full_at(1000), pytest.raises(BadInput, match=error):
        write_record(other, tmp_path)
    assert content(tmp_path) == before


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


def test_a_folder_that_goes_in_mid_write_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results" / "table.md"
    with pytest.raises(BadInput, match=f"cannot write {path}: No such file or directory"), atomic(path):
        shutil.rmtree(path.parent)


def test_a_text_may_name_a_path_that_is_no_utf8(tmp_path: Path) -> None:
    """Such as the failure of a run."""
    write_atomic(tmp_path / "failed.txt", "no folder caf\udce9")
    assert (tmp_path / "failed.txt").read_text() == r"no folder caf\udce9"


@pytest.mark.parametrize(("mask", "mode"), [("002", 0o664), ("077", 0o600)])
def test_files_have_the_permissions_that_the_umask_leaves(tmp_path: Path, mask: str, mode: int) -> None:
    """So that a group can share a folder, and nobody reads what is to be private."""
    write = f"from nlrepro.files import *; write_atomic(Path({str(tmp_path / 'a')!r}), '')"
    subprocess.run(["sh", "-c", f'umask {mask}; exec "$0" -c "$1"', sys.executable, write], check=True)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode
