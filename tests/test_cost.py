"""Counted costs against the paper's Table 2e."""

from dataclasses import replace

import pytest

from nlrepro.nets.cost import cost
from nlrepro.profile import Clips, Geometry, Profile
from nlrepro.record import Cost
from nlrepro.spec import Conv, NetSpec, RunSpec


@pytest.fixture
def paper(smoke: Profile, paper_net: Geometry) -> Profile:
    """The paper's net on its 32 x 224 x 224 clips."""
    clips = {"short": Clips(frames=32, stride=2, classes=400, anywhere=True)}
    return replace(smoke, net=paper_net, clips=clips, data=replace(smoke.data, size=224))


def test_the_r101_baseline_costs_what_the_paper_says(paper: Profile) -> None:
    found = cost(RunSpec(net=NetSpec(depth=101)), paper)
    assert found == Cost(params=43_319_760, macs=35_286_188_032)
    assert found.params == pytest.approx(43.2e6, rel=0.005)  # section 5.1: 43.2 M parameters and
    assert found.macs == pytest.approx(34.2e9, rel=0.035)  # 34.2 B FLOPs, which their code's 55 x 55 maps in res2 make fewer


@pytest.mark.parametrize(
    ("conv", "blocks", "params", "macs"),
    [("3x3x3", "none", 1.5625, 1.7382), ("3x1x1", "none", 1.2182, 1.4645), ("2d", "5-block", 1.1699, 1.3177)],
)
def test_golden_ratios_of_table_2e(paper: Profile, conv: Conv, blocks: str, params: float, macs: float) -> None:
    """Of the paper's text; its own, of the released code's variants, are 1.5/1.8, 1.2/1.5 and 1.2/1.2."""
    base = cost(RunSpec(net=NetSpec(depth=101)), paper)
    found = cost(RunSpec(net=NetSpec(depth=101, conv=conv, blocks=blocks)), paper)  # type: ignore[arg-type]
    assert found.params / base.params == pytest.approx(params, abs=6e-5)
    assert found.macs / base.macs == pytest.approx(macs, abs=6e-5)


def test_one_block_costs_what_its_formula_says(paper: Profile) -> None:
    """Before res4's last block: C = 1024, K = 512, N = 4 14 14 queries, M = 4 7 7 keys: 4 C K N + 2 N M K multiply-adds."""
    base, found = (cost(RunSpec(net=NetSpec(blocks=blocks)), paper) for blocks in ("none", "res4"))
    n, m = 4 * 14 * 14, 4 * 7 * 7
    assert found.macs - base.macs == 4 * 1024 * 512 * n + 2 * n * m * 512
