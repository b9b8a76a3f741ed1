"""The seven experiments: what each varies, what it refuses, and that its head tells what the published records give."""

import re
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import pytest

from ablations.pairwise import PairwiseForm
from ablations.registry import TABLES
from nlrepro import record as records
from nlrepro.config import Profile, load_profile
from nlrepro.experiments.ablation import Ablation
from nlrepro.files import BadInput
from nlrepro.report.formats import with_interval
from nlrepro.train.module import VideoClassifier

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "results/published"
every_axis = pytest.mark.parametrize("axis", TABLES.values(), ids=TABLES)


@every_axis
def test_a_row_is_the_module_of_its_spec(axis: type[Ablation], smoke: Profile) -> None:
    for row in axis.rows:
        module = axis(smoke, **row.value)
        assert isinstance(module, VideoClassifier)
        assert module.run_spec == axis.spec(**row.value)
        assert module.net.spec == module.run_spec.net


@pytest.mark.parametrize(
    ("table", "value", "told"),
    [
        ("2a", {"domain": "space"}, r"PairwiseForm varies form; domain: Unexpected keyword argument, got 'space'"),
        ("2a", {"form": "dto"}, r"PairwiseForm varies form; .*expected one of 'gaussian', .*got 'dto'"),
        ("2b", {"stage": "res6"}, r"Stage varies stage; stage: Input should be 'none', 'res2', .*got 'res6'"),
        ("2c", {"blocks": 2}, r"BlockCount varies blocks, kind, depth; blocks: Input should be 0, 1, 5 or 10, got 2"),
        ("2d", {"depth": 34}, r"SpaceTime varies domain, depth; depth: Input should be 50 or 101, got 34"),
        ("2e", {"depth": 50}, r"VersusI3D varies conv, blocks; depth: Unexpected keyword argument, got 50"),
        ("2f", {"conv": "3x3x3"}, r"OnI3D varies conv, blocks, depth; conv: Input should be '2d' or '3x1x1', got '3x3x3'"),
        ("2g", {"clip": "short"}, r"LongClips varies conv, blocks, depth; clip: Unexpected keyword argument, got 'short'"),
    ],
)
def test_what_the_axis_does_not_vary_is_refused(table: str, value: dict[str, Any], told: str, smoke: Profile) -> None:
    with pytest.raises(BadInput, match=told):
        TABLES[table](smoke, **value)


def test_a_module_can_be_built_by_hand(smoke: Profile) -> None:
    assert PairwiseForm(smoke, form="dot").run_spec.key == "r50-c2d-nl-res4-dot-spacetime"
    assert PairwiseForm(smoke).run_spec.key == "r50-c2d"


def head(axis: type[Ablation]) -> list[str]:
    """What the experiment's docstring says of command, cost and result, by the published records."""
    found = pd.read_csv(PUBLISHED / "tables/mini" / f"table{axis.table}.csv", na_values="--")
    keys, seeds = set(found["key"]), load_profile("mini").seeds
    taken = [sum(r.made.seconds for r in records.read_all(PUBLISHED, "mini") if r.key in keys and r.seed == s) for s in seeds]
    lines = [
        f"Command: make table{axis.table}",
        f"Cost: {len(keys)} runs a seed, {median(taken) / 120:.1f} minutes on two cores (mini, by the published records)",
    ]
    for depth, rows in found.groupby("depth"):
        base, *others = rows.itertuples()
        gains = ", ".join(f"{row.row} {with_interval(row.delta, row.delta_low, row.delta_high, sign=True)}" for row in others)
        lines.append(f"Expected (mini, {len(seeds)} seeds), R{depth}: {base.row} {base.top1:.1f} %; {gains}")
    return lines


@every_axis
def test_the_head_tells_what_the_published_records_give(axis: type[Ablation]) -> None:
    said = " ".join(str(__import__(axis.__module__, fromlist=["x"]).__doc__).split())
    for line in head(axis):
        assert line in said, line


def test_nothing_in_nlrepro_imports_an_experiment() -> None:
    found = [
        path for path in (ROOT / "nlrepro").rglob("*.py") if re.search(r"^\s*(from|import) ablations", path.read_text(), re.M)
    ]
    assert found == []
