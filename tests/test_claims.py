from pathlib import Path

import numpy as np
import pytest
from conftest import record

from nlrepro.record import Cost, Record
from nlrepro.reports import printed
from nlrepro.reports.anova import Interval
from nlrepro.reports.claims import Verdict, claims_frame, judge, write_claims
from nlrepro.reports.contrasts import Beats, Cell, Cheaper
from nlrepro.reports.sentences import CLAIMS
from nlrepro.reports.tables import TableRow, TableSpec

LABELS = ("C2D baseline", "Gaussian", "Gaussian, embed", "dot-product", "concatenation")
SPEC = TableSpec(table="2a", title="", rows=tuple(TableRow(label=label, depth=50, key=label) for label in LABELS))
OF_2A = [claim for claim in CLAIMS if claim.table == "2a"]


def simulated(*accuracies: float) -> list[Record]:
    """Records of the five rows with these accuracies: 3 seeds, 600 videos, half of the luck shared between rows."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=600)
    records = []
    for label, accuracy in zip(LABELS, accuracies, strict=True):
        for seed in range(3):
            luck = np.argsort(np.argsort(shared + rng.normal(size=600))) / 6
            records.append(record(label, seed, "".join("0" if u < accuracy else "1" for u in luck)))
    return records


def verdicts(*accuracies: float) -> list[Verdict]:
    return judge(OF_2A, [SPEC], simulated(*accuracies))


def test_the_papers_own_numbers_hold_for_the_papers_sentences() -> None:
    """But for the one on residual blocks, which the paper says without a number."""
    verdicts = judge(CLAIMS, [], [])
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
    measured = [claim for claim in CLAIMS if not isinstance(claim, Cheaper)]
    cells = {cell for claim in measured for contrast in claim.contrasts for cell in contrast}
    assert cells
    assert cells - set(printed.accuracies()) == {Cell("2c", 50, "5 residual blocks")}


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


def test_line_is_for_people() -> None:
    forms = Interval(mean=8.1, low=5.0, high=11.2, seeds=3, p=0.0008)
    verdict = Verdict(claim=OF_2A[0], paper="holds", paper_difference=0.7, verdict="holds", difference=forms, p=forms.p_above)
    assert verdict.line == "each form beats the baseline: holds (least clear +8.1 [5.0, 11.2], p = 0.0004; paper +0.7)"


def test_missing_runs_leave_a_sentence_undecided(tmp_path: Path) -> None:
    some = [r for r in simulated(60, 70, 70, 70, 70) if r.key != "dot-product"]
    for records in ([], some):
        missing = judge(OF_2A, [SPEC], records)
        assert missing[0].line == "each form beats the baseline: undecided (--; paper +0.7)"
        text = write_claims(missing, tmp_path).read_text()
        assert text.splitlines()[0] == "table,claim,paper,verdict,difference,low,high,seeds,seeds_needed,preliminary"
        assert text.splitlines()[1] == "2a,each form beats the baseline,holds,undecided,--,--,--,0,--,False"


def test_frame_has_a_line_per_sentence() -> None:
    frame = claims_frame(verdicts(60, 70, 70, 70, 70))
    assert frame["seeds"].tolist() == [3, 3]
    assert (frame["low"] < frame["difference"]).all()
    assert (frame["difference"] < frame["high"]).all()


@pytest.mark.parametrize(("macs", "word", "saved"), [(12, "holds", "0.3x"), (16, "fails", "-0.1x")])
def test_what_a_row_costs_is_counted_without_records(macs: int, word: str, saved: str) -> None:
    claim = next(claim for claim in CLAIMS if isinstance(claim, Cheaper))
    costs = {"C2D baseline": 10, "I3D 3x3x3": 18, "I3D 3x1x1": 15, "NL C2D, 5-block": macs}
    rows = (TableRow(label=label, depth=101, key=label, cost=Cost(params=1, macs=n)) for label, n in costs.items())
    verdict = judge([claim], [TableSpec(table="2e", title="", rows=tuple(rows))], [])[0]
    assert verdict.verdict == word
    assert verdict.line.endswith(f"{word} (saves {saved} of the baseline; paper 0.3x)")
