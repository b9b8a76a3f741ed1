"""What test files share: two geometries, the generated videos of the smoke profile, records and commands."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import NamedTuple, get_args
from unittest.mock import patch

os.environ["WANDB_MODE"] = "disabled"  # the one test of wandb switches it on for itself
os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: two processes run the tests on two cores

import av  # noqa: F401  # before decord, whose libvpx can only decode: else av could not write the tests' webm files
import pytest
import torch
from filelock import FileLock
from films import film

from ablations.__main__ import main
from ablations.registry import TABLES
from nlrepro.config import Geometry, Profile, Real, load_profile
from nlrepro.data.splits import check_videos
from nlrepro.processes import usable_cores
from nlrepro.run import Folders, Run
from nlrepro.spec import PaperForm

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "results/published"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    return usable_cores()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first, so that no process is left with one at the end."""
    items.sort(key=lambda item: item.path.stem not in ("test_slurm", "test_sweep", "test_notebooks"))


@pytest.fixture(scope="session")
def paper_net() -> Geometry:
    """Table 1 of the paper."""
    return replace(load_profile("paper").geometry, zero_residual=False, architecture="text")


@pytest.fixture(scope="session")
def tiny_net() -> Geometry:
    """The paper's topology at width 4, no stride in time."""
    strides = {"stem_stride": (1, 2, 2), "pool1_stride": (1, 1, 1), "pool2_stride": 1}
    kernels = {"stem_kernel": (5, 3, 3), "pool1_kernel": (3, 3, 3), "stage_strides": (1, 2, 2, 1)}
    return Geometry(width=4, dropout=0.5, zero_residual=False, **strides, **kernels)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def smoke() -> Profile:
    return load_profile("smoke")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first of the processes that run the tests makes; the others wait for it.

    Where `TESTS_SHARE` names a folder, later calls of pytest find it there: CI has two of them.
    """
    own = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    shared = Path(os.environ.get("TESTS_SHARE", own))
    with FileLock(shared / f"{name}.lock"):
        if not (shared / f"{name}.made").exists():
            make(shared / name)
            (shared / f"{name}.made").touch()
    return shared / name


KINDS = ("r50-c2d", "r101-i3d-3x1x1-charades-val", "r50-boxes", "r101-keypoints")  # each on data of its own
SWEPT = (  # each other code
    *(f"r50-c2d-nl-res4-{form}-spacetime" for form in get_args(PaperForm)),
    *(f"r50-c2d-nl-5-block-embedded-{domain}" for domain in ("space", "time")),
    *("r50-c2d-residual-5-block", "r101-i3d-3x3x3", "r50-c2d-long"),
    "r50-i3d-3x1x1-nl-5-block-embedded-spacetime-long",
)


def smoke_run(key: str, folders: Folders, seed: int = 0) -> Run:
    return TABLES.run(key, seed, "smoke", folders)


def swept_runs(folders: Folders) -> list[Run]:
    """The runs of `SWEPT` with all that they start from, long clips with a second seed."""
    runs = [smoke_run(key, folders) for key in SWEPT]
    return TABLES.complete([*runs, smoke_run("r50-c2d-long", folders, 1)])


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the generated data of the smoke profiles; only read, except for its cache."""

    def make(folder: Path) -> None:
        for run in [smoke_run(key, Folders(data=folder)) for key in KINDS]:
            run.task.prepare([run.spec], run.profile, folder, 1)

    return once(tmp_path_factory, "data", make)


@pytest.fixture(scope="session")
def swept(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder that a sweep has left, two runs at a time; only read."""
    from nlrepro.sweep.local import sweep

    folders = partial(Folders, data=data)
    return once(tmp_path_factory, "swept", lambda folder: sweep(swept_runs(folders(results=folder)), 2))


class Finished(NamedTuple):
    """What a command left: exit status, the two streams."""

    status: int
    out: str
    err: str


def command(*words: str | Path) -> Finished:
    """`python -m ablations WORDS`, in this process."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), patch.dict(os.environ):  # which it settles for itself
        try:
            status = main([str(word) for word in words])
        except SystemExit as error:  # argparse's
            status = int(error.code or 0)
    return Finished(status, out.getvalue(), err.getvalue())


def child(*words: str | Path, **environment: str) -> Finished:
    """`python -m ablations WORDS` in a process of its own, which takes seconds to import all."""
    line, variables = [sys.executable, "-m", "ablations", *map(str, words)], os.environ | environment
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, env=variables)
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def as_in_a_sweep() -> Iterator[None]:
    """One thread, as each run of a sweep has; and no test sees another one's settings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def real(smoke: Profile) -> Profile:
    """The smoke profile's net and recipe for videos of two classes, as the authors' code trains and tests."""
    return replace(
        smoke,
        name="real",
        pretrained="imagenet",
        pretraining=None,
        data=replace(smoke.data, root=".", size=32, cached=False, views=2),
        clips={kind: replace(smoke.clips[kind], stride=2, test="val") for kind in ("short", "long")},
        geometry=replace(smoke.geometry, architecture="release"),
        generator=None,
        real=Real(train_sides=(40, 56), test_side=44, devices=2, precise_batches=2),
    )


@pytest.fixture
def videos(tmp_path: Path, real: Profile) -> Path:
    root = tmp_path / "videos"
    for name, rate in (("a", 30), ("b", 60)):
        for split in ("train", "val"):
            film(root / split / name / f"{name}.mp4", rate=rate)
    (root / "val" / "b" / "broken.mp4").write_bytes(b"no video")
    check_videos(real, root, root / "cache", 1)
    return root


PICTURE = (
    b'<svg width="9pt" height="9pt"><g id="a"><path id="b"/></g><use href="#a" clip-path="url(#b)"/></svg>\n'
)


def undrawn(patch: pytest.MonkeyPatch) -> None:
    """Reports have small pictures, as drawing takes long."""
    for name in ("draw_task", "draw_gains", "draw_flops", "draw_kinds", "draw_rows", "draw_curves", "to_svg"):
        patch.setattr(f"nlrepro.report.gather.{name}", lambda *_: PICTURE)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in where nothing is published."""
    monkeypatch.chdir(tmp_path)
    undrawn(monkeypatch)
    return tmp_path
