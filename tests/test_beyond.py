"""What Tables 4 to 6 share: intervals over seeds, verdicts, tables, records; and that the registry and the command line agree."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import MADE
from scipy import stats

from ablations.__main__ import main
from ablations.detection import DETECTION
from ablations.keypoints import KEYPOINTS
from ablations.registry import TABLES
from nlrepro.beyond import outcome
from nlrepro.beyond.comparing import judge, mean, over_seeds
from nlrepro.beyond.experiment import Experiment
from nlrepro.beyond.outcome import Outcome, Score
from nlrepro.beyond.reporting import board, publish, report
from nlrepro.beyond.tables import draw, frame
from nlrepro.cli.verbs import BEYOND
from nlrepro.experiments import again, findings
from nlrepro.experiments.reporting import boards
from nlrepro.files import BadInput
from nlrepro.record import Cost
from nlrepro.stored import Damaged
from nlrepro.trial import Folders

ALL = pytest.mark.parametrize("experiment", TABLES.beyond.values(), ids=TABLES.beyond)


def found(key: str, seed: int, **metrics: float) -> Outcome:
    """A record of nothing but its measures."""
    return Outcome(
        key=key,
        profile="coco-mini",
        seed=seed,
        tables=("5",),
        spec={},
        fingerprint="",
        settings={},
        metrics=metrics,
        tested=10,
        curve=(Score(step=1, train_loss=1.0, value=2.0),),
        cost=Cost(params=1, macs=1),
        made=MADE,
        data=None,
    )


def of_r50(values: Sequence[tuple[float, float]]) -> list[Outcome]:
    """(AP without the block, AP with it), a pair a seed; boxes and masks alike."""
    return [
        found(key, seed, box_ap=ap, mask_ap=ap)
        for seed, pair in enumerate(values)
        for key, ap in zip(("r50-boxes", "r50-boxes-nl"), pair, strict=True)
    ]


def test_the_command_line_knows_which_tables_are_of_other_tasks() -> None:
    assert tuple(TABLES.beyond) == BEYOND


def test_an_interval_over_seeds_is_student_s() -> None:
    values = [1.0, 2.5, 3.0, 2.0]
    interval, test = over_seeds(values), stats.ttest_1samp(values, 0.0)
    assert interval
    ends = test.confidence_interval(0.95)
    assert (interval.mean, interval.low, interval.high, interval.p) == pytest.approx((2.125, ends.low, ends.high, test.pvalue))


def test_an_interval_of_a_precision_ends_at_100() -> None:
    interval = mean(of_r50([(0.0, 90.0), (0.0, 99.0), (0.0, 98.0)]), "r50-boxes-nl", "box_ap")
    assert interval
    assert (interval.low < 95, interval.high) == (True, 100.0)


def test_one_seed_decides_nothing() -> None:
    verdict = judge(DETECTION, of_r50([(30.0, 60.0)]), declared=1)[0]
    assert (verdict.verdict, verdict.difference and verdict.difference.mean) == ("undecided", 30.0)
    assert "+30.0, p = 0.5" in verdict.line  # no interval


@pytest.mark.parametrize(
    ("gains", "word"), [([3.0, 4.0, 5.0], "holds"), ([-3.0, -4.0, -5.0], "fails"), ([-9.0, 4.0, 5.0], "undecided")]
)
def test_differences_are_paired_by_seed(gains: list[float], word: str) -> None:
    """Seeds differ by far more than what the block gains."""
    verdict = judge(DETECTION, of_r50([(10.0 * seed, 10.0 * seed + gain) for seed, gain in enumerate(gains)]), declared=3)[0]
    assert (verdict.verdict, verdict.preliminary) == (word, "")
    assert verdict.difference
    assert verdict.difference.mean == pytest.approx(np.mean(gains))


def test_all_measures_of_a_sentence_must_be_better() -> None:
    records = [replace(r, metrics=r.metrics | {"mask_ap": 50.0 - r.metrics["mask_ap"]}) for r in of_r50([(1, 3), (2, 5), (3, 5)])]
    assert judge(DETECTION, records, declared=3)[0].verdict == "fails"


def test_fewer_seeds_than_declared_are_preliminary_and_missing_rows_undecided() -> None:
    r50, r101, *_ = judge(DETECTION, of_r50([(1.0, 4.0), (1.0, 4.1)]), declared=5)
    assert (r50.verdict, r50.preliminary) == ("holds", "2 seeds of 5")
    assert (r101.verdict, r101.difference, r101.preliminary) == ("undecided", None, "")


@pytest.mark.parametrize(("share", "line"), [(1.04, "holds (adds 4.0 %"), (1.06, "fails (adds 6.0 %")])
def test_what_a_block_adds_is_counted_in_every_profile(share: float, line: str) -> None:
    """Of a sentence about several nets, the one that takes most decides."""
    without = DETECTION.claims[-1].pairs[0][1]
    dear = {DETECTION.claims[-1].pairs[0][0]: round(share * DETECTION.macs[without])}
    mini = replace(DETECTION, macs=DETECTION.macs | dear).within(DETECTION.task.load("mini"))
    verdict = judge(mini, [], 5)[-1]
    assert verdict.line == f"one block adds less than 5 % of FLOPs: {line} of the baseline; paper below 5 %)"


@ALL
def test_every_sentence_holds_of_the_paper_s_own_numbers(experiment: Experiment) -> None:
    assert {verdict.paper for verdict in judge(experiment, [], 5)} == {"holds"}


@ALL
def test_each_row_stands_beside_the_paper_s_and_below_its_baseline(experiment: Experiment) -> None:
    table = frame(experiment, [])
    assert [line.label for line in experiment.lines] == list(table["row"])
    assert all(experiment.baseline(line).depth == line.depth for line in experiment.lines)
    for measure in experiment.measures:
        assert table[f"paper_{measure}"].notna().all()
        assert table[measure].isna().all()


def test_the_paper_s_gains_are_those_that_it_prints() -> None:
    """Section 6: about 1 point of box AP; blocks in the head about 1 point of keypoint AP, and more with one in the backbone."""
    assert frame(DETECTION, [])["paper_box_ap_delta"].dropna().to_list() == [1.0, 1.3, 0.9]
    assert frame(KEYPOINTS, [])["paper_kp_ap_delta"].dropna().to_list() == [0.9, 1.4]


def test_rows_are_compared_over_the_seeds_that_all_have() -> None:
    records = of_r50([(1.0, 2.0), (5.0, 7.0)])[:-1]
    table = frame(DETECTION, records).set_index("key")
    assert (table.loc["r50-boxes", "box_ap"], table.loc["r50-boxes-nl", "box_ap_delta"]) == (1.0, 1.0)
    assert list(table.loc[["r50-boxes", "r50-boxes-nl"], "seeds"]) == [1, 1]
    deeper = frame(DETECTION, [*of_r50([(1.0, 2.0), (5.0, 7.0)]), found("r101-boxes", 0, box_ap=3.0)]).set_index("key")
    assert list(deeper.loc[["r50-boxes", "r101-boxes"], "seeds"]) == [2, 1]  # another baseline's rows may have fewer


def test_a_record_is_read_as_it_was_written_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    one = found("r50-boxes", 3, box_ap=1.5)
    path = outcome.write(one, tmp_path)
    assert outcome.read(path) == one
    other = path.with_name("seed4.json")
    other.write_bytes(path.read_bytes())
    with pytest.raises(Damaged, match="its content is that of"):
        outcome.read(other)
    path.write_text("{")
    assert outcome.read_all(tmp_path, "coco-mini") == []
    with pytest.raises(Damaged, match="sweep"):
        outcome.read(path)


Make = Callable[..., Outcome]


@pytest.fixture
def fresh(tmp_path: Path) -> Make:
    """Writes a record of the smoke profile with the settings that its run has."""
    task = DETECTION.task
    profile = task.load("smoke")

    def make(key: str, seed: int, at: str = "local", fingerprint: str | None = None, **metrics: float) -> Outcome:
        spec = next(line.spec for line in DETECTION.lines if line.spec.key == key)
        run = task.trial(spec, profile, seed, Folders(data=tmp_path))
        record = replace(
            found(key, seed, **metrics), profile=profile.name, fingerprint=fingerprint or run.fingerprint, settings=run.settings
        )
        outcome.write(record, tmp_path / at)
        return record

    return make


KEYS = ("r50-boxes", "r50-boxes-nl", "r101-boxes", "r101-boxes-nl")


def test_a_report_leaves_stale_records_out(fresh: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fresh("r50-boxes", 0, box_ap=10.0, mask_ap=9.0)
    fresh("r50-boxes-nl", 0, fingerprint="of other settings", box_ap=20.0, mask_ap=19.0)
    report(DETECTION, "smoke", Folders(data=tmp_path, results=tmp_path / "local"))
    told = capsys.readouterr().out
    assert "stale" in told
    assert "10.0" in told
    assert "20.0" not in told
    assert (tmp_path / "local/tables/coco-smoke/table5.csv").is_file()
    assert "X152" not in told  # which no generated scenes have


def test_published_numbers_stand_beside_one_s_own(fresh: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "PUBLISHED", tmp_path / "public")
    local = Folders(data=tmp_path, results=tmp_path / "local")
    for key in KEYS[:3]:
        fresh(key, 0, box_ap=10.0, mask_ap=9.0)
    with pytest.raises(BadInput, match="no fresh record of r101-boxes-nl seed 0"):
        publish(DETECTION, "smoke", local, [0])
    assert not (tmp_path / "public").exists()
    publish(DETECTION, "smoke", local, [0], "r50-boxes")
    assert [path.parent.name for path in (tmp_path / "public/records/coco-smoke").glob("*/*")] == ["r50-boxes"]
    fresh(KEYS[3], 0, box_ap=11.0, mask_ap=9.0)
    fresh(KEYS[0], 7, at="public", fingerprint="of other settings", box_ap=1.0)
    publish(DETECTION, "smoke", local, [0])
    assert sorted(path.name for path in (tmp_path / "public/records/coco-smoke").glob("*/*")) == ["seed0.json"] * 4
    found = board(DETECTION, "smoke", local)
    assert list(found.frames) == ["published", "yours"]
    assert found.frames["published"].equals(found.frames["yours"])


@ALL
@pytest.mark.parametrize("profile", ["smoke", "paper"])
def test_a_dry_run_has_few_steps_and_another_name(experiment: Experiment, profile: str) -> None:
    """What it starts from is dry too."""
    wanted = experiment.work(profile, [0], Folders())
    jobs = experiment.work(profile, [0], Folders(), steps=3)
    assert [job.run.key for job in jobs] == [job.run.key for job in wanted]
    assert {job.steps for job in jobs} == {3}
    assert all(job.run.profile_name.endswith("-dry-run") for job in jobs)
    assert not {job.run.record_path for job in jobs} & {job.run.record_path for job in wanted}


@pytest.mark.parametrize(("ap", "status", "said"), [(51.5, 0, "inside of"), (80.0, 2, "80.0 is outside of")])
def test_a_run_made_again_is_held_against_the_table_s_first_measure(
    ap: float, status: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, before in enumerate((50.0, 51.0, 52.0)):
        outcome.write(found("r50-boxes", seed, mask_ap=before - 40, box_ap=before), findings.PUBLISHED)
    now = found("r50-boxes", 0, mask_ap=11.0, box_ap=ap)
    monkeypatch.setattr(again, "trained", lambda jobs: replace(now, made=replace(MADE, device="a GPU")))
    assert main(["verify", "r50-boxes"]) == status
    told = capsys.readouterr()
    assert said in told.out + told.err
    assert main(["verify", "r50-boxes", "--seed", "7"]) == 2
    assert "no published record of r50-boxes seed 7 of the profile coco-mini" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sweep", "5", "--profile", "nothing"), "unknown profile 'nothing'; use one of mini, mini-1000-steps, paper, smoke"),
        (("sweep", "5", "--only", "r18*"), "no run key matches 'r18*'; the keys of table 5 are r50-boxes"),
        (("cost", "5"), "table 5 is of another task"),
        (
            ("run", "r50-boxes", "--profile", "nothing"),
            "unknown profile 'nothing'; use one of mini, mini-1000-steps, paper, smoke",
        ),
        (("report", "7"), "use one of 2a, 2b, 2c, 2d, 2e, 2f, 2g, 4, 5, 6, or all"),
    ],
)
def test_wrong_words_are_told(words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert told in capsys.readouterr().err


def test_the_page_has_the_tables_of_other_tasks_of_which_anything_is_recorded(fresh: Make, tmp_path: Path) -> None:
    local = Folders(data=tmp_path, results=tmp_path / "local")
    assert boards(TABLES, "smoke", local) == ()
    assert boards(TABLES, "no-such-profile", local) == ()
    fresh("r50-boxes", 0, box_ap=12.3, mask_ap=9.0)
    (one,) = boards(TABLES, "smoke", local)
    assert (one.heading.split(".")[0], "12.3" in one.shown.to_string()) == ("Table 5", True)
    assert b"<svg" in one.svg
    assert one.runs == [("r50-boxes seed 0", "box_ap 12.3, mask_ap 9.0", "records/coco-smoke/r50-boxes/seed0.json")]


def test_a_figure_shows_each_gain_beside_the_paper_s() -> None:
    records = of_r50([(10.0, 30.0), (11.0, 33.0)])
    figure = draw(DETECTION, {"here": frame(DETECTION, records)})
    left, right = figure.axes
    labels = [text.get_text() for text in left.get_yticklabels()]
    assert labels[:2] == ["R50 +1 NL, box AP", "R50 +1 NL, mask AP"]
    assert left.lines[0].get_xdata().tolist() == [1.0, 0.9, 1.3, 1.1, 0.9, 0.6]
    assert right.lines[0].get_xdata()[:2].tolist() == [21.0, 21.0]
