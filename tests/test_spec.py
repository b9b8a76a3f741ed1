"""Specs and their keys: what tells two runs apart, and what does not."""

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest

from ablations.registry import TABLES
from nlrepro.files import BadInput
from nlrepro.spec import (
    SITES,
    STAGE_BLOCKS,
    ActionSpec,
    Blocks,
    Clip,
    Conv,
    Depth,
    DetectionSpec,
    Domain,
    Insert,
    NetSpec,
    PaperForm,
    RunSpec,
)

FIELDS = ("depth", "conv", "blocks", "kind", "form", "domain")
CHOICES = [get_args(each) for each in (Depth, Conv, Blocks, Insert, PaperForm, Domain, Clip)]


def test_a_key_and_its_spec_name_each_other() -> None:
    """Form and domain tell apart nets with non-local blocks only, their kind nets with blocks only."""
    specs = {
        RunSpec(clip=clip, net=NetSpec(**dict(zip(FIELDS, net, strict=True))))
        for *net, clip in product(*CHOICES)
    }
    assert len(specs) == 2 * 3 * (1 + 6 * (10 + 4 * 3)) * 2
    assert len({spec.key for spec in specs}) == len(specs)
    assert all(RunSpec.of_key(spec.key) == spec for spec in specs)
    assert {row.spec for table in TABLES.chosen(["2"]) for row in table.rows} <= specs


def test_a_key_of_no_net_has_no_spec() -> None:
    keys = "r34-c2d r50-c2d-nl-res6-dot-time r50-c2d-nl-res4 r50-c2d-residual-res4-dot-time r50-c2d-nl r50"
    assert [key for key in ("", *keys.split()) if RunSpec.of_key(key)] == []


def test_long_clips_start_from_short_ones_and_charades_from_long_ones() -> None:
    net = NetSpec(depth=101, conv="3x1x1", blocks="5-block")
    long = RunSpec(net=net, clip="long")
    assert ActionSpec(net=net, split="trainval/test").parent == long
    assert long.parent == RunSpec(net=net)
    assert RunSpec(net=net).parent is None


def test_sites_are_the_papers() -> None:
    last = {"res2": ((2, 1),), "res3": ((3, 2),), "res4": ((4, 4),), "res5": ((5, 1),)}
    assert SITES[50].items() >= last.items()  # right before the last residual block of a stage
    assert SITES[50]["5-block"] == ((3, 1), (3, 3), (4, 1), (4, 3), (4, 5))
    assert SITES[101].items() >= (last | {"res4": ((4, 21),)}).items()
    assert SITES[101]["5-block"] == ((3, 1), (3, 3), (4, 6), (4, 13), (4, 20))
    assert [i for stage, i in SITES[101]["10-block"] if stage == 4] == [2, 6, 10, 14, 18, 22]
    for depth, blocks in STAGE_BLOCKS.items():
        assert [i for stage, i in SITES[depth]["10-block"] if stage == 3] == list(range(blocks[3]))
    assert SITES[50]["10-block"][4:] == tuple((4, i) for i in range(6))


def test_only_keypoint_heads_have_blocks() -> None:
    spec = DetectionSpec(kind="keypoints", backbone="r101", head_blocks=True, block=True)
    assert spec.key == "r101-keypoints-head-nl"
    with pytest.raises(BadInput, match="head_blocks are of the keypoint head"):
        replace(spec, kind="boxes")
