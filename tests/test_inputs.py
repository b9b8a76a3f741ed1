"""Bad words, profiles and folders are told in one line that says what was wrong, what is allowed and what to do."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

from ablations.__main__ import main

SMOKE = ("--profile", "smoke")


def refusal(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The last line on stderr of a command that ends with status 2."""
    try:
        status = main([str(word) for word in words])
    except SystemExit as ended:  # argparse's
        status = int(ended.code or 0)
    out, err = capsys.readouterr()
    assert status == 2, out + err
    assert "Traceback" not in err
    return err.splitlines()[-1]


@pytest.mark.parametrize("seeds", ["", "-1", "-1,0", "0,x", "4294967296", "0,,1", "1.5"])
def test_seeds_are_whole_numbers_that_a_generator_takes(capsys: pytest.CaptureFixture[str], seeds: str) -> None:
    line = refusal(capsys, "sweep", "2a", *SMOKE, "--seeds", seeds)
    assert f"from 0 to 4294967295 with commas between them, such as 0,1,2; got {seeds!r}" in line


@pytest.mark.parametrize("seed", ["-1", "4294967296", "x", ""])
def test_one_seed_is_checked_too(capsys: pytest.CaptureFixture[str], seed: str) -> None:
    for words in (("run", "r50-c2d"), ("keep", "r50-c2d", "--out", "net.pt")):
        assert f"a whole number from 0 to 4294967295, got {seed!r}" in refusal(capsys, *words, *SMOKE, "--seed", seed)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ('name = "../outside"', "name: String should match pattern"),
        ('name = "a/b"', "name: String should match pattern"),
        ("seeds = [-1]", "seeds.0: Input should be greater than or equal to 0"),
        ("seeds = [4294967296]", "seeds.0: Input should be less than 4294967296"),
        ("[recipes.short]\nsteps = 0", "recipes.short.steps: Input should be greater than or equal to 1"),
        ("[recipes.short]\nvalidate_every = 0", "recipes.short.validate_every: Input should be greater than or equal to 1"),
        ("[recipes.long]\nbatch = 0", "recipes.long.batch: Input should be greater than or equal to 1"),
    ],
)
def test_a_profile_is_checked_when_it_is_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, changed: str, told: str
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f'base = "smoke"\n{changed}\n')
    line = refusal(capsys, "list", "--profile", path, "--results", tmp_path / "results")
    assert f"{path}: {told}" in line
    assert list(tmp_path.iterdir()) == [path]


def test_a_profile_in_another_encoding_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes('base = "smoke"\n# é\n'.encode("latin1"))
    assert f"{path}: it is not UTF-8" in refusal(capsys, "list", "--profile", path)


def test_more_devices_than_the_machine_has_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never let this begin a run: Lightning starts the tests themselves again as its other processes."""
    for place in ("nlrepro.train.runner.execute", "nlrepro.released.evaluate.evaluate"):
        monkeypatch.setattr(place, lambda *_, **__: pytest.fail("it was begun"))
    for words in (("run", "r50-c2d", "--results", tmp_path), ("evaluate", "r50-c2d", "--weights", tmp_path / "net.pt")):
        line = refusal(capsys, *words, *SMOKE, "--devices", "4096")
        assert f"--devices 4096: this machine has {os.cpu_count()} processors" in line
    assert not list(tmp_path.iterdir())


def test_results_that_are_a_file_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for words in (("list",), ("report", "2a"), ("run", "r50-c2d"), ("dashboard",)):
        assert f"--results {file} is a file; give a folder" in refusal(capsys, *words, *SMOKE, "--results", file)
    assert file.read_text() == "mine"


def test_a_data_folder_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    for words in (("data", "check"), ("run", "r50-c2d", "--results", tmp_path / "results")):
        line = refusal(capsys, *words, "--profile", "paper", "--data", nowhere)
        assert f"no folder {nowhere}" in line
        assert "--data" in line
    assert not nowhere.exists()


@pytest.mark.parametrize("at", ["-1,0,0", "1,2", "1,2,x"])
def test_a_position_is_three_numbers(capsys: pytest.CaptureFixture[str], at: str) -> None:
    line = refusal(capsys, "attend", "a.mp4", "--weights", "net.pt", "--at", at)
    assert f"frame, row and column with commas between them, such as 2,3,5; got {at!r}" in line


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """What `make -n` would do, without set-up."""
    line = ["make", "-n", "-o", ".venv/ready", *words]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


def test_make_quotes_what_a_user_gives() -> None:
    done = make("table2a", "DATA=my videos", "SEEDS=", "PROFILE=my profile.toml", "IMAGENET=a.pth b.pth")
    for words in ("--data 'my videos'", "--seeds ''", "--profile 'my profile.toml'", "--imagenet 'a.pth' --imagenet 'b.pth'"):
        assert words in done.stdout


def test_make_names_the_tables_that_there_are() -> None:
    done = subprocess.run(["make", "table2h"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no table 2h; there are 2a, 2b, 2c, 2d, 2e, 2f, 2g, 3, 4, 5 and 6" in done.stderr


def test_a_dry_run_does_not_end_with_a_table_without_records() -> None:
    assert "report" not in make("table2a", "STEPS=1").stdout
    assert "report 2a" in make("table2a").stdout
