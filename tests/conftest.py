"""What test files share: two geometries, the generated videos of the smoke profile, and what a sweep makes of them."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

os.environ["WANDB_MODE"] = "disabled"  # the one test of wandb switches it on for itself
os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: two processes run the tests on two cores

import av  # noqa: F401  # before decord, whose libvpx can only decode: else av could not write the tests' webm files
import pytest
import torch
from filelock import FileLock
from films import film

from nlrepro.config import Geometry, Profile, Real, load_profile

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def paper_net() -> Geometry:
    """Table 1 of the paper."""
    return replace(load_profile("paper").geometry, zero_residual=False, architecture="text")


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
    return load_profile("smoke")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first of the processes that run the tests makes; the others wait for it.

    Where `TESTS_SHARE` names a folder, later calls of pytest find it there: CI's two of them train these runs once.
    """
    own = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    shared = Path(os.environ.get("TESTS_SHARE", own))
    with FileLock(shared / f"{name}.lock"):
        if not (shared / f"{name}.made").exists():
            make(shared / name)
            (shared / f"{name}.made").touch()
    return shared / name


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, smoke: Profile) -> Path:
    """A data folder with the videos of the smoke profile; only read, except for its cache."""
    from nlrepro.data.synthetic.write import card_video_set, write_dataset

    def made(folder: Path) -> None:
        assert smoke.generator
        write_dataset(card_video_set(smoke.generator), folder / smoke.data.root)

    return once(tmp_path_factory, "data", made)


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
    from nlrepro.data.kinetics import check_real

    root = tmp_path / "videos"
    for name, rate in (("a", 30), ("b", 60)):
        for split in ("train", "val"):
            film(root / split / name / f"{name}.mp4", rate=rate)
    (root / "val" / "b" / "broken.mp4").write_bytes(b"no video")
    check_real(real, root, tmp_path / "cache", 1)
    return root
