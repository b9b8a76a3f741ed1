"""What is published is what the report makes of the published records; publishing, and making a run again."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import PUBLISHED, ROOT, command
from records import MADE, fresh_record, record, weights_record

from ablations.registry import TABLES
from nlrepro.files import BadInput
from nlrepro.record import Record, read_record, write_record
from nlrepro.report.gather import ProfileReport, gather
from nlrepro.report.publish import READMES, compared, published, readme_parts
from nlrepro.report.tables import claims_frame
from nlrepro.report.text import MISSING, to_csv
from nlrepro.run import Folders, Run

LOCAL, PUBLIC = Path("results/local"), Path("results/published")


@pytest.fixture(scope="module")
def reports() -> list[ProfileReport]:
    """Of all published profiles."""
    with chdir(ROOT):
        names = published(TABLES)
        return [each for name in names for each in gather(TABLES, name, Folders(results=PUBLISHED))]


def test_all_published_records_are_of_the_settings_as_they_are_now(reports: list[ProfileReport]) -> None:
    """With the declared seeds, so that no verdict is preliminary, but for one table that says so."""
    assert [line for each in reports for line in each.warnings()] == []
    files = {path.relative_to(PUBLISHED).as_posix() for path in (PUBLISHED / "records").rglob("*.json")}
    runs = [run for each in reports for run in each.sources[-1].runs]
    assert files == {f"records/{r.profile}/{r.key}/seed{r.seed}.json" for r in runs}
    assert len(files) == 288
    for each in reports:
        few = each.name == "coco-mini-1000-steps"
        assert ({run.seed for run in each.sources[-1].runs} == set(each.profile.seeds)) is not few
        assert any(verdict.preliminary for verdict in each.verdicts) is few


def test_published_tables_and_verdicts_are_what_the_records_give(reports: list[ProfileReport]) -> None:
    """Texts are the same, and numbers but for the rounding to two decimals."""
    frames: dict[str, pd.DataFrame] = {}
    for each in reports:
        frames[f"{each.name}/claims.csv"] = claims_frame(each.verdicts)
        for name, table in each.tables.items():
            frames[f"{each.name}/table{name}.csv"] = table.frames["here"]
            frames[f"{each.name}/table{name}-kinds.csv"] = table.kinds
    files = [*(PUBLISHED / "tables").glob("*/*.csv")]
    assert len(files) == 6 + 14 + 10  # verdicts of profiles, tables, and those by kind of video
    for file in files:
        new = StringIO(to_csv(frames[file.relative_to(PUBLISHED / "tables").as_posix()]))
        both = [pd.read_csv(csv, na_values=[MISSING]) for csv in (file, new)]
        pd.testing.assert_frame_equal(*both, rtol=0, atol=0.011)


def test_what_stands_between_marks_of_a_readme_is_a_part_that_the_records_give() -> None:
    texts = "".join((ROOT / path).read_text() for path in READMES)
    marks = {mark for mark, _ in re.findall(r"<!-- ([\w-]+): [^>]*-->.*?(<!-- /\1 -->)", texts, re.S)}
    with chdir(ROOT):
        assert marks <= readme_parts(TABLES).keys()


def test_times_are_of_the_runs_of_table_2_alone(elsewhere: Path) -> None:
    """Those of Table 7 were made on another, slower machine."""
    for run in TABLES.runs(["2a", "7"], [0], "mini", Folders()):
        slow = run.tables == ("7",)
        made = replace(MADE, device="slow" if slow else "fast", seconds=600.0 if slow else 60.0)
        write([run], PUBLIC, made=made)
    text = readme_parts(TABLES)["durations"]
    assert text.startswith("By the records (fast), a run on one core takes 60 s (ResNet-50 on short clips)")


# ---- publish ----


def write(runs: Sequence[Run], at: Path, ranks: str = "01" * 9, **fields: Any) -> None:
    for run in runs:
        write_record(fresh_record(run, ranks, **fields), at)


def names_below(folder: Path) -> list[str]:
    return sorted(f"{path.parent.name}/{path.stem}" for path in folder.rglob("*.json"))


def test_publishing_copies_fresh_records_and_drops_stale_ones(elsewhere: Path) -> None:
    runs = TABLES.runs(["2a"], [0, 1], "smoke", Folders(results=LOCAL))
    first, *_ = runs
    write(runs, LOCAL)
    write_record(weights_record(first, "8x8", "0011"), LOCAL)
    write([replace(first, seed=7)], PUBLIC, fingerprint="of other settings")
    write([replace(first, seed=8)], PUBLIC)
    assert command("publish", "2a", "--seeds", "0,1", "--profile", "smoke", "--only", "r50-c2d").status == 0
    records = PUBLIC / "records/smoke"
    names = ["seed0", "seed1", "seed8", "weights-caffe2-8x8-00000000"]
    assert names_below(records) == [f"r50-c2d/{name}" for name in names]
    assert read_record(records / "r50-c2d/seed0.json") == first.record()
    done = command("publish", "2a", "--seeds", "0,1", "--profile", "smoke")
    assert (done.status, len(names_below(records))) == (0, 12)
    assert "profile smoke; seeds 0, 1; 18 test videos" in done.out


def test_other_tasks_are_published_alike_without_the_runs_that_they_start_from(elsewhere: Path) -> None:
    runs = TABLES.runs(["4", "5"], [0], "smoke", Folders(results=LOCAL))
    write(TABLES.complete(runs), LOCAL, ranks="", metrics={"map": 20.0, "box_ap": 12.3}, tested=9)
    assert command("publish", "4", "5", "--seeds", "0", "--profile", "smoke").status == 0
    assert {path.name for path in (PUBLIC / "records").iterdir()} == {"charades-smoke", "coco-smoke"}
    assert len(names_below(PUBLIC / "records")) == len(runs)
    assert "12.3" in (PUBLIC / "tables/coco-smoke/table5.md").read_text()
    assert "20.0" in (PUBLIC / "tables/charades-smoke/table4.md").read_text()


@pytest.mark.parametrize("fault", ["missing", "stale", "damaged"])
def test_an_incomplete_or_damaged_set_is_not_published(elsewhere: Path, fault: str) -> None:
    runs = TABLES.runs(["2a"], [0, 1], "smoke", Folders(results=LOCAL))
    write(runs, LOCAL)
    path, reason = runs[-1].record_path, f"no fresh record of {runs[-1].name}; run the sweep first"
    if fault == "missing":
        path.unlink()
    elif fault == "stale":
        write(runs[-1:], LOCAL, fingerprint="of other settings")
    else:
        path = path.with_name("seed5.json")  # which was not asked for
        path.write_text("{")
        reason = f"the record {path} is damaged"
    done = command("publish", "2a", "--seeds", "0,1", "--profile", "smoke")
    assert (done.status, f"not published: {reason}" in done.err) == (2, True)
    assert not PUBLIC.exists()


# ---- verify ----


def committed(folder: Path) -> None:
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "x"]):
        identity = ["-c", "user.name=x", "-c", "user.email=x"]
        subprocess.run(["git", *identity, *words], cwd=folder, check=True)


def test_a_published_number_that_no_record_gives_is_named(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"no {PUBLIC}/records here; run `verify` in the project's own folder" in command("verify").err
    monkeypatch.setattr("nlrepro.report.publish.published", lambda catalogue: {"mini-1000-steps": ["5"]})
    name = "coco-mini-1000-steps"
    shutil.copytree(PUBLISHED / "records" / name, PUBLIC / "records" / name)
    for readme in READMES:
        readme.write_text("<!-- table5-mini-1000-steps: by verify -->\n<!-- /table5-mini-1000-steps -->\n")
    assert "`verify` compares with git: fatal: not a git repository" in command("verify").err
    committed(elsewhere)
    assert command("verify").out.endswith("all that is published follows from the committed records\n")
    assert "| R50 baseline" in READMES[0].read_text()
    table, figure = PUBLIC / f"tables/{name}/table5.csv", PUBLIC / f"figures/{name}/table5.svg"
    table.write_text(table.read_text().replace("75.", "95.", 1))
    figure.unlink()
    committed(elsewhere)
    done = command("verify")
    assert done.status == 2
    assert done.err.startswith("error: not what the committed records give: ")
    assert sorted(re.findall(r"results/[^ ,;]+", done.err)) == [str(figure), str(table)]


THREE = [60.0, 61.0, 62.0]
SAME, GPU = "a CPU (model 85, AVX512), 2 cores", "NVIDIA H100"


def result(top1: float, ranks: str = "0", device: str = "another CPU, 2 cores") -> Record:
    made = replace(MADE, device=device)
    return record("r50-c2d", 0, ranks, metrics={"top1": top1, "top5": 99.0, "loss": 1.0}, made=made)


@pytest.mark.parametrize(
    ("now", "seeds", "words"),
    [
        (result(60.0), THREE, "the same digits: top1 60.0, top5 99.0, in all that was tested"),
        (result(60.0, "1"), THREE, r"top1 60.0.*, published top1 60.0.* inside of \[56.0, 66.0\]"),
        (result(64.0), [60.0], "one published seed gives no interval"),
        (result(67.0), THREE, r"not reproduced: .* 67.0 is outside of \[56.0, 66.0\]"),
        (result(60.0, "1", SAME), THREE, "not reproduced: .* the same versions give the same digits"),
        (result(60.0, "1", GPU), THREE, "inside of"),
    ],
)
def test_a_run_that_was_made_again_is_compared(now: Record, seeds: list[float], words: str) -> None:
    before = result(60.0, device=GPU if now.made.device == GPU else SAME)
    try:
        text = compared(before, now, [result(top1) for top1 in seeds])
    except BadInput as error:
        text = str(error)
    assert re.search(words, text)
    assert text.startswith("not reproduced") == words.startswith("not reproduced")


def test_a_published_run_is_made_again_with_what_it_starts_from(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def sweep(runs: Sequence[Run], jobs: int) -> None:
        trained.extend(run.name for run in runs)
        write(runs, runs[0].folders.results)

    monkeypatch.setattr("nlrepro.sweep.local.sweep", sweep)
    monkeypatch.setattr(TABLES, "modules", dict)
    write([TABLES.run("r50-c2d-long", 1, "smoke", Folders())], PUBLIC)
    done = command("verify", "r50-c2d-long", "--seed", "1", "--profile", "smoke")
    assert (done.status, trained) == (0, ["r50-c2d seed 1", "r50-c2d-long seed 1"])
    assert done.out.startswith("the same digits: ")
    done = command("verify", "r50-boxes", "--seed", "77")
    assert "no published record of r50-boxes seed 77 of the profile coco-mini" in done.err
