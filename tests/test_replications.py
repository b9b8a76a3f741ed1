"""The records of others: what fits is taken in, what does not is told, and local reports alone show it."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, evaluation, finding, record
from scipy import stats

from ablations.__main__ import main
from ablations.registry import TABLES
from nlrepro import evaluation as evaluations
from nlrepro import profiles
from nlrepro import record as records
from nlrepro.experiments import findings
from nlrepro.experiments.findings import Findings
from nlrepro.experiments.misfits import difference, misfit, other_numbers
from nlrepro.experiments.replicating import Gate, checked, default_name
from nlrepro.profile import Profile
from nlrepro.record import Metrics, Part, Record
from nlrepro.report.claims import Beats, Cell, Cheaper
from nlrepro.report.columns import groups
from nlrepro.report.judge import judge
from nlrepro.report.origins import Source
from nlrepro.report.replication import Replication
from nlrepro.report.statistics import one_more
from nlrepro.report.tables import TableRow, TableSpec, table_frame
from nlrepro.spec import RunSpec
from nlrepro.trial import Folders

PUBLISHED = ROOT / "results" / "published" / "records"
KEYS = [TABLES["2a"].spec(**row.value).key for row in TABLES["2a"].rows]
C2D = "r50-c2d"
LOCAL = Path("results/local")
HOME = findings.REPLICATIONS / "anna"
SPEC = TableSpec(
    table="2a",
    title="Instantiations",
    rows=(TableRow(label="C2D baseline", depth=50, key="base"), TableRow(label="Gaussian", depth=50, key="gaussian")),
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the published records of Table 2a."""
    monkeypatch.chdir(tmp_path)
    for key in KEYS:
        shutil.copytree(PUBLISHED / "mini" / key, findings.PUBLISHED / "records" / "mini" / key)
    return tmp_path


def elsewhere(found: Record) -> Record:
    """The same run as another machine might give it: other videos are right, as many of them."""
    metrics, made = found.metrics, found.made
    kinds = {kind: replace(part, ranks=part.ranks[1:] + part.ranks[:1]) for kind, part in metrics.kinds.items()}
    turned = replace(metrics, ranks=metrics.ranks[1:] + metrics.ranks[:1], kinds=kinds)
    return replace(found, metrics=turned, made=replace(made, date="2027-01-02T03:04:05+00:00", device="arm64 CPU, 8 cores"))


@pytest.fixture
def theirs(project: Path) -> Path:
    """The results of another machine: seed 0 of the rows of Table 2a."""
    for key in KEYS:
        records.write(elsewhere(published(key)), project / "anna" / "results" / "local")
    return project / "anna" / "results" / "local"


def published(key: str, seed: int = 0) -> Record:
    return records.read(records.record_path(PUBLISHED.parent, "mini", key, seed))


def gathered(results: Path = LOCAL, profile: str = "mini") -> Findings:
    return findings.gather(TABLES, profiles.load(profile), Folders(results=results))


def lying() -> list[str]:
    """What lies in the folder of replications."""
    return sorted(str(path.relative_to(findings.REPLICATIONS)) for path in findings.REPLICATIONS.rglob("*") if path.is_file())


def said(capfd: pytest.CaptureFixture[str], *words: str | Path, status: int = 0) -> list[str]:
    """The lines that `import-records` prints."""
    capfd.readouterr()
    assert main(["import-records", *map(str, words)]) == status
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return (out + err).splitlines()


