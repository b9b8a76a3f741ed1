"""Table 3: other systems, beside records and released weights."""

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import evaluation, record

from ablations.__main__ import main
from ablations.registry import TABLES
from ablations.versus_others import VERSUS_OTHERS
from nlrepro import evaluation as evaluations
from nlrepro import record as records
from nlrepro.config import load_profile
from nlrepro.experiments import findings
from nlrepro.experiments.reporting import beside_others
from nlrepro.report.formats import MISSING
from nlrepro.report.others import shown
from nlrepro.trial import Folders

KEY = VERSUS_OTHERS.ours["NL I3D", "ResNet-50"]


def test_the_papers_numbers_of_its_own_rows_are_those_of_table_2g() -> None:
    frame = shown(VERSUS_OTHERS, [], []).set_index(["model", "backbone"])
    assert len(frame) == 8
    assert tuple(frame.loc[("NL I3D", "ResNet-50"), ["paper top-1", "paper top-5", "here top-1"]]) == ("76.5", "92.6", MISSING)
    assert frame.loc[("NL I3D", "ResNet-101"), "paper test average"] == "83.8"
    assert set(VERSUS_OTHERS.ours) == {pair for pair in frame.index if pair[0] == "NL I3D"}
    assert set(VERSUS_OTHERS.ours.values()) <= {spec.key for spec in TABLES.specs()}


def test_records_and_released_weights_fill_the_papers_own_row_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    paper = load_profile("paper")
    spec = TABLES.spec(KEY)
    own = replace(record(KEY, 0, "0001"), profile="paper", spec=spec, fingerprint=records.fingerprint(spec, paper))
    records.write(own, tmp_path)
    evaluations.write(evaluation(spec, paper, "128x1", "0011"), tmp_path)
    assert main(["report", "3", "--profile", "paper", "--results", str(tmp_path)]) == 0
    table = (tmp_path / "tables" / "paper" / "table3.md").read_text()
    row = next(line for line in table.splitlines() if line.startswith("| NL I3D") and "ResNet-50" in line)
    assert "75.0 [" in row
    assert "50.0 [" in row
    assert sum("[" in line for line in table.splitlines()) == 1
    assert not (tmp_path / "tables" / "paper" / "table2a.md").exists()
    assert "Table 3: Comparison with state-of-the-art" in (tmp_path / "report.html").read_text()
    assert "75.0 [" in capsys.readouterr().out


def test_generated_videos_are_compared_with_no_system(tmp_path: Path) -> None:
    mini, spec = load_profile("mini"), TABLES.spec(KEY)
    records.write(replace(record(KEY, 0, "0001"), spec=spec, fingerprint=records.fingerprint(spec, mini)), tmp_path)
    found = findings.gather(TABLES, mini, Folders(results=tmp_path))
    assert found.records
    assert set(beside_others(TABLES, "3", found)["here top-1"]) == {MISSING}


def test_a_sweep_of_a_comparison_says_that_it_has_no_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "3"]) == 2
    assert "table 3 has no runs of its own; `report 3` shows it" in capsys.readouterr().err
