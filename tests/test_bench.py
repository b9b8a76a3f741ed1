"""The bench compares the same function, in turns."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from nlrepro import bench


def test_a_public_block_is_compared_with_that_of_the_same_function() -> None:
    blocks = {name: torch.nn.Identity() for name in (bench.OWN, bench.RELEASE, "direct", "PySlowFast")}
    rows = pd.DataFrame(bench.timed(blocks, torch.randn(4))).set_index("code")
    ms, ratio = rows["train_ms"], rows["ratio"]
    assert ratio["PySlowFast"] == pytest.approx(ms["PySlowFast"] / ms[bench.RELEASE])
    assert ratio["direct"] == pytest.approx(ms["direct"] / ms[bench.OWN])


def test_the_summary_has_a_line_a_case_and_is_written_with_its_versions(tmp_path: Path) -> None:
    rows = bench.measure(None, "dot", (8, 2, 4, 4), "cpu")
    cases = [{"form": "dot", "stage": stage, "frames": 32, "positions": 32} for stage in ("res2", "res3")]
    frame = pd.DataFrame([case | row for case in cases for row in rows])
    table = bench.summary(frame)
    (direct,) = (row["ratio"] for row in rows if row["code"] == "direct")
    assert table["stage"].tolist() == ["res2", "res3"]
    assert table["direct"].tolist() == pytest.approx([direct] * 2, abs=0.01)
    path = bench.write(frame, tmp_path, None, "cpu")
    assert f"torch {torch.__version__}" in path.read_text()
    pd.testing.assert_frame_equal(pd.read_csv(path.with_suffix(".csv")), frame)


def test_absent_public_code_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.public_blocks(tmp_path, "embedded") == {}
    assert "nonlocal_helper" in capsys.readouterr().err
