"""The command line: verbs on the smoke profile, wrong words in one line, commands of the READMEs."""

import doctest
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from contextlib import redirect_stderr
from errno import EACCES
from io import BytesIO, TextIOWrapper
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest
from conftest import ROOT, command, smoke_run, swept_runs

from ablations.__main__ import main
from ablations.registry import TABLES
from nlrepro import verbs
from nlrepro.cli import parser
from nlrepro.processes import usable_cores
from nlrepro.record import read_records
from nlrepro.run import Folders, Run

SMOKE = ("--profile", "smoke")
ELSEWHERE = {".venv", "local", ".pytest_cache", "build"}
READMES = sorted(path for path in ROOT.rglob("README.md") if not ELSEWHERE & {*path.relative_to(ROOT).parts})


def refusal(*words: str | Path) -> str:
    """The one line that a wrong command prints to stderr."""
    done = command(*words)
    assert done.status == 2, done
    lines = [line for line in done.err.splitlines() if "%|" not in line]  # other than progress bars
    assert "Traceback" not in done.err
    return lines[-1]


def test_list_shows_every_key_its_tables_parent_and_seeds(swept: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(swept / "records", tmp_path / "records")
    path = smoke_run("r50-c2d", Folders(results=tmp_path), 1).record_path
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "old"}))
    done = command("list", "2", *SMOKE, "--data", data, "--results", tmp_path)
    assert done.status == 0
    table, _, totals = done.out.partition("\n\n")
    rows = {line.split()[0]: line for line in table.splitlines()}
    runs = TABLES.complete(TABLES.runs(["2"], [0], "smoke", Folders()))
    assert list(rows) == ["key", *(run.key for run in runs)]
    assert rows["r50-c2d"].endswith("0, 1 (stale)")
    assert re.fullmatch(r"r50-c2d-long +2g +r50-c2d +0, 1", rows["r50-c2d-long"])
    assert rows["r101-c2d"].endswith(" --")
    counted = "done, 0 running, 0 queued, 0 stopped, 0 failed, 1 stale\nstale: r50-c2d seed 1\n"
    assert totals.startswith(f"{len(read_records(tmp_path, 'smoke')) - 1} {counted}")


def test_a_sweep_makes_what_is_missing_and_nothing_twice(swept: Path, data: Path, tmp_path: Path) -> None:
    """Run by run it is tested elsewhere: here all is there already."""
    folders = Folders(data=data, results=swept)
    runs = swept_runs(folders)
    assert all(run.finished() for run in runs)
    assert sorted(read.key for read in read_records(swept, "smoke")) == sorted(run.key for run in runs)
    assert not list(swept.rglob("*.ckpt"))
    before = {path: path.stat().st_mtime_ns for path in swept.rglob("*")}
    where = (*SMOKE, "--data", data, "--results", swept)
    done = command("sweep", "2a", "2g", "--only", "r50-c2d*", "--seeds", "0", *where)
    assert done.status == 0, done.err
    assert done.out.splitlines()[0].startswith("6 runs: 6 recorded, 0 to do")
    assert "r50-c2d seed 0: top1 " in command("run", "r50-c2d", *where).out
    assert {path: path.stat().st_mtime_ns for path in swept.rglob("*")} == before


