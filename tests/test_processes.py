"""One run on several processes (gloo on the CPU), and the same run in processes of other sweeps: what must come out alike."""

import os
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from conftest import command
from torch import Tensor

from nlrepro import record as records
from nlrepro.config import Profile
from nlrepro.record import Record
from nlrepro.run import Run
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.sweep.jobs import Job
from nlrepro.train import runner
from nlrepro.train.module import Batch, VideoClassifier
from nlrepro.trial import Folders

SHORT = RunSpec()
GOLDEN = Path(__file__).parent / "golden" / "losses.txt"


def the_record(results: Path) -> Record:
    (found,) = records.read_all(results, "smoke")
    return found


@pytest.fixture(scope="module")
def on_two(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run on two processes."""
    results = tmp_path_factory.mktemp("two")
    words = ("run", SHORT.key, "--profile", "smoke", "--data", data, "--results", results, "--devices", "2")
    done = command(*words, WANDB_MODE="offline")
    assert done.status == 0, done.err
    (results / "err.txt").write_text(done.err)
    return results


def test_of_two_processes_one_tells_how_far_they_are(on_two: Path) -> None:
    lines = [line for line in (on_two / "err.txt").read_text().splitlines() if f" {SHORT.key} seed 0: step " in line]
    assert [line.split(": step ")[1].split(",")[0] for line in lines] == ["0/4", "2/4", "4/4"]


def test_two_processes_count_each_test_video_once(on_two: Path, smoke: Profile, data: Path) -> None:
    """The net that they trained, tested by one process: the same rank for each video."""
    run = Run(spec=SHORT, profile=smoke, seed=0, folders=Folders(data=data, results=on_two))
    classifier = VideoClassifier(SHORT, smoke)
    classifier.net.load_state_dict(torch.load(run.weights, weights_only=True))
    runner.quiet()
    tester = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    alone, together = runner.test(classifier, tester, run, None), the_record(on_two).metrics
    assert together.ranks == alone.ranks
    assert (together.top1, together.top5, together.videos) == (alone.top1, alone.top5, alone.videos)
    assert together.loss == pytest.approx(alone.loss, rel=1e-5)


def test_two_processes_leave_one_record_one_log_of_wandb_and_no_checkpoint(on_two: Path) -> None:
    assert the_record(on_two).key == SHORT.key
    assert len(list(on_two.rglob("*.wandb"))) == 1
    assert not list(on_two.rglob("*.ckpt"))


def test_two_processes_take_together_the_steps_of_one(on_two: Path, swept: Path) -> None:
    """Each normalises by its own half of a batch, so the losses are not the same; their number is."""
    alone = records.read(records.record_path(swept, "smoke", SHORT.key, 0))
    assert [point.step for point in the_record(on_two).curve] == [point.step for point in alone.curve]


def test_metrics_do_not_depend_on_the_sweep_s_processes(swept: Path, data: Path, tmp_path: Path) -> None:
    """`swept` ran two at once, this one at a time; each run in a process of its own."""
    words = ("sweep", "2f", "--only", "r50-*", "--seeds", "0", "--jobs", "1", "--profile", "smoke")
    done = command(*words, "--data", data, "--results", tmp_path)
    assert done.status == 0, done.err
    found = records.read_all(tmp_path, "smoke")
    assert len(found) == 3
    for record in found:
        other = records.read(records.record_path(swept, "smoke", record.key, record.seed))
        assert (record.metrics, record.curve, record.fingerprint) == (other.metrics, other.curve, other.fingerprint)


def test_the_losses_of_each_step_are_the_golden_ones(smoke: Profile, data: Path, tmp_path: Path) -> None:
    """To three digits, as processors add in orders of their own. WRITE_GOLDEN=1 writes them anew; then all records are stale."""
    spec, losses = RunSpec(net=NetSpec(blocks="res4")), []

    class Told(VideoClassifier):
        def training_step(self, batch: Batch, index: int) -> Tensor:
            loss = super().training_step(batch, index)
            losses.append(float(loss.detach()))
            return loss

    run = Run(spec=spec, profile=smoke, seed=0, folders=Folders(data=data, results=tmp_path))
    record = runner.execute(Job(run, partial(Told, run.spec)))
    losses.append(record.metrics.loss)
    if os.environ.get("WRITE_GOLDEN"):
        GOLDEN.write_text("".join(f"{loss:.6f}\n" for loss in losses))
    assert losses == pytest.approx([float(line) for line in GOLDEN.read_text().splitlines()], rel=1e-3)