@pytest.mark.parametrize("below", [".", "records", "records/mini"])
def test_a_folder_of_results_its_records_and_a_profiles_are_all_taken_in(
    theirs: Path, below: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert said(capfd, theirs / below) == [
        f"replication anna: 5 taken, 0 there already, 0 not taken; `report` shows what is in {HOME}"
    ]
    assert lying() == sorted(f"anna/records/mini/{key}/seed0.json" for key in KEYS)
    for path in lying():
        assert (findings.REPLICATIONS / path).read_bytes() == (theirs / Path(path).relative_to("anna")).read_bytes()


def test_a_second_time_nothing_is_written_and_a_new_record_is_added(theirs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said(capfd, theirs)
    before = {path: path.stat().st_mtime_ns for path in HOME.rglob("*.json")}
    assert said(capfd, theirs)[0].startswith("replication anna: 0 taken, 5 there already, 0 not taken; ")
    records.write(elsewhere(published(C2D, 1)), theirs)
    assert said(capfd, theirs)[0].startswith("replication anna: 1 taken, 5 there already, 0 not taken; ")
    assert before.items() <= {path: path.stat().st_mtime_ns for path in HOME.rglob("*.json")}.items()
    assert len(lying()) == 6


def with_settings(found: Record, **recipe: object) -> Record:
    """As a run with another recipe would record it."""
    other = found.settings | {"recipe": found.settings["recipe"] | recipe}
    return replace(found, settings=other, fingerprint=records.digest(other))


def edited(found: Record, **recipe: object) -> Record:
    """With settings that somebody has typed."""
    return replace(with_settings(found, **recipe), fingerprint=found.fingerprint)


def measured(found: Record, **metrics: Any) -> Record:
    return replace(found, metrics=replace(found.metrics, **metrics))


def of_kind(found: Record, **fields: Any) -> Record:
    kinds = found.metrics.kinds
    return measured(found, kinds=kinds | {"near": replace(kinds["near"], **fields)})


Change = Callable[[Record], Record]
UNFIT: list[tuple[Change, str]] = [
    (lambda r: with_settings(r, steps=600), "other settings: recipe.steps: 300 here, 600 there"),
    (lambda r: with_settings(r, colour="red"), "other settings: recipe.colour: only there"),
    (
        lambda r: edited(r, steps=600),
        "its settings are not those of its fingerprint (recipe.steps: 300 here, 600 there); it was ch",
    ),
    (lambda r: replace(r, fingerprint="0" * 16), "its settings are not those of its fingerprint; it was changed by hand"),
    (
        lambda r: replace(r, fingerprint="0" * 16, settings={}),
        "other settings, which it does not keep: fingerprint 0e373a57e1b75269",
    ),
    (lambda r: replace(r, spec=RunSpec(clip="long")), "its spec is not that of its key; it was changed by hand"),
    (lambda r: measured(r, top1=r.metrics.top1 + 0.02), "metrics.top1: 64.2200 there, its ranks give 64.2000"),
    (lambda r: measured(r, top1=r.metrics.top1 - 0.02), "metrics.top1: 64.1800 there, its ranks give 64.2000"),
    (lambda r: measured(r, top1=nan), "metrics.top1: nan there, its ranks give 64.2000"),
    (lambda r: measured(r, top5=100.0), "metrics.top5: 100.0000 there, its ranks give 99.9200"),
    (lambda r: measured(r, loss=inf), "metrics.loss: inf, with which no run ends"),
    (lambda r: measured(r, ranks=r.metrics.ranks[:-1]), "metrics.ranks: 5000 digits expected, one a test video, got 4999 char"),
    (
        lambda r: measured(r, ranks="x" + r.metrics.ranks[1:]),
        "metrics.ranks: 5000 digits expected, one a test video, got 5000 ch",
    ),
    (lambda r: measured(r, videos=10**18), "metrics.ranks: 1000000000000000000 digits expected, one a test video, got 5000 ch"),
    (lambda r: of_kind(r, ranks=r.metrics.kinds["near"].ranks[1:]), "metrics.kinds: their ranks are not those of all videos"),
    (lambda r: of_kind(r, top1=90.0), "metrics.kinds.near.top1: 90.0000 there, its ranks give 77.8633"),
    (
        lambda r: replace(r, videos="000000000000"),
        "other videos: 5000 test videos, digest ef5c25d08590 here, 5000 test videos, digest 0",
    ),
    (
        lambda r: replace(published(C2D), tables=()),
        f"a copy of {findings.PUBLISHED}/records/mini/{C2D}/seed0.json, no replication",
    ),
    (lambda r: replace(r, key="r50-c3d"), "unknown run key 'r50-c3d', which no table here has"),
    (lambda r: replace(r, profile="anew"), "unknown profile 'anew'; give its TOML file as --profile"),
]


@pytest.mark.parametrize(("change", "reason"), UNFIT, ids=[reason[:45] for _, reason in UNFIT])
def test_a_record_that_does_not_fit_is_told_and_the_others_are_taken(
    theirs: Path, change: Change, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = records.record_path(theirs, "mini", C2D, 0)
    wrong = change(records.read(path))
    path.unlink()
    records.write(wrong, theirs)
    refused, total = said(capfd, theirs)
    assert refused.startswith(f"not taken: {wrong.profile}/{wrong.key}/seed0.json: {reason}")
    assert total.startswith("replication anna: 4 taken, 0 there already, 1 not taken; ")
    assert len(lying()) == 4


def test_damaged_and_misplaced_records_and_tests_of_weights_are_told(theirs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paths = [records.record_path(theirs, "mini", key, 0) for key in KEYS]
    paths[0].write_bytes(paths[0].read_bytes()[:500])
    shutil.copy(paths[1], paths[1].with_name("seed7.json"))
    shutil.copy(paths[1], paths[1].with_name("seed0_old.json"))
    evaluations.write(evaluation(RunSpec(), profiles.load("mini"), "32x2", "0001"), theirs)
    damaged, misplaced, tests, total = said(capfd, theirs)
    assert re.search(rf"not taken: mini/{C2D}/seed0.json: .*is damaged: .*; ask for it again$", damaged)
    assert re.search(rf"seed7.json is damaged: its content is that of mini/{KEYS[1]}/seed0.json; ask for it again$", misplaced)
    assert tests == "not taken: 1 tests of given weights (weights-*.json): only runs are replicated"
    assert total.startswith("replication anna: 4 taken, 0 there already, 2 not taken; ")


def test_where_nothing_fits_nothing_is_written(theirs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for key in KEYS:
        records.write(published(key), theirs)
    *refused, last = said(capfd, theirs, status=2)
    assert len(refused) == 5
    assert all("no replication" in line for line in refused)
    assert last == f"error: none of the 5 records in {theirs} is taken; why is said of each above, nothing was written"
    assert not findings.REPLICATIONS.exists()


@pytest.mark.parametrize("folder", ["nowhere", "empty", "anna"])
def test_a_folder_without_records_in_its_places_is_told(theirs: Path, folder: str, capfd: pytest.CaptureFixture[str]) -> None:
    (theirs.parents[2] / "empty").mkdir()
    (line,) = said(capfd, folder, status=2)
    assert line.startswith(f"error: no records in {folder}; give a results/local, the records in it, or a profile's folder")


def test_ones_own_records_and_those_of_another_replication_are_copies(theirs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said(capfd, theirs)
    assert f": a copy of {HOME}/records/mini/" in said(capfd, theirs, "--name", "bob", status=2)[0]
    records.write(replace(elsewhere(published(C2D, 1)), seed=9), LOCAL)
    line = said(capfd, "results/local", "--name", "me", status=2)[0]
    assert line == f"not taken: mini/{C2D}/seed9.json: a copy of results/local/records/mini/{C2D}/seed9.json, no replication"


def test_the_same_digits_made_elsewhere_are_a_replication(theirs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    records.write(replace(published(C2D), made=elsewhere(published(C2D)).made), theirs)
    assert said(capfd, theirs)[0].startswith("replication anna: 5 taken, ")
    assert "; the published digits in 1 of 5 runs; " in gathered().tables["2a"].notes[-1]


def test_one_run_twice_under_two_seeds_is_taken_once(theirs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    records.write(replace(elsewhere(published(C2D)), seed=5), theirs)
    refused, total = said(capfd, theirs)
    assert refused == f"not taken: mini/{C2D}/seed5.json: a copy of {HOME}/records/mini/{C2D}/seed0.json, no replication"
    assert total.startswith("replication anna: 5 taken, 0 there already, 1 not taken; ")


def test_another_record_of_a_run_never_replaces_the_one_that_lies_there(theirs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said(capfd, theirs)
    before = (HOME / "records" / "mini" / C2D / "seed0.json").read_bytes()
    records.write(elsewhere(elsewhere(published(C2D))), theirs)
    refused, total = said(capfd, theirs)
    assert refused.endswith(
        f"{HOME}/records/mini/{C2D}/seed0.json is another record of this run; give another --name, or remove that"
    )
    assert total.startswith("replication anna: 0 taken, 4 there already, 1 not taken; ")
    assert (HOME / "records" / "mini" / C2D / "seed0.json").read_bytes() == before


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/home/anna/results/local", "anna"),
        ("Anna B./records/mini", "Anna-B"),
        ("results/local", "a-laptop-CPU"),
        (".", "a-laptop-CPU"),
        ("../mini", "a-laptop-CPU"),
    ],
)
def test_the_name_is_that_of_the_folder_or_the_device(folder: str, name: str) -> None:
    assert default_name(Path(folder), [record("base", 0, "01")]) == name
    assert checked(name) == name


@pytest.mark.parametrize("name", ["published", "local", "yours", "a/b", "..", "a b", "-a", "\N{GREEK SMALL LETTER ALPHA}", ""])
def test_no_other_name_is_a_name(theirs: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    (line,) = said(capfd, theirs, f"--name={name}", status=2)
    assert line.startswith("error: --name: letters, digits and dashes between them, but none of published, local, ")
    assert not findings.REPLICATIONS.exists()


def test_a_profile_of_ones_own_is_known_by_its_file(theirs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("wide.toml").write_text('base = "mini"\nname = "wide"\n[recipes.short]\nsteps = 10\n')
    wide = profiles.load("wide.toml")
    found = records.settings(RunSpec(), wide)
    other = replace(elsewhere(published(C2D)), profile="wide", settings=found, fingerprint=records.digest(found))
    path = records.write(other, theirs)
    assert f"wide/{C2D}/seed0.json: unknown profile 'wide'" in said(capfd, path.parents[1], status=2)[0]
    assert said(capfd, path.parents[1], "--profile", "wide.toml")[0].startswith("replication anna: 1 taken")


def real(spec: RunSpec, profile: Profile, seed: int, videos: str | None, ranks: str) -> Record:
    found = records.settings(spec, profile)
    metrics = replace(record("", 0, ranks).metrics, top1=100.0 * ranks.count("0") / len(ranks), top5=100.0)
    plain = replace(record(spec.key, seed, ranks), profile="paper", spec=spec, settings=found, fingerprint=records.digest(found))
    return replace(plain, videos=videos, metrics=metrics)


def test_real_videos_may_be_others_than_here_but_are_the_same_in_all_of_a_replication(project: Path) -> None:
    """Everyone's Kinetics lacks other videos; rows of one table are compared on the same ones."""
    paper = profiles.load("paper")
    records.write(real(RunSpec(), paper, 0, "aaa", "0100"), findings.PUBLISHED)
    gate = Gate.of(TABLES, paper, Folders(), HOME, {"paper"})
    first, second, fewer = (
        real(RunSpec(), paper, s, v, r) for s, v, r in ((0, "bbb", "01010"), (1, "ccc", "01011"), (2, None, "0"))
    )
    assert gate.objection(first) is None
    assert gate.keep(first)
    assert gate.objection(second) == "other videos: 5 test videos, digest bbb here, 5 test videos, digest ccc there"
    assert gate.objection(replace(second, videos=None)) is None
    assert gate.objection(fewer) == "other videos: 5 test videos, digest bbb here, 1 test videos, digest None there"
    assert gate.objection(replace(second, spec=replace(RunSpec(), clip="long"))) is not None


def test_classes_that_score_the_same_may_lower_the_top_1_of_half_precision_only() -> None:
    found = Metrics(top1=49.75, top5=100.0, loss=1.0, videos=400, views=1, ranks="01" * 200)
    assert other_numbers(found, 0.001) == "metrics.top1: 49.7500 there, its ranks give 50.0000"
    assert other_numbers(found, 0.5) is None
    assert other_numbers(replace(found, top1=50.25), 0.5) == "metrics.top1: 50.2500 there, its ranks give 50.0000"
    mini = profiles.load("mini")
    half = replace(mini, recipes={kind: replace(recipe, precision="bf16-mixed") for kind, recipe in mini.recipes.items()})
    tied = {
        name: measured(replace(published(C2D), settings={}, fingerprint=records.fingerprint(RunSpec(), p)), top1=64.0)
        for name, p in (("exact", mini), ("half", half))
    }
    assert misfit(tied["exact"], RunSpec(), mini) == "metrics.top1: 64.0000 there, its ranks give 64.2000"
    assert misfit(tied["half"], RunSpec(), half) is None


def test_the_first_difference_of_settings_is_named_with_its_path() -> None:
    here = {"recipe": {"steps": 300, "lr": 0.1}, "parent": {"net": {"shown": [4, 12]}}}
    assert difference(here, here) is None
    assert difference(here, here | {"parent": {"net": {"shown": [4, 13]}}}) == "parent.net.shown: [4, 12] here, [4, 13] there"
    assert difference(here, here | {"parent": None}) == 'parent: {"net": {"shown": [4, 12]}} here, null there'
    assert difference(here, here | {"recipe": {"lr": 0.1}}) == "recipe.steps: only here"
    assert difference({"lr": 1}, {"lr": 1.0}) == "lr: 1 here, 1.0 there"  # as their digests differ
    assert difference({"lr": True}, {"lr": 1}) == "lr: true here, 1 there"
    assert difference({"sha": "a" * 99}, {"sha": "b" * 99}) == f'sha: "{"a" * 39} here, "{"b" * 39} there'


def test_the_interval_of_one_more_value_covers_it_in_95_percent_of_cases() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.normal(60, 2, (4000, 6))
    ends = [one_more([*values[:5]]) for values in drawn]
    inside = [low <= value <= high for (low, high), value in zip(filter(None, ends), drawn[:, 5], strict=True)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.01)
    assert one_more([1.0, 2.0, 3.0]) == pytest.approx((2 - (half := stats.t.ppf(0.975, 2) * sqrt(4 / 3)), 2 + half))
    assert one_more([1.0]) is None
    assert one_more([]) is None


def seeds(key: str, *ranks: str) -> list[Record]:
    found = [record(key, seed, text) for seed, text in enumerate(ranks)]
    return [measured(r, top1=100.0 * r.metrics.ranks.count("0") / len(r.metrics.ranks)) for r in found]


def of(records: Sequence[Record]) -> Source:
    return Source(name="replication anna", folder=Path(), records=tuple(records))


def test_the_line_under_a_table_says_how_a_replication_compares() -> None:
    before = seeds("base", "0011", "0111", "0001") + seeds("gaussian", "0001", "0001", "0001")
    claims = [
        Beats(table="2a", text="", pairs=((Cell("2a", 50, "Gaussian"), Cell("2a", 50, "C2D baseline")),)),
        Cheaper(table="2a", text="", pairs=()),
    ]
    theirs = seeds("base", "0011") + seeds("gaussian", "0000")
    line = Replication(name="anna", source=of(theirs), verdicts=judge(claims[:1], [SPEC], theirs, 3)).line(SPEC, before)
    assert line == (
        "Replication anna: 2 of 2 rows; seed 0; the published digits in 1 of 2 runs; 1 of 2 accuracies lie where 95 % of further "
        "published seeds would (outside: Gaussian seed 0); its verdicts: undecided 1 (preliminary: 1 seed of 3); 2024-01-01; "
        "a laptop CPU."
    )
    more = [*theirs, replace(theirs[0], seed=1)]  # which one row alone has
    assert (
        Replication(name="anna", source=of(more), verdicts=[])
        .line(SPEC, before)
        .startswith("Replication anna: 2 of 2 rows; seed 0; ")
    )
    alone = Replication(name="anna", source=of(theirs[:1]), verdicts=judge(claims[:1], [SPEC], theirs[:1], 3))
    assert alone.line(SPEC, []) == "Replication anna: 1 of 2 rows; seed 0; 2024-01-01; a laptop CPU."
    assert "1 of 1 runs; 2024" in alone.line(SPEC, before[:1])


def test_replications_are_columns_of_text_latex_and_page(tmp_path: Path) -> None:
    mine, theirs = table_frame(SPEC, seeds("base", "0011")), table_frame(SPEC, seeds("base", "0111"))
    found = replace(finding(SPEC, mine, mine), replications={"anna": theirs, "b-2": theirs})
    names = [
        f"{who} {what}"
        for who in ("paper", "published", "yours", "replication anna", "replication b-2")
        for what in ("top-1", "delta")
    ]
    assert list(found.shown.columns) == ["row", *names]
    assert found.shown["replication anna top-1"][0].startswith("25.0 [")
    found.write(tmp_path, [])
    for ending in ("md", "tex"):
        assert "replication anna top-1" in (tmp_path / f"table2a.{ending}").read_text()
    shown = groups(SPEC, mine, mine, {}, found.replications)
    assert [group.name for group in shown] == ["paper", "published", "yours", "replication anna", "replication b-2"]
    assert shown[3].columns[0].cells == ["25.0", "--"]


def test_local_findings_show_a_replication_and_published_ones_do_not(theirs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = {name: table.summary([*table.notes]) for name, table in gathered(findings.PUBLISHED).tables.items()}
    said(capfd, theirs)
    assert before == {name: table.summary([*table.notes]) for name, table in gathered(findings.PUBLISHED).tables.items()}
    found = gathered().tables
    text = found["2a"].summary([*found["2a"].notes])
    assert "published delta    yours top-1    yours delta    replication anna top-1    replication anna delta\n" in text
    assert "\nReplication anna: 5 of 5 rows; seed 0; the published digits in 0 of 5 runs; 5 of 5 accuracies lie where " in text
    assert text.endswith("; 2027-01-02; arm64 CPU, 8 cores.\n")
    assert found["2b"].notes[-1].startswith("Replication anna: 2 of 5 rows")  # the baseline and res4 are rows of both


@pytest.mark.rare
def test_reports_write_a_replication_where_it_is_local_and_nothing_of_it_where_it_is_published(
    theirs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["report", "2a", "--results"]
    assert main([*words, str(findings.PUBLISHED)]) == 0
    made = {path: path.read_bytes() for path in findings.PUBLISHED.rglob("*") if path.is_file()}
    said(capfd, theirs)
    assert main([*words, str(findings.PUBLISHED)]) == 0
    assert made == {path: path.read_bytes() for path in findings.PUBLISHED.rglob("*") if path.is_file()}
    assert main([*words, "results/local"]) == 0
    for place in ("tables/mini/table2a.md", "tables/mini/table2a.tex", "report.html"):
        assert "replication anna top-1" in (LOCAL / place).read_text()


def test_where_a_replication_has_no_records_it_is_not_shown(theirs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said(capfd, theirs)
    found = gathered()
    assert [name for name, table in found.tables.items() if table.replications] == ["2a", "2b", "2c", "2d", "2f"]
    start1 = gathered(profile="mini-start1")
    assert not any(table.replications for table in start1.tables.values())


def test_verdicts_come_from_ones_own_records_alone(theirs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = gathered().verdicts
    said(capfd, theirs)
    found = gathered()
    assert [verdict.line for verdict in found.verdicts] == [verdict.line for verdict in before]
    assert "its verdicts: holds 2 (preliminary: 1 seed of 5); " in found.tables["2a"].notes[-1]


def test_stale_and_damaged_records_of_a_replication_are_told(theirs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said(capfd, theirs)
    stale, damaged = (records.record_path(HOME, "mini", key, 0) for key in KEYS[:2])
    stale.write_text(json.dumps(json.loads(stale.read_text()) | {"fingerprint": "0" * 16}))
    damaged.write_text("{")
    found = gathered()
    assert found.tables["2a"].replications["anna"]["top1"].notna().tolist() == [False, False, True, True, True]
    assert found.left_out[0] == f"of other settings than now, left out: {stale}"
    assert f"the record {damaged} is damaged" in found.left_out[1]
    assert found.stale == []


def test_a_replication_can_be_reported_on_its_own(theirs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said(capfd, theirs)
    found = gathered(HOME)
    assert len(found.records) == 5
    assert not any(table.replications for table in found.tables.values())


def test_a_kind_without_videos_is_no_flaw() -> None:
    kinds = {"near": Part(top1=0.0, ranks=""), "far": Part(top1=50.0, ranks="10")}
    assert other_numbers(Metrics(top1=50.0, top5=100.0, loss=1.0, videos=2, views=1, ranks="01", kinds=kinds), 0.001) is None
