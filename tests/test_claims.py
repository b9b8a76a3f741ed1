from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
from conftest import record

from ablations.registry import TABLES
from nlrepro import paper
from nlrepro.record import Cost, Record
from nlrepro.report.anova import Analysis, Interval
from nlrepro.report.claims import Beats, Cell, Cheaper
from nlrepro.report.judge import decide, judge, seeds_needed
from nlrepro.report.moderated import Prior
from nlrepro.report.tables import TableRow, TableSpec
from nlrepro.report.verdicts import Verdict, claims_frame, error_rates, write_claims

LABELS = ("C2D baseline", "Gaussian", "Gaussian, embed", "dot-product", "concatenation")
SPEC = TableSpec(table="2a", title="", rows=tuple(TableRow(label=label, depth=50, key=label) for label in LABELS))
OF_2A = [claim for claim in TABLES.claims if claim.table == "2a"]


def simulated(*accuracies: float, seeds: int = 3) -> list[Record]:
    """Records of the five rows with these accuracies: 600 videos, half of the luck shared between rows."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=600)
    records = []
    for label, accuracy in zip(LABELS, accuracies, strict=True):
        for seed in range(seeds):
            luck = np.argsort(np.argsort(shared + rng.normal(size=600))) / 6
            records.append(record(label, seed, "".join("0" if u < accuracy else "1" for u in luck)))
    return records


def verdicts(*accuracies: float) -> list[Verdict]:
    return judge(OF_2A, [SPEC], simulated(*accuracies))


def test_the_papers_own_numbers_hold_for_the_papers_sentences() -> None:
    """But for the one on residual blocks, which the paper says without a number."""
    verdicts = judge(TABLES.claims, [], [])
    assert [v.claim.text for v in verdicts if v.paper == "undecided"] == ["five non-local blocks beat five residual blocks"]
    assert {v.paper for v in verdicts} == {"holds", "undecided"}


def test_the_papers_numbers_can_contradict_a_sentence_or_leave_it_open() -> None:
    worse = (Cell("2a", 50, "C2D baseline"), Cell("2a", 50, "Gaussian"))
    equal = (Cell("2d", 101, "space-only"), Cell("2d", 101, "time-only"))  # 74.4 both
    claims = [Beats(table="2a", text="", pairs=(pair,)) for pair in (worse, equal)]
    assert [v.paper for v in judge(claims, [], [])] == ["fails", "undecided"]


def test_where_the_paper_gives_no_number_its_verdict_is_open_whatever_stands_beside() -> None:
    better = (Cell("2c", 50, "5-block"), Cell("2c", 50, "baseline"))
    unknown = (Cell("2c", 50, "5-block"), Cell("2c", 50, "5 residual blocks"))
    claims = [Beats(table="2c", text="", pairs=pairs) for pairs in ((better, unknown), (unknown, better))]
    assert [v.paper for v in judge(claims, [], [])] == ["undecided"] * 2


def test_every_sentence_names_rows_of_the_paper() -> None:
    measured = [claim for claim in TABLES.claims if not isinstance(claim, Cheaper)]
    cells = {cell for claim in measured for contrast in claim.contrasts for cell in contrast}
    assert cells
    assert cells - set(paper.accuracies()) == {Cell("2c", 50, "5 residual blocks")}


@pytest.mark.parametrize(
    ("accuracies", "words"),
    [
        ((60, 70, 70, 70, 70), ["holds", "holds"]),
        ((60, 70, 70, 52, 70), ["fails", "fails"]),
        ((60, 68, 68, 68, 85), ["holds", "fails"]),
        ((60, 60, 60, 60, 60), ["undecided", "undecided"]),
        ((60, 70, 70, 61, 70), ["undecided", "fails"]),
        ((70, 60, 60, 60, 60), ["fails", "undecided"]),  # alike, but there is no gain to measure it by
    ],
)
def test_verdicts_follow_the_intervals(accuracies: tuple[float, ...], words: list[str]) -> None:
    assert [v.verdict for v in verdicts(*accuracies)] == words


def test_the_difference_shown_is_the_one_that_decides() -> None:
    beats, alike = verdicts(60, 70, 66, 70, 70)
    assert beats.difference
    assert alike.difference
    assert (beats.difference.mean, alike.difference.mean) == pytest.approx((6.0, 4.0))
    assert (beats.paper_difference, alike.paper_difference) == pytest.approx((0.7, 0.4))


def test_p_is_small_exactly_where_a_sentence_is_decided() -> None:
    for accuracies in ((60, 70, 70, 70, 70), (60, 68, 68, 68, 85), (60, 60, 60, 60, 60), (60, 70, 70, 52, 70)):
        assert all((v.p < 0.025) == (v.verdict != "undecided") for v in verdicts(*accuracies))


def analysis(mean: float, error: float) -> Analysis:
    """Of four seeds, with nothing but seeds to blame."""
    ms = 4 * 100 * error**2
    return Analysis(mean=mean, seeds=4, videos=100, ms_seed=ms, ms_video=0.0, ms_error=0.0, seed_freedom=1e9)


@pytest.mark.parametrize(
    ("means", "error", "word"),
    [
        ((5, 2), 0.5, "holds"),
        ((0.9, 0.5), 0.1, "holds"),  # surely there, though below a point
        ((5, -2), 0.5, "fails"),
        ((0.3, -0.5), 0.1, "fails"),
        ((5, 0.1), 0.4, "negligible"),
        ((0.2, -0.2), 0.3, "negligible"),
        ((5, 0.6), 0.4, "undecided"),  # from -0.2 to 1.4
        ((5, -1.1), 0.5, "undecided"),  # below 0 but for Holm's correction
        ((5, -2.1), 1.0, "undecided"),
        ((5, -0.4), 0.19, "negligible"),
    ],
)
def test_the_first_word_that_fits_counts(means: tuple[float, ...], error: float, word: str) -> None:
    assert decide([analysis(mean, error).interval for mean in means]) == word


@pytest.mark.parametrize(("gain", "word"), [((0.3, 0.2), "negligible"), ((0.8, 0.05), "negligible"), ((4.0, 0.2), "undecided")])
def test_alikeness_is_negligible_only_where_the_gain_is(gain: tuple[float, float], word: str) -> None:
    """Cells that differ by half of a gain of 4 points differ by 2."""
    assert decide([analysis(0.1, 0.2).interval] * 2, analysis(*gain).interval) == word


def test_alikeness_cannot_fail_without_a_gain() -> None:
    tests = [analysis(-5, 1).interval]
    assert [decide(tests, analysis(gain, 1).interval) for gain in (5, 1)] == ["fails", "undecided"]


def test_seeds_needed_are_those_that_would_settle_it() -> None:
    # to exclude 0, 1.96 * 2 * 0.7 / sqrt(seeds) < 0.8: 11.8; or to lie below a point, 1.96 * 2 * 0.7 / sqrt(seeds) < 1 - 0.2
    assert seeds_needed([analysis(0.8, 0.7)]) == "12"
    assert seeds_needed([analysis(0.2, 0.7)]) == "12"
    assert seeds_needed([analysis(9, 0.7), analysis(-0.2, 0.7)]) == "12"
    assert seeds_needed([analysis(0.8, 5)]) == ">100"
    assert seeds_needed([replace(analysis(0.8, 0.7), seeds=1)]) == ""


def test_where_the_videos_leave_it_open_no_number_of_seeds_settles_it() -> None:
    videos = replace(analysis(0.8, 0.7), ms_video=4 * 100 * 0.5**2 * 4)
    assert seeds_needed([videos]) == "no number"


def test_from_another_number_of_seeds_than_declared_verdicts_are_preliminary() -> None:
    records = simulated(60, 70, 70, 70, 70)
    for declared, said in ((3, ""), (5, "3 seeds of 5"), (1, "3 seeds instead of 1"), (None, "")):
        found = judge(OF_2A, [SPEC], records, declared)
        assert [v.preliminary for v in found] == [said] * 2
        assert claims_frame(found)["preliminary"].tolist() == [bool(said)] * 2
        assert (f"holds (preliminary: {said}; least clear" in found[0].line) == bool(said)
    some = [r for r in simulated(60, 70, 70, 70, 70, seeds=5) if r.key != "Gaussian" or r.seed < 4]
    assert [v.preliminary for v in judge(OF_2A, [SPEC], some, 5)] == ["4 seeds of 5"] * 2


def pooled(monkeypatch: pytest.MonkeyPatch, *pairs: tuple[Cell, Cell]) -> list[list[set[str]]]:
    """The groups of rows whose variances are pooled for sentences on these pairs; tables 2f and 2g at both depths."""
    asked: list[list[set[str]]] = []

    def note(records: list[Record], groups: list[set[str]], centred: bool) -> None:
        assert centred
        asked.append(groups)

    monkeypatch.setattr("nlrepro.report.judge.pool", note)
    rows = [("C2D", 50), ("NL", 50), ("C2D", 101), ("NL", 101)]
    specs = [
        TableSpec(table=t, title="", rows=tuple(TableRow(label=row, depth=d, key=f"{t}{d}{row}") for row, d in rows))
        for t in ("2f", "2g")
    ]
    judge([Beats(table="2g", text="", pairs=(pair,)) for pair in pairs], specs, [])
    return asked


def test_the_variance_between_seeds_is_shared_by_the_rows_of_the_tables_that_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    within = (Cell("2f", 50, "NL"), Cell("2f", 50, "C2D"))
    tables = (Cell("2g", 50, "NL"), Cell("2f", 50, "NL"))
    depths = (Cell("2f", 50, "NL"), Cell("2f", 101, "C2D"))
    of = {(t, d): {f"{t}{d}C2D", f"{t}{d}NL"} for t in ("2f", "2g") for d in (50, 101)}
    assert pooled(monkeypatch, within, tables, depths) == [
        [of["2f", 50], of["2f", 101]],
        [of["2f", 50] | of["2g", 50], of["2f", 101] | of["2g", 101]],
        [of["2f", 50] | of["2f", 101]],
    ]


def test_verdicts_use_what_the_rows_share(monkeypatch: pytest.MonkeyPatch) -> None:
    records = simulated(60, 70, 70, 70, 70)
    before = judge(OF_2A, [SPEC], records)[0].difference
    monkeypatch.setattr("nlrepro.report.judge.pool", lambda *_, **__: Prior(400.0, inf, 50))
    after = judge(OF_2A, [SPEC], records)[0].difference
    assert before
    assert after
    assert after.high - after.low > 3 * (before.high - before.low)


@pytest.mark.parametrize(
    ("needed", "said"),
    [
        ("12", "about 12 seeds would settle it"),
        (">100", "it would take more than 100 seeds"),
        ("no number", "more seeds will not settle it"),
    ],
)
def test_an_undecided_line_says_how_many_seeds_would_settle_it(needed: str, said: str) -> None:
    open_ = Interval(mean=0.3, low=-0.4, high=1.0, seeds=5, p=0.4)
    verdict = Verdict(claim=OF_2A[0], paper="holds", paper_difference=0.5, difference=open_, p=open_.p_above, seeds_needed=needed)
    assert verdict.line.endswith(f"undecided (least clear +0.3 [-0.4, 1.0], p = 0.2; {said}; paper +0.5)")
    assert claims_frame([verdict])["seeds_needed"].tolist() == [needed]


def test_only_undecided_sentences_need_seeds() -> None:
    for found in (verdicts(60, 70, 70, 70, 70), verdicts(60, 60, 60, 60, 60), verdicts(60, 70, 70, 52, 70)):
        assert [bool(v.seeds_needed) for v in found] == [v.verdict == "undecided" for v in found]


def test_error_rates_are_told_for_the_sentences_that_are_tested() -> None:
    said = error_rates(judge(TABLES.claims, [], []))
    assert "Of the 14 sentences tested" in said  # the 15th is counted
    assert "at most about 0.4" in said  # 14 x 2.5 %


def test_line_is_for_people() -> None:
    forms = Interval(mean=8.1, low=5.0, high=11.2, seeds=3, p=0.0008)
    verdict = Verdict(claim=OF_2A[0], paper="holds", paper_difference=0.7, verdict="holds", difference=forms, p=forms.p_above)
    assert verdict.line == "each form beats the baseline: holds (least clear +8.1 [5.0, 11.2], p = 0.0004; paper +0.7)"


def test_missing_runs_leave_a_sentence_undecided(tmp_path: Path) -> None:
    some = [r for r in simulated(60, 70, 70, 70, 70) if r.key != "dot-product"]
    for records in ([], some):
        missing = judge(OF_2A, [SPEC], records)
        assert missing[0].line == "each form beats the baseline: undecided (--; paper +0.7)"
        write_claims(missing, tmp_path)
        text = (tmp_path / "claims.csv").read_text()
        assert text.splitlines()[0] == "table,claim,paper,verdict,difference,low,high,seeds,seeds_needed,preliminary"
        assert text.splitlines()[1] == "2a,each form beats the baseline,holds,undecided,--,--,--,0,--,False"


def test_frame_has_a_line_per_sentence() -> None:
    frame = claims_frame(verdicts(60, 70, 70, 70, 70))
    assert frame["seeds"].tolist() == [3, 3]
    assert (frame["low"] < frame["difference"]).all()
    assert (frame["difference"] < frame["high"]).all()


@pytest.mark.parametrize(("macs", "word", "saved"), [(12, "holds", "0.30x"), (16, "fails", "-0.10x")])
def test_what_a_row_costs_is_counted_without_records(macs: int, word: str, saved: str) -> None:
    claim = next(claim for claim in TABLES.claims if isinstance(claim, Cheaper))
    costs = {"C2D baseline": 10, "I3D 3x3x3": 18, "I3D 3x1x1": 15, "NL C2D, 5-block": macs}
    rows = (TableRow(label=label, depth=101, key=label, cost=Cost(params=1, macs=n)) for label, n in costs.items())
    verdict = judge([claim], [TableSpec(table="2e", title="", rows=tuple(rows))], [])[0]
    assert verdict.verdict == word
    assert verdict.line.endswith(f"{word} (saves {saved} of the baseline; paper saves 0.3x)")
