"""Specs and their keys: what tells two runs apart, and what does not."""

import re
from itertools import product
from typing import Any, get_args

import pytest
from pydantic import ValidationError

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
    explain,
)

CHOICES = [get_args(each) for each in (Depth, Conv, Blocks, Insert, PaperForm, Domain, Clip)]


def every_spec() -> set[RunSpec]:
    """Of all nets that the fields can describe."""
    names = ("depth", "conv", "blocks", "kind", "form", "domain")
    fields = [dict(zip(names, values, strict=False)) | {"clip": values[-1]} for values in product(*CHOICES)]
    return {RunSpec(clip=each.pop("clip"), net=NetSpec(**each)) for each in fields}


def test_a_key_and_its_spec_name_each_other() -> None:
    specs = every_spec()
    assert len(specs) == 2 * 3 * (1 + 6 * (1 + 4 * 3)) * 2
    assert len({spec.key for spec in specs}) == len(specs)
    assert all(RunSpec.of_key(spec.key) == spec for spec in specs)
    assert {row.spec for table in TABLES.chosen(["2"]) for row in table.rows} <= specs


@pytest.mark.parametrize(
    "key",
    [
        "r34-c2d",
        "r50-c2d-nl-res6-dot-time",
        "r50-c2d-nl-res4",
        "r50-c2d-residual-res4-dot-time",
        "r50-c2d-nl",
        "",
        "r50",
    ],
)
def test_a_key_of_no_net_has_no_spec(key: str) -> None:
    assert RunSpec.of_key(key) is None


@pytest.mark.parametrize("form", get_args(PaperForm))
@pytest.mark.parametrize("domain", get_args(Domain))
def test_a_net_without_non_local_blocks_forgets_form_and_domain(form: Any, domain: Any) -> None:
    assert NetSpec(form=form, domain=domain, kind="residual") == NetSpec()
    assert RunSpec(net=NetSpec(form=form, domain=domain)).key == "r50-c2d"
    residual = NetSpec(blocks="5-block", kind="residual", form=form, domain=domain)
    assert (residual, residual.name) == (
        NetSpec(blocks="5-block", kind="residual"),
        "r50-c2d-residual-5-block",
    )
    assert NetSpec(blocks="res4", form=form, domain=domain).name == f"r50-c2d-nl-res4-{form}-{domain}"


def test_long_clips_start_from_short_ones_and_charades_from_long_ones() -> None:
    net = NetSpec(depth=101, conv="3x1x1", blocks="5-block")
    long = RunSpec(net=net, clip="long")
    assert ActionSpec(net=net, split="trainval/test").parent == long
    assert long.parent == RunSpec(net=net)
    assert RunSpec(net=net).parent is None
    assert long.key == "r101-i3d-3x1x1-nl-5-block-embedded-spacetime-long"


def test_sites_are_the_papers() -> None:
    assert SITES[50]["res4"] == ((4, 4),)
    assert SITES[50]["5-block"] == ((3, 1), (3, 3), (4, 1), (4, 3), (4, 5))
    assert SITES[101]["res4"] == ((4, 21),)
    assert SITES[101]["5-block"] == ((3, 1), (3, 3), (4, 6), (4, 13), (4, 20))
    assert [i for stage, i in SITES[101]["10-block"] if stage == 4] == [2, 6, 10, 14, 18, 22]
    assert SITES[50]["10-block"] == tuple(
        (stage, i) for stage in (3, 4) for i in range(STAGE_BLOCKS[50][stage])
    )


@pytest.mark.parametrize("depth", get_args(Depth))
def test_sites_are_as_many_as_the_name_says_and_exist(depth: Any) -> None:
    number = {"none": 0, "5-block": 5, "10-block": 10}
    for blocks, sites in SITES[depth].items():
        assert len(set(sites)) == len(sites) == number.get(blocks, 1)
        assert list(sites) == sorted(sites)
        assert all(0 <= i < STAGE_BLOCKS[depth][stage] for stage, i in sites)
        if blocks not in number:  # right before the last residual block of the stage
            assert sites == ((int(blocks[3]), STAGE_BLOCKS[depth][int(blocks[3])] - 2),)


@pytest.mark.parametrize(
    ("wrong", "allowed"),
    [
        ({"depth": 34}, "depth: Input should be 50 or 101, got 34"),
        ({"conv": "3d"}, "conv: Input should be '2d', '3x1x1' or '3x3x3', got '3d'"),
        ({"domain": "channels"}, "domain: Input should be 'space', 'time' or 'spacetime', got 'channels'"),
        ({"blocks": "res6"}, "blocks: Input should be 'none', 'res2', .* or '10-block', got 'res6'"),
        ({"froms": "dot"}, "froms: Unexpected keyword argument, got 'dot'"),
    ],
)
def test_an_invalid_value_names_the_allowed_ones_and_itself(wrong: dict[str, Any], allowed: str) -> None:
    with pytest.raises(ValidationError) as caught:
        NetSpec(**wrong)
    assert re.fullmatch(allowed, explain(caught.value))


def test_only_keypoint_heads_have_blocks() -> None:
    assert (
        DetectionSpec(kind="keypoints", backbone="r101", head_blocks=True, block=True).key
        == "r101-keypoints-head-nl"
    )
    with pytest.raises(BadInput, match="head_blocks are of the keypoint head"):
        DetectionSpec(kind="boxes", backbone="r101", head_blocks=True)
