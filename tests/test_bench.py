"""The bench: what it compares is the same operation, and it measures what it says."""

from functools import partial
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import torch

from nlrepro.bench.block_cases import operations
from nlrepro.bench.blocks import DirectBlock, LinearBlock, subjects
from nlrepro.bench.measure import peak_bytes, rounds, seconds
from nlrepro.bench.report import draw, sentences, write
from nlrepro.nets.block import NonLocalBlock
from nlrepro.spec import PaperForm

ORDERS = [*((DirectBlock, form) for form in get_args(PaperForm)), (LinearBlock, "dot"), (LinearBlock, "concatenation")]


@pytest.mark.parametrize(("order", "form"), ORDERS)
def test_our_block_and_each_order_are_the_same_function(order: type[NonLocalBlock], form: PaperForm) -> None:
    torch.manual_seed(0)
    ours, other = NonLocalBlock(4, form).double(), order(4, form).double()
    torch.nn.init.ones_(ours.bn.weight)
    other.load_state_dict(ours.state_dict())
    x = torch.randn(2, 4, 3, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), other(x))


@pytest.mark.parametrize("form", get_args(PaperForm))
def test_the_operation_alone_is_timed_in_each_order(form: PaperForm) -> None:
    rows = operations(form, "res5", 32, (1, 8, 2, 4, 4), "cpu")
    assert [row["block"] for row in rows] == ["ours", "direct", *(["linear"] if form in ("dot", "concatenation") else [])]
    assert all(row["part"] == "operation" and min(row["train_ms"], row["forward_ms"]) > 0 for row in rows)


def test_absent_rivals_are_skipped(tmp_path: Path) -> None:
    assert [name for name, _ in subjects(tmp_path, "dot")] == ["ours", "ours, release", "direct", "linear"]
    assert [name for name, _ in subjects(None, "gaussian")] == ["ours", "ours, release", "direct"]


def test_seconds_are_of_each_block() -> None:
    class Slow(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(200):
                x = x + x.roll(1)
            return x

    x = torch.randn(1, 4, 4, 16, 16, requires_grad=True)
    taken = seconds({"quick": torch.nn.ReLU(), "slow": Slow()}, (x,), backward=True)
    assert taken["slow"] > 3 * taken["quick"] > 0


def test_what_is_slow_is_timed_less_often() -> None:
    assert [rounds(seconds) for seconds in (0.1, 4, 20, 31)] == [5, 3, 1, 0]


@pytest.mark.parametrize("form", get_args(PaperForm))
def test_only_the_direct_form_holds_the_scores(form: PaperForm) -> None:
    shape = (1, 8, 8, 32, 32)  # 8,192 x 2,048 scores: 64 MiB in float32
    assert peak_bytes(partial(DirectBlock, 8, form), shape, "cpu") > 64 * 2**20
    assert peak_bytes(partial(NonLocalBlock, 8, form), shape, "cpu") < 48 * 2**20


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    line = {"form": "dot", "stage": "res3", "frames": 32, "block": "direct", "train_ratio": 2.0}
    draw(pd.DataFrame([line]), tmp_path / "bench.svg")
    assert "</svg>" in (tmp_path / "bench.svg").read_text()


def example() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Milliseconds of the dot product at one size, and the peak of its two orders at two."""
    steps = {"ours": 10, "ours, release": 5, "direct": 200, "linear": 9, "PySlowFast": 100}
    where = {"form": "dot", "stage": "res3", "frames": 128}
    parts = {"block": steps, "operation": {"ours": 10, "direct": 300}}
    lines = [{**where, "part": part, "block": block, "train_ms": ms} for part, of in parts.items() for block, ms in of.items()]
    time = pd.DataFrame(lines).assign(train_ratio=lambda line: line["train_ms"] / 10)
    peaks = [("ours", 100, 1), ("ours", 800, 8), ("direct", 100, 2), ("direct", 800, 128)]
    rows = [{"form": "dot", "block": block, "positions": at, "peak_mib": mib} for block, at, mib in peaks]
    return time, pd.DataFrame(rows)


def test_three_sentences_say_what_was_measured() -> None:
    orders, rivals, memory = sentences(*example()).splitlines()
    assert "30.0 times for dot product as long as in ours; the whole block, with its 1x1x1 convolutions, 20.0 times" in orders
    assert "0.90 of the better order's speed" in orders
    assert "PySlowFast 20.00 to 20.0 (median 20.0, 1 cases)" in rivals  # against the release's order, which it has
    assert "8.0 to 8.0 times with ours, 64.0 to 64.0 times with the direct form" in memory


def test_a_bench_is_written_with_its_source(tmp_path: Path) -> None:
    said = write(*example(), "today; here", tmp_path / "cpu")
    assert (tmp_path / "cpu.md").read_text().startswith(f"today; here\n\n{said}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cpu-memory.csv", "cpu.csv", "cpu.md", "cpu.svg"]


PUBLISHED = Path(__file__).parent.parent / "results" / "published" / "bench"


@pytest.mark.skipif(not list(PUBLISHED.glob("*-memory.csv")), reason="no bench is published yet")
def test_the_readme_says_what_the_published_bench_does() -> None:
    memory = next(PUBLISHED.glob("*-memory.csv"))
    time = memory.with_name(memory.name.replace("-memory", ""))
    assert (
        sentences(pd.read_csv(time), pd.read_csv(memory))
        in (PUBLISHED.parents[2] / "nlrepro" / "bench" / "README.md").read_text()
    )


@pytest.mark.skipif(not list(PUBLISHED.glob("*-memory.csv")), reason="no bench is published yet")
def test_the_published_figure_is_what_the_published_times_give(tmp_path: Path) -> None:
    memory = next(PUBLISHED.glob("*-memory.csv"))
    time = memory.with_name(memory.name.replace("-memory", ""))
    write(pd.read_csv(time), pd.read_csv(memory), "", tmp_path / time.stem)
    assert (tmp_path / f"{time.stem}.svg").read_bytes() == time.with_suffix(".svg").read_bytes()
