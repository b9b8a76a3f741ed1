"""Sweeps through a real SLURM (tests/loopback.py): what it leaves is what a local sweep leaves."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import attempts
import pytest
from conftest import ROOT, child, command, smoke_run
from loopback import MISSING, loopback, output, until

from nlrepro.config import load_profile, toml_path
from nlrepro.files import BadInput
from nlrepro.run import Folders, Run, slurm_queue
from nlrepro.sweep.local import sweep
from nlrepro.sweep.slurm import Cluster, submit

pytestmark = [
    pytest.mark.rare,
    pytest.mark.skipif(bool(MISSING), reason=f"SLURM is not installed: no {', '.join(MISSING)}"),
]
PATIENCE = 120  # seconds that a sweep of two runs may take


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[None]:
    with loopback(cpus=4):
        yield


def totals(profile: Path, folders: Folders) -> str:
    """The last lines of `list`."""
    words = ("list", "2g", "--profile", profile, "--data", folders.data, "--results", folders.results)
    return command(*words).out.partition("\n\n")[2]


def job_of(run: Run) -> str:
    """Its number in SLURM."""
    queued = run.queued()
    assert queued
    return queued.job


def tries(folders: Folders, key: str) -> int:
    """How often the run has begun; the second time it must have gone on from a checkpoint."""
    logs = "".join(path.read_text() for path in folders.results.rglob("slurm/*.out"))
    steps = re.findall(rf": {key} seed 0 from step (\d+)", logs)
    assert [step == "0" for step in steps] == [True, *[False] * (len(steps) - 1)]
    return len(steps)


def wait_for_records(number: int, folders: Folders) -> None:
    records = folders.results / "records"
    until("records", lambda: len([*records.rglob("*.json")]) == number and not slurm_queue(), PATIENCE)


def test_a_sweep_with_jobs_cancelled_requeued_and_out_of_time_leaves_what_a_local_one_does(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 120 steps, with a checkpoint at each third."""
    text, longer = toml_path("smoke").read_text(), tmp_path / "longer.toml"
    text = re.sub(r"\nsteps = \d+\n", "\nsteps = 120\n", text)
    longer.write_text(text.replace("validate_every = 2", "validate_every = 3"))
    profile = load_profile(str(longer))
    here, there = (Folders(data=data, results=tmp_path / name) for name in ("here", "there"))
    runs, others = (
        [replace(smoke_run(key, folders), profile=profile) for key in ("r50-c2d", "r50-c2d-long")]
        for folders in (there, here)
    )
    short, long = runs
    where = ("--profile", longer, "--data", data, "--results", there.results)
    options = ("--launcher", "slurm", "--partition", "tests", "--time", "10", "--slurm", "begin=now+1hour")
    done = command("sweep", "2g", "--only", long.key, "--seeds", "0", *where, *options)
    assert done.status == 0, done.err
    assert done.out.startswith("2 runs: 0 recorded, 2 to do, by SLURM\n")
    assert totals(longer, there) == "0 done, 0 running, 2 queued, 0 stopped, 0 failed, 0 stale\n"
    job = output("scontrol", "show", "job", job_of(long))
    words = ("TimeLimit=00:10:00", "Partition=tests", "Requeue=1", f"Dependency=afterok:{job_of(short)}")
    assert [word for word in words if word not in job] == []

    cluster = Cluster(minutes=10)
    capsys.readouterr()
    submit(runs, cluster, 1)
    assert capsys.readouterr().out.count("in the queue already") == 2
    output("scancel", job_of(short))
    until("children leave the queue with their parent", lambda: not slurm_queue(), 60)
    assert "left the queue without a record" in totals(longer, there)
    submit(runs, cluster, 1)

    until("a run is running", lambda: ", 0 running" not in totals(longer, there), PATIENCE)
    time_is_nearly_up = ("scancel", "--signal=USR2")
    for run, words in ((short, ("scontrol", "requeue")), (long, time_is_nearly_up)):
        until("a checkpoint", run.checkpoint.is_file, PATIENCE)
        output(*words, job_of(run))
    wait_for_records(2, there)
    assert [tries(there, run.key) for run in runs] == [2, 2]
    assert totals(longer, there) == "2 done, 0 running, 0 queued, 0 stopped, 0 failed, 0 stale\n"

    sweep(others, 2)
    assert attempts.outcomes(there.results) == attempts.outcomes(here.results)


def test_several_processes_of_a_run_are_slurm_s(data: Path, tmp_path: Path) -> None:
    """The record is that of two processes which Lightning itself has started."""
    here, there = (Folders(data=data, results=tmp_path / name) for name in ("here", "there"))
    run = smoke_run("r50-c2d", there)
    submit([run], Cluster(processes=2, minutes=10), 1)
    wait_for_records(1, there)
    words = ("run", run.key, "--profile", "smoke", "--data", data, "--results", here.results)
    done = child(*words, "--devices", "2")
    assert done.status == 0, done.err
    assert attempts.outcomes(there.results) == attempts.outcomes(here.results)


@pytest.mark.parametrize("launcher", ["sbatch --wait --ntasks=2 --output={} --wrap", "srun --ntasks=2 sh -c"])
def test_several_processes_are_started_once_with_srun_and_without(
    launcher: str, data: Path, tmp_path: Path
) -> None:
    """By Lightning in an allocation whose tasks nobody has started; its SLURM_NTASKS promises them."""
    run = smoke_run("r50-c2d", Folders(data=data, results=tmp_path))
    words = ("run", run.key, "--profile", "smoke", "--data", data, "--results", tmp_path, "--devices", "2")
    shell = shlex.join([sys.executable, "-m", "ablations", *map(str, words)])
    line = [*launcher.format(tmp_path / "log.txt").split(), f"cd {ROOT} && {shell}"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert run.finished()


def test_a_refused_job_is_named(data: Path, tmp_path: Path) -> None:
    run = smoke_run("r50-c2d", Folders(data=data, results=tmp_path))
    with pytest.raises(BadInput, match=r"SLURM refused r50-c2d seed 0: .*[Ii]nvalid partition"):
        submit([run], Cluster(partition="nowhere"), 1)


def test_gpus_nodes_and_time_are_asked_for_as_submitit_names_them() -> None:
    asked = Cluster(partition="gpu", gpus=8, nodes=2, minutes=60).parameters("r50-c2d", "12")
    expected = {"gpus_per_node": 8, "tasks_per_node": 8, "nodes": 2, "timeout_min": 60}
    assert (expected | {"slurm_partition": "gpu"}).items() <= asked.items()
    assert asked["slurm_additional_parameters"]["dependency"] == "afterok:12"
