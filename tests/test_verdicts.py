"""Verdicts: what the paper's numbers, simulated records and counted costs say of the paper's sentences."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from records import record

from ablations.registry import TABLES
from nlrepro import paper
from nlrepro.record import Record
from nlrepro.report.text import error_rates
from nlrepro.stats.anova import Analysis, Interval
from nlrepro.stats.evidence import Evidence
from nlrepro.stats.verdicts import (
    AddsLessThan,
    Beats,
    Cheaper,
    Counted,
    Verdict,
    all_above,
    any_below,
    beat,
    decide,
    seeds_needed,
)
from nlrepro.table import Cell

CLAIMS = [claim for name, table in TABLES.items() if name != "7" for claim in table.claims]  # of the paper
FORMS = [row.key for row in TABLES["2a"].rows]


def verdicts(claims: Sequence, records: Sequence[Record], declared: int = 3) -> list[Verdict]:
    evidence = Evidence([*TABLES.values()], records)
    return [claim.verdict(evidence, declared) for claim in claims]


def simulated(*accuracies: float) -> list[Record]:
    """Records of Table 2a's rows with these accuracies: 600 videos, half of the luck shared between rows."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=600)
    records = []
    for key, accuracy in zip(FORMS, accuracies, strict=True):
        for seed in range(3):
            luck = np.argsort(np.argsort(shared + rng.normal(size=600))) / 6
            records.append(record(key, seed, "".join("0" if u < accuracy else "1" for u in luck)))
    return records


def of_2a(*accuracies: float, declared: int = 3) -> list[Verdict]:
    """On "each form beats the baseline" and "the forms are alike"."""
    return verdicts(TABLES["2a"].claims, simulated(*accuracies), declared)


def test_the_papers_own_numbers_hold_for_its_sentences_but_the_one_that_it_gives_no_number_for() -> None:
    """Which also shows that each sentence names rows that there are."""
    words = {verdict.claim.text: verdict.paper for verdict in verdicts(CLAIMS, [])}
    assert len(words) == 22
    (open_,) = [text for text, word in words.items() if word != "holds"]
    assert (open_, words[open_]) == ("five non-local blocks beat five residual blocks", "undecided")


def test_the_papers_numbers_can_contradict_a_sentence_or_leave_it_open() -> None:
    worse = beat("2a", ("C2D baseline", "Gaussian"))
    equal = beat("2d", ("space-only", "time-only"), depths=[101])  # 74.4 both
    better = beat("2c", ("5-block", "baseline"))
    unknown = beat("2c", ("5-block", "5 residual blocks"))
    sentences = [worse, equal, better + unknown, unknown + better]
    claims = [Beats("", pairs) for pairs in sentences]
    assert [v.paper for v in verdicts(claims, [])] == ["fails", "undecided", "undecided", "undecided"]


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
    for verdict, word in zip(of_2a(*accuracies), words, strict=True):
        assert verdict.verdict == word
        assert (verdict.p < 0.025, bool(verdict.seeds_needed)) == (word != "undecided", word == "undecided")


def test_the_difference_shown_is_the_one_that_supports_a_sentence_least() -> None:
    beats, alike = of_2a(60, 70, 66, 70, 70)
    assert (beats.difference.mean, alike.difference.mean) == pytest.approx((6.0, 4.0))
    assert (beats.paper_difference, alike.paper_difference) == pytest.approx((0.7, 0.4))
    assert beats.weakest == "Gaussian, embed \N{MINUS SIGN} C2D baseline, R50"
    assert len(alike.compared) == 12


def analysis(mean: float, error: float) -> Analysis:
    """Of four seeds, with nothing but seeds to blame."""
    ms = 4 * 100 * error**2
    return Analysis(mean=mean, seeds=4, videos=100, ms_seed=ms, ms_video=0, ms_error=0, seed_freedom=1e9)


@pytest.mark.parametrize(
    ("means", "error", "gain", "word"),
    [
        ((5, 2), 0.5, None, "holds"),
        ((0.9, 0.5), 0.1, None, "holds"),  # surely there, though below a point
        ((5, -2), 0.5, None, "fails"),
        ((0.3, -0.5), 0.1, None, "fails"),
        ((5, 0.1), 0.4, None, "negligible"),
        ((0.2, -0.2), 0.3, None, "negligible"),
        ((5, 0.6), 0.4, None, "undecided"),  # from -0.2 to 1.4
        ((5, -1.1), 0.5, None, "undecided"),  # below 0 but for Holm's correction
        ((5, -2.1), 1.0, None, "undecided"),
        ((0.1, 0.1), 0.2, (0.3, 0.2), "negligible"),
        ((0.1, 0.1), 0.2, (4.0, 0.2), "undecided"),  # cells that differ by half of 4 points differ by 2
        ((-5, -5), 1.0, (5, 1), "fails"),
        ((-5, -5), 1.0, (1, 1), "undecided"),  # no gain to be alike in
    ],
)
def test_the_first_word_that_fits_counts(
    means: tuple[float, ...], error: float, gain: Any, word: str
) -> None:
    """A gain is that of rows that are alike."""
    yardstick = analysis(*gain).interval if gain else None
    assert decide([analysis(mean, error).interval for mean in means], yardstick) == word


