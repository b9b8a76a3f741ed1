"""What is published is what the report makes of the published records."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from conftest import record

from ablations import charades, detection, keypoints
from ablations.__main__ import main
from ablations.registry import TABLES
from nlrepro import record as records
from nlrepro.beyond.experiment import Experiment
from nlrepro.beyond.reporting import fresh
from nlrepro.beyond.tables import frame
from nlrepro.config import load_profile, profile_names
from nlrepro.experiments import findings, publishing, reporting
from nlrepro.experiments.again import compared
from nlrepro.files import BadInput
from nlrepro.record import Record
from nlrepro.report.formats import with_interval
from nlrepro.report.queries import csv_path, read_queries, write_queries
from nlrepro.report.readme import pasted, without_heading
from nlrepro.trial import Folders

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "results" / "published"
FOLDERS = sorted(path.name for path in (PUBLISHED / "records").glob("*") if path.is_dir())
PROFILES = [name for name in FOLDERS if name in profile_names()]  # of Table 2
HEADS = {"4": charades, "5": detection, "6": keypoints}
every_profile = pytest.mark.parametrize("profile", PROFILES)


def tables(profile: str) -> list[str]:
    """The tables that are published."""
    return [name for name in TABLES if (PUBLISHED / "tables" / profile / f"table{name}.csv").is_file()]


def test_everything_that_is_published_follows_from_the_published_records(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["verify"]) == 0
    assert "parts of READMEs follow from the records" in capsys.readouterr().out


@pytest.mark.rare
def test_a_published_number_that_no_record_gives_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(PUBLISHED / "records" / "mini-start1", findings.PUBLISHED / "records" / "mini-start1")
    for readme in publishing.READMES:
        readme.parent.mkdir(parents=True, exist_ok=True)
        readme.touch()
    reporting.report(TABLES, ["2a"], load_profile("mini-start1"), Folders(results=findings.PUBLISHED))
    measured = csv_path(findings.PUBLISHED, "mini")
    write_queries(read_queries(csv_path(PUBLISHED, "mini")), measured)
    assert main(["verify"]) == 0
    measured.with_suffix(".md").write_text("")
    table = findings.PUBLISHED / "tables" / "mini-start1" / "table2a.md"
    table.write_text(table.read_text().replace("85.", "95.", 1))
    (findings.PUBLISHED / "figures" / "mini-start1" / "table2a.svg").unlink()
    capsys.readouterr()
    assert main(["verify"]) == 2
    said = capsys.readouterr().err
    given = [measured.with_suffix(".md"), f"{findings.PUBLISHED}/figures/mini-start1/table2a.svg", table]
    assert f"give: {', '.join(map(str, given))}; `publish`" in said


def test_where_nothing_is_published_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["verify"]) == 2
    assert "no results/published/records here; run `verify` in the project's own folder" in capsys.readouterr().err


SAME, GPU = "a CPU (model 85, AVX512), 2 cores", "NVIDIA H100"


def of_accuracy(top1: float, ranks: str = "0", device: str = "another CPU, 2 cores") -> Record:
    plain = record("r50-c2d", 0, ranks)
    return replace(plain, metrics=replace(plain.metrics, top1=top1), made=replace(plain.made, device=device))


@pytest.mark.parametrize(
    ("now", "seeds", "words"),
    [
        (of_accuracy(60.0), [60.0, 61.0, 62.0], "the same digits: top-1 60.0 %, in all that was tested"),
        (
            of_accuracy(60.0, "1"),
            [60.0, 61.0, 62.0],
            r"top-1 60.0 % on another CPU, 2 cores, published top-1 60.0 % .* inside of \[56.0, 66.0\]",
        ),
        (of_accuracy(64.0), [60.0], "one published seed tells no interval"),
        (of_accuracy(67.0), [60.0, 61.0, 62.0], r"not reproduced: .* 67.0 is outside of \[56.0, 66.0\]"),
        (of_accuracy(60.0, "1", SAME), [60.0, 61.0, 62.0], "not reproduced: .* the same versions give the same digits"),
        (of_accuracy(60.0, "1", GPU), [60.0, 61.0, 62.0], "inside of"),
    ],
)
def test_a_run_that_was_made_again_is_compared(now: Record, seeds: list[float], words: str) -> None:
    before, known = of_accuracy(60.0, device=GPU if now.made.device == GPU else SAME), [of_accuracy(top1) for top1 in seeds]
    try:
        said = compared(before, now, lambda record: record.metrics.top1, known)
    except BadInput as error:
        said = str(error)
    assert re.search(words, said)


@pytest.mark.usefixtures("as_in_a_sweep")
def test_a_published_run_is_trained_again_with_what_it_starts_from(
    swept: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(swept / "records", findings.PUBLISHED / "records")
    assert main(["verify", "r50-i3d-3x1x1-long", "--seed", "1", "--profile", "smoke", "--data", str(data)]) == 0
    said = capsys.readouterr().out
    assert "r50-i3d-3x1x1 seed 1 from step 0 of 4\n" in said
    assert "r50-i3d-3x1x1-long seed 1 from step 0 of 3\n" in said
    assert said.splitlines()[-1].startswith("the same digits: top-1 ")


def test_a_run_that_is_not_published_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["verify", "r50-c2d", "--seed", "77"]) == 2
    assert "no published record of r50-c2d seed 77 of the profile mini" in capsys.readouterr().err


@every_profile
def test_published_records_are_of_the_profile_as_it_is_now(profile: str) -> None:
    jobs = TABLES.complete(TABLES.values(), [0], load_profile(profile), Folders(results=PUBLISHED))
    runs = {job.run.key: job.run for job in jobs}
    for found in records.read_all(PUBLISHED, profile):
        assert runs[found.key].has_settings_of(found), (found.key, found.seed)


@every_profile
def test_a_published_table_has_all_its_rows_with_the_declared_seeds(profile: str) -> None:
    found, declared = records.read_all(PUBLISHED, profile), load_profile(profile).seeds
    for name in tables(profile):
        for row in TABLES[name].rows:
            assert tuple(sorted(r.seed for r in found if r.key == TABLES[name].spec(**row.value).key)) == declared, (
                name,
                row.label,
            )


def others() -> list[tuple[str, str]]:
    """The tables of other tasks that are published, with the profile."""
    places = [(each, profile) for each in TABLES.beyond.values() for profile in ("mini", *each.variants)]
    return [
        (each.table, profile)
        for each, profile in places
        if (PUBLISHED / "tables" / (each.folder(profile) or "") / f"table{each.table}.csv").is_file()
    ]


@pytest.mark.parametrize(("name", "profile"), others())
def test_published_records_of_other_tasks_are_of_their_profiles_as_they_are_now(name: str, profile: str) -> None:
    experiment = TABLES.beyond[name]
    good, stale = fresh(experiment, experiment.task.load(profile), Folders(results=PUBLISHED))
    assert good
    assert not stale


def test_the_readmes_show_what_the_published_records_give() -> None:
    """Tables, verdicts, durations, variants: each stands in one of them at least, and nobody has typed it."""
    texts = {path: (ROOT / path).read_text() for path in publishing.READMES}
    found = publishing.bodies(TABLES)
    marks = [f"table{name}" if profile == "mini" else f"table{name}-{profile}" for name, profile in others()]
    assert found.keys() == {"verdicts", "durations", "variants", "queries", *map("table{}".format, TABLES), *marks}
    for mark, body in found.items():
        assert any(body in text for text in texts.values()), mark
        assert {path: pasted(text, mark, body) for path, text in texts.items()} == texts


@every_profile
def test_verdicts_are_given_for_the_declared_seeds(profile: str) -> None:
    found = findings.gather(TABLES, load_profile(profile), Folders(results=PUBLISHED))
    measured = [verdict for verdict in found.verdicts if verdict.difference]
    assert measured
    assert not [verdict.line for verdict in measured if verdict.preliminary]


def test_pasting_replaces_what_stands_between_the_marks_and_nothing_else() -> None:
    readme = "before\n<!-- table2a: by x -->\nold\n<!-- /table2a -->\nafter <!-- table2b: y -->\nz\n<!-- /table2b -->\n"
    body = without_heading("# heading\n\n| new \\1 |\n")
    once = pasted(readme, "table2a", body)
    assert once == readme.replace("old\n", "\n| new \\1 |\n\n")
    assert pasted(once, "table2a", body) == once


def head(experiment: Experiment) -> list[str]:
    """What the docstring of one of Tables 4 to 6 says of cost and result, by the published records."""
    profile = experiment.task.load("mini")
    experiment = experiment.within(profile)
    records = fresh(experiment, profile, Folders(results=PUBLISHED))[0]
    found = frame(experiment, records).set_index("key")
    taken = [sum(record.made.seconds for record in records if record.seed == seed) for seed in profile.seeds]
    lines = [f"Cost: {len(found)} runs a seed, {median(taken) / 120:.1f} minutes on two cores (mini, by the published records)"]
    for line in experiment.lines:
        row, names = found.loc[line.spec.key], [(measure, experiment.measures[measure]) for measure in experiment.main]
        if line is experiment.baseline(line):
            numbers = ", ".join(f"{title} {row[measure]:.1f}" for measure, title in names)
            lines.append(f"Expected (mini, {row.seeds} seeds), R{line.depth}: {line.label} {numbers}")
        else:
            ends = [[row[f"{measure}_delta{end}"] for end in ("", "_low", "_high")] for measure, _ in names]
            lines.append(f"{line.label} {', '.join(with_interval(*each, sign=True) for each in ends)}")
    return lines


@pytest.mark.parametrize("name", [name for name in HEADS if (name, "mini") in others()])
def test_the_head_of_another_task_s_table_tells_what_the_published_records_give(name: str) -> None:
    said = " ".join(str(HEADS[name].__doc__).split())
    for line in head(TABLES.beyond[name]):
        assert line in said, line
