"""One run on several processes (gloo on the CPU): what must come out alike; and who has started a process."""

import os
from itertools import chain
from pathlib import Path
from unittest.mock import patch

import pytest
from conftest import child, smoke_run

from nlrepro.learners.learner import gathered, in_order
from nlrepro.processes import RANK_VARIABLES, detect_launcher
from nlrepro.record import read_record
from nlrepro.released.evaluate import evaluate
from nlrepro.run import Folders, Run


@pytest.fixture(scope="module")
def on_two(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that two processes have made; `err.txt` is what they printed to stderr."""
    run = smoke_run("r50-c2d", Folders(data=data, results=tmp_path_factory.mktemp("two")))
    words = ("run", run.key, "--profile", "smoke", "--data", data, "--results", run.folders.results)
    done = child(*words, "--devices", "2", WANDB_MODE="offline")
    assert done.status == 0, done.err
    (run.folders.results / "err.txt").write_text(done.err)
    assert done.out.count("r50-c2d seed 0: top1 ") == 1
    return run


def test_of_two_processes_one_reports_and_leaves_one_record(on_two: Run) -> None:
    results = on_two.folders.results
    lines = (results / "err.txt").read_text().splitlines()
    bar = [line for line in lines if line.startswith("r50-c2d seed 0: ")]
    assert bar[-1].startswith("r50-c2d seed 0: 100%")
    assert sum(" 4/4 " in line for line in bar) == 1
    (record,) = [read_record(path) for path in results.rglob("seed*.json")]
    assert [point.step for point in record.curve] == [2, 4]  # as many as one process takes
    assert not list(results.rglob("*.ckpt"))


def test_of_two_processes_one_logs_name_group_tags_config_and_curves_by_table(on_two: Run) -> None:
    (log,) = on_two.folder.rglob("run-*.wandb")
    assert log.parent.name.startswith("offline-run-")
    content = log.read_bytes()
    words = ["r50-c2d seed 0", "smoke r50-c2d", "table2a", "nonlocal-table2", "spacetime", "macs"]
    for name in ("val_top1", "train_loss", "test_top1"):
        words += [name, f"table2a/{name}", f"table2f/{name}"]
    assert [word for word in words if word.encode() not in content] == []
    assert b"table2e/" not in content  # a table without this row


def test_two_processes_count_each_test_video_once(on_two: Run) -> None:
    """The net that they trained, tested by one process: the same rank for each video."""
    together, alone = on_two.record(), evaluate(on_two, str(on_two.weights))
    assert together
    assert (together.ranks, together.kinds, together.tested) == (alone.ranks, alone.kinds, alone.tested)
    assert together.metrics == pytest.approx(alone.metrics, rel=1e-5)


@pytest.mark.rare
def test_one_process_is_the_first_among_the_leavings_of_an_outer_job_and_of_a_notebook(
    data: Path, tmp_path: Path
) -> None:
    run = smoke_run("r50-c2d", Folders(data=data, results=tmp_path))
    words = ("run", run.key, "--profile", "smoke", "--data", data, "--results", tmp_path)
    ranks = dict.fromkeys(("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK"), "1")
    job = {"SLURM_NTASKS": "4", "WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "none", "MPLBACKEND": "missing"}
    done = child(*words, **ranks, **job, WANDB_MODE="Disabled")
    assert done.status == 0, done.err
    assert done.out.count("r50-c2d seed 0: top1 ") == 1
    assert run.lock.is_file()
    (line,) = (line for line in done.err.splitlines() if line.startswith("wandb: r50-c2d"))
    assert "is logged offline: ValueError: WANDB_MODE='Disabled'" in line
    assert len([*run.folder.rglob("*.wandb")]) == 1


@pytest.mark.parametrize(
    ("processes", "given", "launched"),
    [
        (1, {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}, False),
        (2, {"RANK": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, False),  # sbatch -n 2 without srun
        (2, {"WORLD_SIZE": "4", "LOCAL_RANK": "1"}, False),
        (2, {"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, True),
        (2, {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, True),
        (2, {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "bash"}, False),
    ],
)
def test_a_launcher_is_known_by_the_number_of_its_processes(
    processes: int, given: dict[str, str], launched: bool
) -> None:
    with patch.dict(os.environ, given, clear=True):
        assert detect_launcher(processes) == launched
        assert {*RANK_VARIABLES} & {*os.environ} == ({*RANK_VARIABLES} & {*given} if launched else set())


@pytest.mark.parametrize("items", [0, 1, 5, 6])
def test_items_of_all_processes_come_in_the_order_of_the_split(
    items: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Process r of n has the items r, r + n ...; the last ones may have fewer."""
    shares = [list(range(items))[rank::4] for rank in range(4)]
    monkeypatch.setattr("nlrepro.learners.learner.shares", lambda own: shares)
    assert in_order(shares[1]) == sorted(gathered(shares[1])) == list(range(items))
    shares[2] += [7, 8, 9]  # of one image there may be many detections
    assert gathered(shares[1]) == list(chain.from_iterable(shares))
