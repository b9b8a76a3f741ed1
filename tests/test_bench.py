"""The bench: what it compares is the same operation, and it measures what it says."""

from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import torch

from nlrepro.bench.blocks import DirectBlock, subjects
from nlrepro.bench.figure import draw
from nlrepro.bench.measure import peak_bytes, seconds
from nlrepro.nets.nonlocal_block import NonLocalBlock
from nlrepro.spec import Form


@pytest.mark.parametrize("form", get_args(Form))
def test_our_block_and_the_direct_form_are_the_same_function(form: Form) -> None:
    torch.manual_seed(0)
    ours, direct = NonLocalBlock(4, form).double(), DirectBlock(4, form).double()
    torch.nn.init.ones_(ours.bn.weight)
    direct.load_state_dict(ours.state_dict())
    x = torch.randn(2, 4, 3, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), direct(x))


def test_absent_rivals_are_skipped(tmp_path: Path) -> None:
    assert [name for name, _ in subjects(tmp_path, "dot")] == ["ours", "ours, release", "direct"]
    assert [name for name, _ in subjects(None, "dot")] == ["ours", "ours, release", "direct"]


def test_seconds_are_of_each_block() -> None:
    class Slow(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(200):
                x = x + x.roll(1)
            return x

    x = torch.randn(1, 4, 4, 16, 16, requires_grad=True)
    taken = seconds({"quick": torch.nn.ReLU(), "slow": Slow()}, x, backward=True)
    assert taken["slow"] > 3 * taken["quick"] > 0


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_the_peak_of_the_direct_form_holds_the_scores() -> None:
    shape = (1, 8, 8, 24, 24)  # 4,608 x 1,152 scores: 20 MiB in float32
    direct = peak_bytes(lambda: DirectBlock(8, "dot"), shape, "cpu")
    ours = peak_bytes(lambda: NonLocalBlock(8, "dot"), shape, "cpu")
    assert direct - ours > 20 * 2**20


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    line = {"form": "dot", "stage": "res3", "frames": 32, "block": "direct", "train_ratio": 2.0}
    draw(pd.DataFrame([line]), tmp_path / "bench.svg")
    assert "</svg>" in (tmp_path / "bench.svg").read_text()
