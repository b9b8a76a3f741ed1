"""Whole or nothing: a full disk or a lost permission leaves the old file, no half one, and says so."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from attempts import SERVER
from conftest import finding, record

from nlrepro import record as records
from nlrepro.config import Profile
from nlrepro.data.videos import Tree, decoded
from nlrepro.files import BadInput, atomic, write_atomic
from nlrepro.report.figures import draw_gains, to_svg
from nlrepro.report.tables import TableRow, TableSpec, table_frame
from nlrepro.run import Run
from nlrepro.spec import RunSpec
from nlrepro.sweep.jobs import Job
from nlrepro.train.checkpoint import save_atomic
from nlrepro.train.module import VideoClassifier
from nlrepro.train.runner import execute
from nlrepro.trial import Folders

KEYS = ("r50-c2d", "r50-nl")
TABLE = TableSpec(
    table="2a",
    title="A table",
    rows=tuple(TableRow(label=label, depth=50, key=key) for label, key in zip(("C2D baseline", "Gaussian"), KEYS, strict=True)),
)
NOBODY = 65534
Write = Callable[[Path, int], Any]  # version 0 or 1 of a file of some kind, in a folder


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes: a write fails midway, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def frame(version: int) -> Any:
    made = [record(key, seed, "0123" * (version + 1) + "0") for key in KEYS for seed in (0, 1)]
    return table_frame(TABLE, made)


def content(folder: Path) -> dict[Path, bytes]:
    """Of all files, temporary ones as well."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "write",
    [
        lambda folder, version: records.write(record("r50-c2d", 0, "0" * (5000 + version)), folder),
        lambda folder, version: finding(TABLE, frame(version)).write(folder, ["a note " * 1000 * (version + 1)]),
        lambda folder, version: write_atomic(folder / "table2a.svg", to_svg(draw_gains(TABLE, frame(version), None))),
        lambda folder, version: save_atomic({"weights": torch.full((9999,), float(version))}, folder / "net.pt"),
    ],
    ids=["record", "table", "figure", "checkpoint"],
)
def test_a_full_disk_leaves_the_old_file_and_says_so(write: Write, tmp_path: Path) -> None:
    write(tmp_path, 0)
    before = content(tmp_path)
    with full_at(1000), pytest.raises(BadInput, match=rf"cannot write {tmp_path}/.*: File too large; .* free space"):
        write(tmp_path, 1)
    after = content(tmp_path)
    assert before.keys() == after.keys()
    changed = [path for path in before if before[path] != after[path]]
    assert all(len(after[path]) <= 1000 for path in changed)  # those of several files that still had room, whole
    write(tmp_path, 1)
    assert content(tmp_path) != before


def test_a_full_disk_leaves_no_half_cache(smoke: Profile, data: Path, tmp_path: Path) -> None:
    tree = Tree.index(data / "smoke" / "val", 6)
    with full_at(10_000), pytest.raises(BadInput, match=r"cannot write .*\.npy: File too large"):
        decoded(tree, smoke.data, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".lock"}
    assert np.array_equal(decoded(tree, smoke.data, tmp_path), decoded(tree, smoke.data, data / "cache"))


def test_a_run_on_a_full_disk_fails_and_goes_on_from_its_last_checkpoint(smoke: Profile, data: Path, tmp_path: Path) -> None:
    run = Run(spec=RunSpec(), profile=smoke, seed=0, folders=Folders(data=data, results=tmp_path))
    checkpoint = run.checkpoint

    class Filled(VideoClassifier):
        """The disk is full at step 3, before the second checkpoint."""

        def on_train_batch_start(self, *_: Any) -> None:
            if self.global_step == 3:
                self.old = checkpoint.read_bytes()
                resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    with full_at(resource.RLIM_INFINITY), pytest.raises(BadInput, match=r"cannot write .*part-.*\.ckpt: File too large"):
        execute(Job(run, partial(Filled, run.spec)))
    assert torch.load(checkpoint, weights_only=True)["global_step"] == 2
    assert "File too large" in (checkpoint.parent / "failed.txt").read_text()
    assert not list(tmp_path.rglob("*.json"))
    assert execute(Job(run)).curve[-1].step == 4


def lose_permission(folder: Path, out: Connection) -> None:
    """In a process that gives the rights of root away: send what was said, and what is left."""
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


def test_a_permission_lost_in_mid_write_leaves_the_old_file_and_is_told() -> None:
    with TemporaryDirectory() as folder:  # pytest's are closed to others
        mine, theirs = SERVER.Pipe()
        process = SERVER.Process(target=lose_permission, args=(Path(folder), theirs))
        process.start()
        theirs.close()
        kind, said, left = mine.recv()
        process.join()
        assert kind is BadInput
        assert said.startswith(f"cannot write {folder}/table.md: Permission denied; check the permissions")
        assert left == "old"
