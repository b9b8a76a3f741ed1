"""What a sweep says of its runs' processes: no failure of a run that is recorded, no failure without a cause, no process left."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attempts
import pytest
from conftest import ROOT, command

from ablations.registry import TABLES
from nlrepro.config import Profile
from nlrepro.sweep.jobs import Job
from nlrepro.sweep.launch import sweep
from nlrepro.sweep.local import Scheduler
from nlrepro.sweep.status import failure, mark_failed, reason
from nlrepro.sweep.temporary import MARK
from nlrepro.train.module import Batch, VideoClassifier
from nlrepro.train.runner import execute
from nlrepro.trial import Folders


@pytest.fixture
def recorded(swept: Path, data: Path, smoke: Profile, tmp_path: Path) -> Job:
    for kind in ("records", "runs"):
        shutil.copytree(swept / kind / "smoke" / "r50-c2d", tmp_path / kind / "smoke" / "r50-c2d")
    return TABLES.job("r50-c2d", 0, smoke, Folders(data=data, results=tmp_path))


def test_a_recorded_run_has_not_failed_however_its_process_ended(recorded: Job) -> None:
    """Status 255 is what multiprocessing says when the server of the processes was killed, whatever these did."""
    scheduler = Scheduler([recorded], 1)
    scheduler.waiting.clear()
    pipe, other = Pipe(duplex=False)
    other.close()
    ended: Any = SimpleNamespace(job=recorded, pipe=pipe, hear=lambda: False, busy=False, failure="its process ended with 255")
    scheduler.running = [ended]
    scheduler.listen()
    assert scheduler.failures == {}
    assert scheduler.running == []
    assert failure(recorded.run) is None


def test_a_run_that_another_sweep_has_made_is_told_with_its_accuracy(recorded: Job, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler = Scheduler([recorded], 1)
    assert scheduler.start_ready() == 0
    scheduler.show(0)
    done, whole = capsys.readouterr().err.splitlines()
    found = recorded.run.finished()
    assert found
    assert f" {recorded.run.name}: done, top-1 {found.metrics.top1:.1f} %, took 00:0" in done
    assert done.endswith(", in another sweep")
    assert whole.endswith(" sweep: 1/1 runs done")


@pytest.mark.parametrize("again", [lambda job: sweep([job], 1), execute])
def test_a_note_of_failure_does_not_outlive_a_success(recorded: Job, again: Any) -> None:
    mark_failed(recorded.run, "written by another sweep, after the success")
    again(recorded)
    assert failure(recorded.run) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [(MemoryError(), "MemoryError"), (ValueError(" a\n b "), "ValueError: a b"), (KeyError("a"), "KeyError: 'a'")],
)
def test_a_reason_does_not_end_in_a_colon(error: Exception, words: str) -> None:
    assert reason(error) == words


class Terminated(VideoClassifier):
    """Its process is told to end at step 2, as `kill` does; Lightning hears it and raises an exception without words."""

    def training_step(self, batch: Batch, index: int) -> Any:
        if self.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().training_step(batch, index)


def failed(job: Job) -> list[str]:
    """What a sweep of one run that fails says of it."""
    process = attempts.begin([job])
    process.join()
    assert process.exitcode == 2
    log = (job.run.folders.results / "log.txt").read_text()
    assert "Traceback" not in log
    return [line for line in log.splitlines() if line.startswith(f"  {job.run.name}: ")]


@pytest.mark.rare
def test_a_run_that_is_told_to_end_says_so(data: Path, smoke: Profile, tmp_path: Path) -> None:
    run = TABLES.job("r50-c2d", 0, smoke, Folders(data=data, results=tmp_path)).run
    (line,) = failed(Job(run, partial(Terminated, run.spec)))
    assert line == f"  {run.name}: its process was told to end (SIGTERM)"


def test_a_folder_of_a_run_that_cannot_be_written_is_the_cause(data: Path, smoke: Profile, tmp_path: Path) -> None:
    run = TABLES.job("r50-c2d", 0, smoke, Folders(data=data, results=tmp_path)).run
    run.folder.parent.parent.mkdir(parents=True)
    run.folder.parent.write_text("a file")  # root may write everywhere else
    (line,) = failed(Job(run))
    assert line == f"  {run.name}: cannot write {run.folder}: Not a directory; check the permissions of the folder above it"


def test_the_temporary_folders_of_killed_sweeps_are_removed(tmp_path: Path) -> None:
    (tmp_path / "pymp-stranger").mkdir()
    program = "from nlrepro.sweep.temporary import mark_temporary_folder as mark; mark(); print(flush=True); input()"

    def begin() -> subprocess.Popen[str]:
        environment = os.environ | {"TMPDIR": str(tmp_path)}
        process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdin=-1, stdout=-1, text=True, cwd=ROOT)
        assert process.stdout
        process.stdout.readline()
        return process

    with begin() as first, begin() as second:
        both = set(tmp_path.glob(f"pymp-*/{MARK}"))
        assert len(both) == 2
        first.kill()
        first.wait()
        with begin() as third:
            left = set(tmp_path.glob(f"pymp-*/{MARK}"))
            assert len(left) == 2
            assert len(both & left) == 1
            second.communicate("")
            third.communicate("")
    assert [path.name for path in tmp_path.iterdir()] == ["pymp-stranger"]


@pytest.mark.rare
def test_a_sweep_leaves_no_temporary_files(data: Path, tmp_path: Path) -> None:
    """Those of wandb's processes neither: all lie in one folder, which a later sweep can remove if this one is killed."""
    words = ("sweep", "2a", "--only", "r50-c2d", "--seeds", "0", "--profile", "smoke", "--data", data, "--results", tmp_path)
    with tempfile.TemporaryDirectory() as temporary:  # pytest's has a path too long for the sockets of multiprocessing
        done = command(*words, WANDB_MODE="offline", TMPDIR=temporary)
        assert done.status == 0, done.err
        assert os.listdir(temporary) == []