def test_a_table_is_printed_when_a_seed_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another seed is still to come, which a sweep leaves for later."""

    def make(runs: list[Run], jobs: int, done: Callable[[Run], None]) -> None:
        for run in runs:
            print(run.name)
            done(run)

    monkeypatch.setattr("nlrepro.sweep.local.sweep", make)
    done = command("sweep", "2a", "--seeds", "0,1", *SMOKE, "--data", tmp_path, "--results", tmp_path)
    printed = [line.split(".")[0] for line in done.out.splitlines() if line.startswith(("r50", "Table"))]
    first, second = ([f"{row.key} seed {seed}" for row in TABLES["2a"].rows] for seed in (0, 1))
    assert printed == [*first, "Table 2a", *second]


def test_a_net_that_no_table_shows_is_run_by_its_key(data: Path, tmp_path: Path) -> None:
    key, where = "r50-c2d-nl-res4-dot-time", (*SMOKE, "--data", data, "--results", tmp_path)
    done = command("run", key, *where)
    assert done.status == 0, done.err
    (record,) = read_records(tmp_path, "smoke")
    assert (record.key, record.tables) == (key, ())
    done = command("run", "r50-c2d", "--steps", "1", *where)
    assert done.status == 0, done.err
    assert [record.key for record in read_records(tmp_path, "smoke-dry-run")] == ["r50-c2d"]


def test_cost_has_every_row_and_the_hours_of_real_videos(tmp_path: Path) -> None:
    done = command("cost", "2a", "--teraflops", "100", "--csv", tmp_path / "costs.csv")
    assert done.status == 0, done.err
    costs = pd.read_csv(tmp_path / "costs.csv").set_index("key")
    assert set(costs.index) == {row.key for row in TABLES["2a"].rows}
    assert [row.label for row in TABLES["2a"].rows if f"| {row.label} " not in done.out] == []
    hours = 3 * 2 * costs.loc["r50-c2d", "macs"] * 400_000 * 64 / 100e12 / 3600  # 400,000 steps of 64 clips
    assert f"from {hours:,.1f} of r50-c2d to" in done.out
    assert "Memory of a step on one GPU" in done.out


def test_data_are_made_and_checked(data: Path) -> None:
    where = (*SMOKE, "--data", data, "--jobs", "1")
    assert command("data", "make", "all", *where).status == 0
    done = command("data", "check", "all", *where)
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    index = data / "cache/index-smoke-train.jsonl"
    expected = [f"train: 32 of 32 videos (100.0 %) can be used; the index is {index}"]
    expected.append("test: 16 videos can be used")
    for name in ("instances", "person_keypoints"):
        expected.append(f"{name}, test: 6 of 6 images (100.0 %) can be used")
    assert [line for line in expected if lines.count(line) != 1] == []


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("run", "r50-c3d"), ("unknown run key 'r50-c3d'", "`python -m ablations list`")),
        (("list", "2z"), ("unknown table '2z'; use one of 2a",)),
        (("list", "--profile", "no/mine.toml"), ("unknown profile 'no/mine.toml'", "mini", "smoke")),
        (("sweep", "2a", "--seeds", "0,x"), ("seeds such as 0,1,2, each 0 to 4294967295; got '0,x'",)),
        (("sweep", "2a", "--jobs", "0"), ("a whole number, at least 1; got '0'",)),
        (("run", "r50-c2d", "--seed", "4294967296"), ("a whole number, 0 to 4294967295; got '4294967296'",)),
        (("attend", "a.mp4", "--weights", "net.pt", "--at", "1,2,x"), ("2,3,5", "got '1,2,x'")),
        (("sweep", "2a", "--slurm", "account"), ("account=vision", "got 'account'")),
        (("run", "r50-c2d", "--profile", "paper", "--data", "nowhere"), ("no folder nowhere", "--data")),
        (("data", "check", "--profile", "paper", "--data", "nowhere"), ("no folder nowhere", "--data")),
        (("data", "check", *SMOKE, "--data", "nowhere"), ("no folder nowhere/smoke/", "data make")),
    ],
)
def test_wrong_words_are_named_in_one_line_with_what_is_allowed(
    words: tuple[str, ...], parts: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refusal(*words)
    assert [part for part in parts if part not in line] == [], line
    assert not list(tmp_path.iterdir())


def test_more_devices_than_the_machine_has_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never let this begin a run: Lightning starts the tests themselves again as its other processes."""
    for verb in ("run", "evaluate"):
        monkeypatch.setattr(f"nlrepro.verbs.{verb}", lambda *_: pytest.fail("it was begun"))
    for words in (("run", "r50-c2d"), ("evaluate", "r50-c2d", "--weights", "net.pt")):
        line = refusal(*words, *SMOKE, "--results", tmp_path, "--devices", "4096")
        assert f"--devices 4096: this process may use {usable_cores()} processors" in line


