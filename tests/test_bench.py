"""The benches compare the same function, in turns."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from nlrepro.bench import OWN, Timings, block_bench, loader_bench, nets_bench, write
from nlrepro.config import Geometry, Profile
from nlrepro.nets.resnet import VideoResNet
from nlrepro.spec import NetSpec


def test_a_public_block_is_compared_with_that_of_the_same_function() -> None:
    blocks = {name: torch.nn.Identity() for name in (OWN, block_bench.RELEASE, "direct", "PySlowFast")}
    rows = pd.DataFrame(block_bench.timed(blocks, torch.randn(4))).set_index("code")
    ms, ratio = rows["train_ms"], rows["ratio"]
    assert ratio["PySlowFast"] == pytest.approx(ms["PySlowFast"] / ms[block_bench.RELEASE])
    assert ratio["direct"] == pytest.approx(ms["direct"] / ms[OWN])


def test_the_summary_has_a_line_a_case_and_is_written_with_its_versions(
    tmp_path: Path,
) -> None:
    rows = block_bench.measure_blocks(None, "dot", (8, 2, 4, 4), "cpu")
    cases = [{"form": "dot", "stage": stage, "frames": 32, "positions": 32} for stage in ("res2", "res3")]
    frame = pd.DataFrame([case | row for case in cases for row in rows])
    table = block_bench.summary(frame)
    (direct,) = (row["ratio"] for row in rows if row["code"] == "direct")
    assert table["stage"].tolist() == ["res2", "res3"]
    assert table["direct"].tolist() == pytest.approx([direct] * 2, abs=0.01)
    result = Timings(libraries=("torch",), caption="", rows=frame, table=table)
    path = write("block", result, tmp_path, None, "cpu")
    assert f"torch {torch.__version__}" in path.read_text()
    pd.testing.assert_frame_equal(pd.read_csv(path.with_suffix(".csv")), frame)


def test_absent_public_code_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert block_bench.public_blocks(tmp_path, "embedded") == {}
    assert list(nets_bench.nets_of("C2D", tmp_path)) == [OWN]
    assert "nonlocal_helper" in capsys.readouterr().err


def test_a_step_trains_a_net_and_its_cost_is_counted(tiny_net: Geometry) -> None:
    net = VideoResNet(NetSpec(), tiny_net, 4)
    before = net.fc.weight.clone()
    (row,) = nets_bench.measure("C2D", {OWN: net}, torch.randn(2, 3, 2, 16, 16))
    assert not torch.equal(before, net.fc.weight)
    assert row["parameters_m"] == sum(p.numel() for p in net.parameters()) / 1e6
    assert row["ratio"] == 1
    assert min(row["macs_g"], row["step_s"]) > 0


def test_clips_and_generated_videos_are_read(
    tmp_path: Path, smoke: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FRAMES": 70, "VIDEOS": 1, "STARTS": 1}.items():
        monkeypatch.setattr(loader_bench, name, value)
    generator: Any = smoke.generator
    loader_bench.write_videos(tmp_path, 12)
    assert loader_bench.open_clips(tmp_path).facts[0].frames == 70
    rows = loader_bench.measure_clips(tmp_path, 12) + loader_bench.measure_generated(tmp_path, generator, 2)
    assert [row["reader"] for row in rows][:3] == ["PyAV"] * 3  # a clip at two sizes, a generated video
    assert min(row["ms"] for row in rows) > 0
