"""The command line, end to end on the smoke profile: every verb, and what is said when something is wrong."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, command

from ablations.__main__ import main
from ablations.registry import TABLES
from nlrepro import record as records
from nlrepro.config import load_profile
from nlrepro.experiments.costs import labour
from nlrepro.trial import Folders

SMOKE = ("--profile", "smoke")
KEYS = [job.run.key for job in TABLES.complete(TABLES.values(), [0], load_profile("smoke"), Folders())]
OUTSIDE = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Default paths, such as results/published, are relative: those of the repository are not looked at."""
    monkeypatch.chdir(tmp_path)


def refusal(capfd: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one line that a wrong command prints to stderr."""
    capfd.readouterr()
    assert main([str(word) for word in words]) == 2
    err = capfd.readouterr().err
    lines = [line for line in err.splitlines() if line and "%|" not in line]  # other than progress bars
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    return lines[0]


def test_every_verb_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    verbs = ("list", "run", "sweep", "report", "publish", "verify", "cost", "data", "pretrain", "weights", "evaluate", "attend")
    for verb in (*verbs, "evaluate-coco", "keep", "dashboard", "sync"):
        with pytest.raises(SystemExit) as ended:
            main([verb, "--help"])
        assert ended.value.code == 0
        assert f"example: python -m ablations {verb} " in capsys.readouterr().out


def test_help_and_a_mistyped_word_need_nothing_heavy() -> None:
    """They answer at once: none of the libraries that take a second to import is."""
    program = """
import sys
from ablations.__main__ import main
for words in (["--help"], ["sweep", "--help"], ["swep"], ["sweep", "--seeds", "x"]):
    try:
        main(words)
    except SystemExit:
        pass
print(sorted({"torch", "pandas", "pydantic", "scipy", "matplotlib", "pytorch_lightning"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    """As `| head` is: its end of the pipe closes while there is more to say."""
    words = [sys.executable, "-u", "-m", "ablations", "list", "2a", "--results", tmp_path]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_a_net_that_no_table_shows_is_run_by_its_key(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    key, words = "r50-c2d-nl-res4-dot-time", [*SMOKE, "--data", str(data), "--results", str(tmp_path)]
    assert main(["run", key, *words]) == 0
    (record,) = records.read_all(tmp_path, "smoke")
    assert (record.key, record.tables) == (key, ())
    assert main(["list", "2a", *words]) == 0
    assert main(["report", "2a", *SMOKE, "--results", str(tmp_path)]) == 0
    assert key not in (tmp_path / "tables" / "smoke" / "table2a.md").read_text()


def test_a_sweep_leaves_a_fresh_record_of_every_run_and_seed(swept: Path) -> None:
    found = records.read_all(swept, "smoke")
    assert sorted((r.key, r.seed) for r in found) == sorted((key, seed) for key in KEYS for seed in (0, 1))
    assert not list(swept.rglob("*.ckpt"))  # no half runs
    for record in found:
        asked = {name for name, axis in TABLES.items() if any(axis.spec(**row.value).key == record.key for row in axis.rows)}
        assert set(record.tables) == asked
        assert records.digest(record.settings) == record.fingerprint


def test_sweeping_again_does_nothing(swept: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in swept.rglob("*")}
    assert main(["sweep", "all", "--seeds", "0,1", "--jobs", "2", *SMOKE, "--data", str(data), "--results", str(swept)]) == 0
    first, last = capfd.readouterr().out.splitlines()
    assert f"{2 * len(KEYS)} recorded, 0 to do" in first
    options = f"--profile smoke --data {data} --results {swept}"
    assert last == f"to see the tables of what is recorded: python -m ablations report all {options}"
    assert {path: path.stat().st_mtime_ns for path in swept.rglob("*")} == before


def test_a_sweep_can_be_limited_to_keys_of_a_pattern(swept: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--seeds", "0", *SMOKE, "--data", str(data), "--results", str(swept)]
    assert main(["sweep", "2c", "--only", "r101-*", *options]) == 0
    assert "4 recorded, 0 to do" in capfd.readouterr().out  # baseline, three numbers of blocks
    assert "r101-*" in refusal(capfd, "sweep", "2a", "--only", "r101-*", *options)


def test_run_skips_a_fresh_record(swept: Path, data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = records.record_path(swept, "smoke", "r50-c2d", 0)
    before = path.stat().st_mtime_ns
    assert main(["run", "r50-c2d", "--seed", "0", *SMOKE, "--data", str(data), "--results", str(swept)]) == 0
    assert path.stat().st_mtime_ns == before
    top1 = records.read(path).metrics.top1
    assert f"r50-c2d seed 0: top-1 {top1:.1f} %" in capfd.readouterr().out


def test_list_shows_every_key_its_tables_parent_and_seeds(swept: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["list", *SMOKE, "--results", str(swept)]) == 0
    listing, _, totals = capfd.readouterr().out.partition("\n\n")
    header, *lines = listing.splitlines()
    assert totals == f"{2 * len(KEYS)} done, 0 running, 0 queued, 0 stopped, 0 failed, 0 stale\n"
    assert header.split() == ["key", "tables", "parent", "seeds"]
    assert [line.split()[0] for line in lines] == KEYS
    assert all(line.endswith("0, 1") for line in lines)
    long = next(line for line in lines if line.split()[0] == "r50-c2d-long")
    assert long.split()[1:3] == ["2g", "r50-c2d"]


def test_list_tells_stale_records_apart(swept: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(swept / "records", tmp_path / "records")
    path = records.record_path(tmp_path, "smoke", "r50-c2d", 1)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "old"}))
    assert main(["list", *SMOKE, "--results", str(tmp_path)]) == 0
    out = capfd.readouterr().out
    (line,) = (line for line in out.splitlines() if line.startswith("r50-c2d "))
    assert line.endswith("0, 1 (stale)")
    assert "\n1 record is stale: r50-c2d seed 1; " in out


def test_records_of_other_videos_are_stale(swept: Path, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One training video is gone: records are told and shown by no table."""
    shutil.copytree(swept / "records", tmp_path / "records")
    shutil.copytree(data / "smoke", tmp_path / "data" / "smoke")
    next((tmp_path / "data" / "smoke" / "train").rglob("*.mp4")).unlink()
    where = (*SMOKE, "--data", str(tmp_path / "data"), "--results", str(tmp_path))
    assert main(["list", "2a", *where]) == 0
    told = capfd.readouterr().out
    assert "0 done, 0 running, 0 queued, 0 stopped, 0 failed, 10 stale" in told
    assert "\n10 records are stale: r50-c2d seed 0, " in told
    assert main(["report", "2a", *where]) == 0
    assert "records are stale (made with other settings or videos) and left out: " in capfd.readouterr().out
    table = pd.read_csv(tmp_path / "tables" / "smoke" / "table2a.csv", na_values="--")
    assert table["paper_top1"].notna().all()
    assert table["top1"].isna().all()


def test_cost_estimates_the_training_of_real_videos(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "2a", "--teraflops", "100"]) == 0
    told = capfd.readouterr().out.splitlines()[-1]
    golden = (Path(__file__).parent / "golden" / "costs.txt").read_text().splitlines()
    macs = next(int(line.split()[-1].replace(",", "")) for line in golden if line.startswith("r50-c2d |"))
    hours = 3 * 2 * macs * 400_000 * 64 / 100e12 / 3600  # 400,000 steps of 64 clips
    assert told.startswith("Training 5 runs once takes ")
    assert f"from {hours:.0f} of r50-c2d to" in told


def test_the_readme_s_gpu_hours_are_those_that_cost_tells() -> None:
    paper, readme = load_profile("paper"), " ".join((ROOT / "nlrepro" / "data" / "README.md").read_text().split())
    for tables, words in {
        ("2f", "2g"): "{} exaFLOPs of training, {} GPU-hours",
        ("all",): "runs {} exaFLOPs, {} GPU-hours",
    }.items():
        told = labour(TABLES.chosen(tables), paper, 50)
        assert words.format(*re.findall(r"(\d+) (?:exaFLOPs|GPU-hours)", told)) in readme


def test_cost_has_every_row(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", *SMOKE]) == 0
    out = capfd.readouterr().out
    for axis in TABLES.values():
        for row in axis.rows:
            assert any(line.startswith(f"| {axis.table}") and f"| {row.label} " in line for line in out.splitlines()), row.label
    assert "1.000" in out


def test_check_passes_the_generated_videos(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", *SMOKE, "--data", str(data), "--jobs", "1"]) == 0
    assert "train: 32 of 32 videos can be used" in capfd.readouterr().out


@OUTSIDE
def test_a_report_writes_table_figure_and_claims_from_records_alone(
    swept: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "mine"
    shutil.copytree(swept / "records", results / "records")
    assert main(["report", "all", *SMOKE, "--results", str(results)]) == 0
    out = capfd.readouterr().out
    head, claim = "paper top-1 ", "every model gains from longer clips: "
    parts = [head, f"\n{claim}", f"\nwritten: {results / 'tables'}", f"\nwritten: {results / 'report.html'}\n"]
    assert sorted(parts, key=out.rindex) == parts
    assert out.endswith(parts[-1])
    tables, figures = results / "tables" / "smoke", results / "figures" / "smoke"
    for name, axis in TABLES.items():
        text = {suffix: (tables / f"table{name}.{suffix}").read_text() for suffix in ("md", "csv", "tex")}
        for row in axis.rows:
            assert row.label in out
            assert all(row.label.replace("_", "\\_") in part or row.label in part for part in text.values()), row.label
        assert (figures / f"table{name}.svg").read_text().lstrip().startswith("<?xml")
        assert len(text["csv"].splitlines()) == len(axis.rows) + 1
        assert all(axis.spec(**row.value).key in text["csv"] for row in axis.rows)
    assert (tables / "claims.csv").read_text().startswith("table,claim,paper,verdict,")
    assert not list(results.rglob(".*"))


@OUTSIDE
def test_a_report_without_records_shows_missing_cells(tmp_path: Path) -> None:
    assert main(["report", "2a", *SMOKE, "--results", str(tmp_path)]) == 0
    assert "--" in (tmp_path / "tables" / "smoke" / "table2a.csv").read_text()


@OUTSIDE
def test_a_stale_record_is_left_out_of_the_report(swept: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(swept / "records", tmp_path / "records")
    path = records.record_path(tmp_path, "smoke", "r50-c2d-nl-res4-dot-spacetime", 1)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "old"}))
    assert main(["report", "2a", *SMOKE, "--results", str(tmp_path)]) == 0
    assert str(path) in capfd.readouterr().out
    lines = (tmp_path / "tables" / "smoke" / "table2a.csv").read_text().splitlines()
    seeds = {line.split(",")[-12 if '"' in line else 4] for line in lines if "-dot-" in line}
    assert seeds == {"1"}


@OUTSIDE
def test_publishing_copies_fresh_records_and_reports_from_them(swept: Path, tmp_path: Path) -> None:
    assert main(["publish", "2a", "--seeds", "0,1", *SMOKE, "--results", str(swept)]) == 0
    published = tmp_path / "results" / "published"
    keys = {TABLES["2a"].spec(**row.value).key for row in TABLES["2a"].rows}
    assert {(r.key, r.seed) for r in records.read_all(published, "smoke")} >= {(key, seed) for key in keys for seed in (0, 1)}
    assert (published / "tables" / "smoke" / "table2a.md").is_file()
    assert (published / "figures" / "smoke" / "table2a.svg").is_file()


@OUTSIDE
def test_an_incomplete_table_is_not_published(swept: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = refusal(capfd, "publish", "2a", "--seeds", "0,1,7", *SMOKE, "--results", swept)
    assert "r50-c2d seed 7" in line
    assert not (tmp_path / "results").exists()


def test_wandb_logs_a_run_offline_with_name_group_tags_and_config(swept: Path, data: Path, tmp_path: Path) -> None:
    done = command("run", "r50-c2d", *SMOKE, "--data", data, "--results", tmp_path, WANDB_MODE="offline")
    assert done.status == 0, done.err
    (log,) = (tmp_path / "runs" / "smoke" / "r50-c2d").rglob("run-*.wandb")
    assert log.parent.name.startswith("offline-run-")
    content = log.read_bytes()
    words = ("r50-c2d seed 0", "smoke r50-c2d", "table2a", "nonlocal-table2", "spacetime", "test_top5", "macs", "steps")
    curves = [f"{place}{name}" for place in ("", "table2a/", "table2f/") for name in ("val_top1", "train_loss", "test_top1")]
    assert [word for word in (*words, *curves) if word.encode() not in content] == []
    assert b"table2e/" not in content  # a table without this row
    silent, logged = (records.read(records.record_path(results, "smoke", "r50-c2d", 0)) for results in (swept, tmp_path))
    assert (silent.metrics, silent.curve) == (logged.metrics, logged.curve)  # logging changes no result


def test_a_run_without_wandb_leaves_no_log_of_it(swept: Path) -> None:
    assert not [path for path in swept.rglob("*") if "wandb" in path.name]


def test_wrong_names_name_the_right_ones(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "'r50-c3d'" in (line := refusal(capfd, "run", "r50-c3d", *SMOKE, "--results", tmp_path))
    assert "`python -m ablations list`" in line
    for verb in ("list", "sweep", "report", "cost", "publish"):
        assert "unknown table '2z'; use one of 2a" in refusal(capfd, verb, "2z", *SMOKE, "--results", tmp_path)
    line = refusal(capfd, "list", "--profile", "large")
    assert all(word in line for word in ("'large'", "mini", "smoke"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("words", "named"), [(("--seeds", "0,x"), "'0,x'"), (("--jobs", "0"), "'0'")])
def test_wrong_options_are_told_with_status_2(words: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sweep", "2a", *SMOKE, *words])
    assert ended.value.code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]


def test_a_missing_data_folder_is_named(capfd: pytest.CaptureFixture[str], swept: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    for words in (("sweep", "2a", "--jobs", "1"), ("run", "r50-c2d"), ("data", "check", "--jobs", "1")):
        line = refusal(capfd, *words, *SMOKE, "--data", nowhere, *(() if words[0] == "data" else ("--results", tmp_path / "r")))
        assert f"no folder {nowhere}/smoke/" in line
        assert "data make" in line
    assert not list((tmp_path / "r").rglob("*.json"))


def test_a_results_folder_that_cannot_be_written_is_named(
    capfd: pytest.CaptureFixture[str], swept: Path, data: Path, tmp_path: Path
) -> None:
    """Below a regular file: root may write everywhere else."""
    (tmp_path / "file").write_text("")
    below = tmp_path / "file" / "results"
    for words in (
        ("report", "2a"),
        ("run", "r50-c2d", "--data", data),
        ("sweep", "2a", "--seeds", "0", "--jobs", "1", "--data", data),
    ):
        assert str(below) in refusal(capfd, *words, *SMOKE, "--results", below), words
    assert str(below) in refusal(capfd, "data", "make", *SMOKE, "--data", below, "--jobs", "1")


def test_generated_videos_of_other_settings_are_refused(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    note = tmp_path / "smoke" / "generator.json"
    note.parent.mkdir()
    note.write_text("{}")
    assert "other generator settings" in refusal(capfd, "data", "make", *SMOKE, "--data", tmp_path, "--jobs", "1")


def test_a_damaged_video_stops_a_sweep_before_anything_is_trained(data: Path, tmp_path: Path) -> None:
    copied = tmp_path / "data"
    shutil.copytree(data / "smoke", copied / "smoke")
    victim = sorted((copied / "smoke" / "train").glob("*/*.mp4"))[5]
    victim.write_bytes(victim.read_bytes()[:200])
    done = command("sweep", "2a", "--seeds", "0", "--jobs", "1", *SMOKE, "--data", copied, "--results", tmp_path / "r")
    assert done.status == 2
    assert done.err.splitlines()[-1].startswith("error: ")
    assert str(victim) in done.err.splitlines()[-1]
    assert "Traceback" not in done.err
    assert not list((tmp_path / "r").rglob("*.json"))


def test_an_error_of_the_module_is_one_line_without_a_traceback() -> None:
    done = command("run", "nothing", *SMOKE)
    assert (done.status, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("error: unknown run key 'nothing'")