def test_a_folder_too_long_for_the_names_of_sockets_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of multiprocessing's fork server, and of the tensors that a loader's processes send."""
    folder = tmp_path / ("x" * 80)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr("nlrepro.verbs.sweep", lambda *_: pytest.fail("it was begun"))
    line = refusal("sweep", "2a", *SMOKE, "--results", tmp_path)
    assert f"TMPDIR={folder} is too long for sockets; give one of at most 75 bytes" in line


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="macOS binds no process to cores")
def test_jobs_and_devices_follow_the_cores_that_the_process_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[int] = []
    monkeypatch.setattr("nlrepro.verbs.data", lambda _, words: jobs.append(words.jobs))
    monkeypatch.setattr("nlrepro.verbs.run", lambda *_: pytest.fail("it was begun"))
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        command("data", "make")
        line = refusal("run", "r50-c2d", "--results", tmp_path, "--devices", "2")
    finally:
        os.sched_setaffinity(0, cores)
    assert jobs == [1]
    assert "may use 1 processors" in line


def test_results_that_cannot_be_written_are_named(data: Path, tmp_path: Path) -> None:
    """A regular file, and a folder below it: root may write everywhere else."""
    file = tmp_path / "file"
    file.write_text("mine")
    for words in (("list",), ("report", "2a"), ("run", "r50-c2d"), ("dashboard",)):
        assert f"--results {file} is a file; give a folder" in refusal(*words, *SMOKE, "--results", file)
    below = file / "results"
    for words in (("report", "2a"), ("run", "r50-c2d"), ("sweep", "2a", "--seeds", "0", "--jobs", "1")):
        assert str(below) in refusal(*words, *SMOKE, "--data", data, "--results", below), words
    assert str(below) in refusal("data", "make", *SMOKE, "--data", below, "--jobs", "1")
    assert file.read_text() == "mine"


@pytest.mark.parametrize("name", ["it's", "two words", "$HOME", "a#b", '"q"', "`id`", "back\\", "$(BIN)"])
def test_make_hands_names_on_as_they_were_typed_and_no_jobs_of_its_own(name: str, tmp_path: Path) -> None:
    stub = tmp_path / "python"
    stub.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> "{tmp_path}/words"\n')
    stub.chmod(0o755)
    typed = (f"DATA={name}", f"ONLY={name}", f"IMAGENET={name}", f"BIN={tmp_path}")
    line = ["make", "-o", ".venv/ready", "table2a", *typed]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    words = (tmp_path / "words").read_text().splitlines()
    assert words.count(name) == 4  # of `sweep`, and the data of `report`
    assert "--jobs" not in words


@pytest.mark.parametrize("readme", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_commands_of_a_readme_are_understood_and_its_examples_run(readme: Path) -> None:
    code = "\n".join(re.findall(r"^```\w*\n(.*?)^```", readme.read_text(), re.DOTALL | re.MULTILINE))
    for line in code.replace("\\\n", " ").replace("$KEY", "r50-c2d").splitlines():
        words = shlex.split(line, comments=True) if line.startswith(("make ", "python -m ablations ")) else []
        if words and words[0] == "make":
            done = subprocess.run(
                ["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        elif words:
            parser().parse_args(words[3:])
    assert doctest.testfile(str(readme), module_relative=False).failed == 0


def test_a_folder_that_may_not_be_looked_into_is_named_also_where_output_is_ascii(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under LC_ALL=C PYTHONUTF8=0."""
    folder, err = tmp_path / "caf\u00e9", TextIOWrapper(BytesIO(), encoding="ascii")
    error = PermissionError(EACCES, "Permission denied", str(folder))
    monkeypatch.setattr(verbs, "check_data", Mock(side_effect=error))
    with redirect_stderr(err):
        assert main(["data", "check", "--profile", "paper", "--data", str(folder)]) == 2
    err.seek(0)
    assert re.fullmatch(r"error: cannot open .*/caf\\xe9: Permission denied; check [^\n]*\n", err.read())