def test_all_must_be_above_and_one_below_is_corrected_for_their_number() -> None:
    sure, unsure, below = (Interval(m, 0, 0, 3, p) for m, p in ((5.0, 0.001), (1.0, 0.2), (-1.0, 0.02)))
    assert all_above([sure, unsure]) == pytest.approx(0.1)
    assert all_above([sure, below]) == pytest.approx(0.99)
    assert any_below([below, sure, unsure]) == pytest.approx(3 * 0.01)
    assert any_below([sure, unsure]) == 1.0


def test_seeds_needed_are_those_that_would_settle_it() -> None:
    # above 0: 1.96 * 2 * 0.7 / sqrt(seeds) < 0.8, so 11.8; or below a point: the same against 1 - 0.2
    for means in ((0.8,), (0.2,), (9, -0.2)):
        assert seeds_needed([analysis(mean, 0.7) for mean in means]) == "12"
    assert seeds_needed([analysis(0.8, 5)]) == ">100"
    assert seeds_needed([replace(analysis(0.8, 0.7), seeds=1)]) == ""
    assert seeds_needed([replace(analysis(0.8, 0.7), ms_video=4 * 100 * 0.5**2 * 4)]) == "no number"


def test_from_another_number_of_seeds_than_declared_verdicts_are_preliminary() -> None:
    for declared, text in ((3, ""), (5, "3 seeds of 5"), (1, "3 seeds instead of 1")):
        assert [v.preliminary for v in of_2a(60, 70, 70, 70, 70, declared=declared)] == [text] * 2


def test_missing_runs_leave_a_sentence_undecided() -> None:
    records = [r for r in simulated(60, 70, 70, 70, 70) if r.key != FORMS[3]]
    beats, _ = verdicts(TABLES["2a"].claims, records)
    assert (beats.verdict, beats.difference, beats.seeds_needed) == ("undecided", None, "")


def test_the_rows_of_the_compared_tables_share_their_variance_between_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each depth by itself, unless two depths are compared; less their mean for a difference."""
    shared: list[tuple[list[int], bool]] = []
    fit = "nlrepro.stats.evidence.fit_prior"
    monkeypatch.setattr(fit, lambda groups, centred: shared.append(([g.shape[1] for g in groups], centred)))
    keys = {row.key for name in ("2f", "2g") for row in TABLES[name].rows}
    evidence = Evidence([*TABLES.values()], [record(key, seed, "01") for key in keys for seed in range(3)])
    nl = Cell("2f", 50, "NL I3D")
    for other in (Cell("2f", 50, "I3D"), Cell("2g", 50, "I3D"), Cell("2f", 101, "I3D")):
        evidence.prior({nl: 1.0, other: -1.0})
    evidence.prior({nl: 1.0})
    assert shared == [([3, 3], True), ([6, 6], True), ([6], True), ([3, 3], False)]


@pytest.mark.parametrize(
    ("gains", "word"),
    [((3, 4, 5), "holds"), ((-3, -4, -5), "fails"), ((-9, 4, 5), "undecided"), ((30,), "undecided")],
)
def test_average_precisions_are_paired_by_seed(gains: tuple[float, ...], word: str) -> None:
    """Seeds differ by far more than what the block gains; all measures must be better."""
    base, block = (row.key for row in TABLES["5"].rows if row.depth == 50)
    aps = [(base, seed, 10.0 * seed) for seed in range(len(gains))]
    aps += [(block, seed, 10.0 * seed + gain) for seed, gain in enumerate(gains)]
    records = [record(key, seed, metrics={"box_ap": ap, "mask_ap": ap}) for key, seed, ap in aps]
    r50, r101, *_ = verdicts(TABLES["5"].claims, records, declared=len(gains))
    assert (r50.verdict, r50.preliminary) == (word, "")
    assert r50.difference.mean == pytest.approx(np.mean(gains))
    assert (r101.verdict, r101.difference) == ("undecided", None)
    worse = [replace(r, metrics=r.metrics | {"mask_ap": 50 - r.metrics["mask_ap"]}) for r in records]
    assert verdicts(TABLES["5"].claims, worse)[0].verdict == ("undecided" if word == "undecided" else "fails")


@pytest.mark.parametrize(
    ("kind", "name", "macs", "word", "value"),
    [
        (Cheaper, "2e", (10, 18, 15, 12), "holds", 0.3),  # multiples of the baseline
        (Cheaper, "2e", (10, 18, 15, 16), "fails", -0.1),
        (AddsLessThan, "5", (100, 100, 100, 104, 100, 100), "holds", 4.0),  # percent
        (AddsLessThan, "5", (100, 100, 100, 106, 100, 100), "fails", 6.0),
    ],
)
def test_flops_are_counted_without_records_and_the_worst_pair_decides(
    kind: type[Counted], name: str, macs: Sequence[int], word: str, value: float, monkeypatch: Any
) -> None:
    counted = {row.key: (1, n) for row, n in zip(TABLES[name].rows, macs, strict=True)}
    monkeypatch.setattr(paper, "costs", lambda: counted)
    (verdict,) = verdicts([claim for claim in CLAIMS if isinstance(claim, kind)], [])
    assert (verdict.verdict, verdict.difference.mean) == (word, pytest.approx(value))


def test_chance_is_counted_over_several_verdicts() -> None:
    both = of_2a(60.0, 70.0, 70.0, 70.0, 70.0)
    untested = verdicts(TABLES["2b"].claims, [])
    assert error_rates([*both[:1], *untested]) == "Each verdict is a test at 2.5 %."
    assert "of 2 sentences tested, at most about 0.1 would" in error_rates(both)
