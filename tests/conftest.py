"""What test files share: two geometries, the generated videos of the smoke profile, and what a sweep makes of them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av  # noqa: F401  # before decord, whose libvpx can only decode: else av could not write the tests' webm files
import pandas as pd
import pytest
import torch
from filelock import FileLock
from films import film

os.environ["WANDB_MODE"] = "disabled"  # the one test of wandb switches it on for itself
os.environ["OMP_NUM_THREADS"] = "1"

from nlrepro import evaluation as evaluations
from nlrepro import profiles
from nlrepro.data.kinetics.survey import survey
from nlrepro.evaluation import Evaluation, Weights
from nlrepro.profile import Geometry, Profile, Real
from nlrepro.record import Cost, Metrics, Provenance, Record
from nlrepro.report.finding import Finding
from nlrepro.report.tables import TableSpec
from nlrepro.spec import RunSpec

ROOT = Path(__file__).parent.parent
MADE = Provenance(date="2024-01-01T10:00:00", git="", versions={}, device="a laptop CPU", seconds=1.0)


@dataclass(frozen=True)
class Finished:
    """What a command left: exit status, the two streams."""

    status: int
    out: str
    err: str


def command(*words: str | Path, **environment: str) -> Finished:
    """`python -m ablations WORDS` in a process of its own."""
    line = [sys.executable, "-m", "ablations", *map(str, words)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | environment)
    return Finished(done.returncode, done.stdout, done.stderr)


def record(key: str, seed: int, ranks: str) -> Record:
    """A record of nothing but the ranks of its test videos."""
    metrics = Metrics(top1=0.0, top5=0.0, loss=0.0, videos=len(ranks), views=1, ranks=ranks)
    cost = Cost(params=1, macs=1)
    return Record(
        key=key,
        profile="mini",
        seed=seed,
        tables=(),
        spec=RunSpec(),
        fingerprint="",
        metrics=metrics,
        curve=(),
        cost=cost,
        made=MADE,
    )


def evaluation(
    spec: RunSpec, profile: Profile, name: str, ranks: str, date: str = "2024-01-02", source: str = "caffe2"
) -> Evaluation:
    """A test of given weights, of nothing but the ranks of its videos; the later date is the one that is shown."""
    weights = Weights(source=source, variant=name, key=spec.key, file=f"{spec.key}.pkl", sha256="0" * 64, state=date)
    top1 = 100 * ranks.count("0") / len(ranks)
    metrics = Metrics(
        top1=top1, top5=90.0, loss=1.0, videos=len(ranks), views=30, ranks=ranks, clip_top1=top1 - 10, listed=len(ranks) + 1
    )
    return Evaluation(
        key=spec.key,
        profile=profile.name,
        tables=(),
        spec=spec,
        fingerprint=evaluations.fingerprint(spec, profile, weights),
        weights=weights,
        frames=32,
        stride=2,
        mean=114.75,
        std=57.375,
        metrics=metrics,
        cost=Cost(params=1, macs=1),
        made=replace(MADE, date=date),
    )


@pytest.fixture(scope="session")
def paper_net() -> Geometry:
    """Table 1 of the paper."""
    return Geometry(
        width=64,
        stem_kernel=(5, 7, 7),
        stem_stride=(2, 2, 2),
        pool1_kernel=(3, 3, 3),
        pool1_stride=(2, 2, 2),
        pool2_stride=2,
        stage_strides=(1, 2, 2, 2),
        dropout=0.5,
        zero_residual=False,
    )


@pytest.fixture(scope="session")
def tiny_net() -> Geometry:
    """The paper's topology at width 4, no stride in time."""
    return Geometry(
        width=4,
        stem_kernel=(5, 3, 3),
        stem_stride=(1, 2, 2),
        pool1_kernel=(3, 3, 3),
        pool1_stride=(1, 1, 1),
        pool2_stride=1,
        stage_strides=(1, 2, 2, 1),
        dropout=0.5,
        zero_residual=False,
    )


@pytest.fixture(scope="session")
def smoke() -> Profile:
    return profiles.load("smoke")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Finished]) -> Path:
    """A folder that the first of the processes that run the tests makes; the others wait for it.

    Where `TESTS_SHARE` names a folder, later calls of pytest find it there: CI's two of them train these runs once.
    """
    own = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    shared = Path(os.environ.get("TESTS_SHARE", own))
    with FileLock(shared / f"{name}.lock"):
        if not (shared / f"{name}.made").exists():
            done = make(shared / name)
            assert done.status == 0, done.err
            (shared / f"{name}.made").touch()
    return shared / name


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the videos of the smoke profile; only read, except for its cache."""
    words = ("data", "make", "--profile", "smoke", "--jobs", "2", "--data")
    return once(tmp_path_factory, "data", lambda folder: command(*words, folder))


@pytest.fixture(scope="session")
def charades_data(data: Path) -> Path:
    """The same folder, with the videos of the smoke profile of Table 4 in it as well."""
    from nlrepro.charades.making import make
    from nlrepro.charades.profile import load

    profile = load("smoke")
    assert profile.films
    make(profile.films, profile.root(data), 2)
    return data


@pytest.fixture(scope="session")
def swept(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with two seeds of every run; only read."""
    words = ("sweep", "all", "--seeds", "0,1", "--jobs", "2", "--profile", "smoke", "--data", data, "--results")
    return once(tmp_path_factory, "swept", lambda folder: command(*words, folder))


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
        data=replace(smoke.data, root=".", cached=False, views=2),
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
    survey(real, root, tmp_path / "cache", 1)
    return root


def finding(spec: TableSpec, mine: pd.DataFrame, published: pd.DataFrame | None = None) -> Finding:
    """A table without verdicts and notes."""
    return Finding(spec=spec, mine=mine, published=published, kinds=pd.DataFrame(), verdicts=(), notes=())