def processes(mark: str) -> list[str]:
    """The command lines of living processes with the mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes() and ") Z " not in (folder / "stat").read_text():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            pass
    return found


@pytest.mark.rare
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_server_of_a_killed_sweep_dies_at_once(data: Path, tmp_path: Path) -> None:
    """Also while it imports, which takes seconds; it would be alone after the sweep."""
    mark = f"TEST_MARK={tmp_path}"
    words = ("sweep", "2a", "--seeds", "0", "--jobs", "1", "--profile", "smoke", "--data", str(data), "--results", str(tmp_path))
    environment = os.environ | {"TEST_MARK": str(tmp_path)}
    line = [sys.executable, "-m", "ablations", *words]
    with subprocess.Popen(line, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not any("forkserver" in line for line in processes(mark)):
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.2)  # its first import
        process.kill()
    time.sleep(0.3)
    assert processes(mark) == []


@pytest.mark.rare
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_server_of_processes_costs_no_record(swept: Path, data: Path, smoke: Profile, tmp_path: Path) -> None:
    """It is killed as soon as the first run has begun to train."""
    words = ["sweep", "2a", "--seeds", "0", "--jobs", "2", "--profile", "smoke", "--data", str(data), "--results", str(tmp_path)]
    line, environment = [sys.executable, "-m", "ablations", *words], os.environ | {"TEST_MARK": str(tmp_path)}
    with subprocess.Popen(line, env=environment, cwd=ROOT, stdout=-1, stderr=subprocess.STDOUT, text=True) as process:
        while not attempts.beginnings(tmp_path):
            assert process.poll() is None
            time.sleep(0.02)
        found = subprocess.run(["pgrep", "-P", str(process.pid), "-f", "forkserver"], capture_output=True, text=True, check=True)
        os.kill(int(found.stdout.split()[0]), signal.SIGKILL)
        said, _ = process.communicate()
    assert "Traceback" not in said
    assert command(*words).status == 0
    expected = attempts.outcomes(swept, smoke)
    ours = attempts.outcomes(tmp_path, smoke)
    assert len(ours) == 5
    assert ours == {run: expected[run] for run in ours}
