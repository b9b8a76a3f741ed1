"""The block and `add_nonlocal` in nets of others."""

import copy
import doctest
import itertools
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from conftest import KINDS, ROOT, SWEPT, smoke_run
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint
from torchvision.models import resnet18, resnet50
from torchvision.models.detection import fasterrcnn_resnet50_fpn
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.models.video import r2plus1d_18, r3d_18

import nlrepro.nets.add_nonlocal
import nlrepro.nets.nonlocal_block
from ablations.modules import MODULES
from nlrepro import NonLocalBlock, add_nonlocal
from nlrepro.config import Geometry, load_profile
from nlrepro.nets import nonlocal_block as nl
from nlrepro.nets.add_nonlocal import places_of
from nlrepro.nets.rcnn import detector
from nlrepro.nets.resnet import VideoResNet
from nlrepro.run import Folders
from nlrepro.spec import SITES, DetectionSpec, NetSpec

Build = Callable[[], nn.Module]


def blocks_in(net: nn.Module) -> list[str]:
    return [name for name, module in net.named_modules() if isinstance(module, NonLocalBlock)]


def detector_backbone() -> nn.Module:
    return fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None).backbone


def conv_and_relu() -> nn.Module:
    return nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1)), nn.Sequential(nn.ReLU()))


IMAGE, CLIP = (2, 3, 64, 64), (1, 3, 4, 32, 32)
FIVE = ["layer2.1", "layer2.3", "layer3.1", "layer3.3", "layer3.5"]
NETS: list[tuple[Build, tuple[int, ...], list[str]]] = [
    (resnet18, IMAGE, ["layer2.1", "layer3.1"]),
    (resnet50, IMAGE, FIVE),
    (r3d_18, CLIP, ["layer2.1", "layer3.1"]),
    (r2plus1d_18, CLIP, ["layer2.1", "layer3.1"]),
    (detector_backbone, IMAGE, [f"body.{place}" for place in FIVE]),
]


def outputs(net: nn.Module, x: Tensor) -> list[Tensor]:
    y = net(x)
    return list(y.values()) if isinstance(y, dict) else [y]


@pytest.mark.parametrize(("build", "shape", "places"), NETS)
def test_torchvisions_nets_stay_what_they_were_until_they_are_trained(
    build: Build, shape: tuple[int, ...], places: list[str]
) -> None:
    torch.manual_seed(0)
    net, x = build().eval(), torch.randn(shape)
    with torch.no_grad():
        names, before = set(net.state_dict()), outputs(net, x)
        assert add_nonlocal(net) is net
        assert all(torch.equal(a, b) for a, b in zip(before, outputs(net, x), strict=True))
    assert blocks_in(net) == [f"{place}_nonlocal" for place in places]
    assert names < set(net.state_dict())  # so that weights of the plain net still load
    assert not any(module.training for module in net.modules())
    net.train()
    sum(y.square().mean() for y in outputs(net, x)).backward()
    assert all(net.get_submodule(name).bn.weight.grad.abs().sum() > 0 for name in blocks_in(net))


def test_places_of_other_depths_follow_the_same_steps() -> None:
    r101, r152, r18 = ({2: 3, 3: 4, 4: 23, 5: 3}, {2: 3, 3: 8, 4: 36, 5: 3}, dict.fromkeys(range(2, 6), 2))
    assert places_of(r101, "5-block") == [*SITES[101]["5-block"]]
    assert places_of(r152, "5-block") == [(3, 3), (3, 7), (4, 11), (4, 23), (4, 35)]
    assert places_of(r152, "res4") == [(4, 34)]
    assert places_of(r18, "10-block") == [(3, 0), (3, 1), (4, 0), (4, 1)]
    assert places_of(r18, "res4") == [(4, 0)]


def test_any_stage_that_is_a_sequential_takes_blocks() -> None:
    stage = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3))
    net = nn.Sequential(nn.Identity(), stage).half()
    add_nonlocal(net, at={"1": [0, -1]}, form="concatenation", domain="space", subsample=False)
    assert blocks_in(net) == ["1.0_nonlocal", "1.2_nonlocal"]
    first, last = net.get_submodule("1.0_nonlocal"), net.get_submodule("1.2_nonlocal")
    assert (first.g.in_channels, last.g.in_channels, last.g.weight.dtype) == (8, 6, torch.float16)
    assert (first.form.name, first.domain, first.subsample) == ("concatenation", "space", False)
    assert blocks_in(add_nonlocal(nn.Sequential(nn.Conv2d(3, 4, 1)), at={"": [0]})) == ["0_nonlocal"]


@pytest.mark.parametrize(
    ("build", "options", "words"),
    [
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 1)), {}, "Sequential has no stages layer1, .* give `at`"),
        (resnet18, {"at": {"layer9": [0]}}, "ResNet has no stage 'layer9'"),
        (resnet18, {"at": {"layer1": [2]}}, "the stage 'layer1' has 2 blocks, counted from 0; got 2"),
        (resnet18, {"at": {"conv1": [0]}}, "must be an nn.Sequential, got Conv2d"),
        (lambda: add_nonlocal(resnet18()), {}, "the stage 'layer2' has non-local blocks already"),
        (conv_and_relu, {"at": {"0": [0], "1": [0]}}, "the channels of ReLU are not known"),
        (resnet18, {"blocks": "7-block"}, "blocks must be one of none, .*got '7-block'"),
        (resnet18, {"form": "cosine"}, "form must be one of gaussian, .*got 'cosine'"),
        (resnet18, {"domain": "depth"}, "domain must be one of space, time, spacetime, got 'depth'"),
    ],
)
def test_what_cannot_be_done_is_an_error_and_nothing_is_changed(
    build: Build, options: dict[str, object], words: str
) -> None:
    net = build()
    before = str(net)
    with pytest.raises(ValueError, match=words):
        add_nonlocal(net, **options)  # type: ignore[arg-type]
    assert str(net) == before


@pytest.mark.parametrize("module", [nlrepro, nlrepro.nets.add_nonlocal, nlrepro.nets.nonlocal_block])
def test_examples_in_docstrings_give_what_they_show(module: object) -> None:
    results = doctest.testmod(module)  # type: ignore[arg-type]
    assert results.attempted
    assert not results.failed


def public_modules() -> dict[str, nn.Module]:
    """Every net and Lightning module; of the nets those with blocks."""
    kinds = {"2a": SWEPT[1], "4": KINDS[1], "5": KINDS[2], "6": KINDS[3]}
    runs = {table: smoke_run(key, Folders()) for table, key in kinds.items()}
    learners = {table: MODULES[table](run.spec, run.profile) for table, run in runs.items()}
    profile = load_profile("coco-smoke")
    points = DetectionSpec(kind="keypoints", backbone="r50", block=True, head_blocks=True)
    return {**learners, "detector": detector(points, profile)[0], "torchvision": add_nonlocal(resnet18())}


def saved(net: nn.Module) -> nn.Module:
    torch.save(net, file := BytesIO())
    file.seek(0)
    return torch.load(file, weights_only=False)


def test_modules_can_be_pickled_saved_copied_and_sent_to_spawned_processes() -> None:
    modules = public_modules()
    for name, net in modules.items():
        for copied in (pickle.loads(pickle.dumps(net)), saved(net), copy.deepcopy(net)):
            assert str(copied) == str(net), name
            assert all(map(torch.equal, copied.state_dict().values(), net.state_dict().values())), name
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert [*pool.map(str, modules.values())] == [*map(str, modules.values())]


# Graph tools: the rows of nlrepro/nets/README.md

Tool = Callable[[nn.Module, Tensor], Tensor]  # net, x -> net(x), by that tool


def loss(net: nn.Module, parameters: dict[str, Tensor], clip: Tensor) -> Tensor:
    return functional_call(net, parameters, (clip.unsqueeze(0),)).square().sum()


def of_each_clip(net: nn.Module, x: Tensor) -> Tensor:
    parameters = dict(net.named_parameters())
    each = vmap(grad(loss, 1), (None, None, 0))(net, parameters, x)
    one = grad(loss, 1)(net, parameters, x[0])
    assert all(
        (each[name][0] - one[name]).norm() < 1e-3 * max(x.norm() for x in one.values()) for name in one
    )
    return net(x)


def exported(net: nn.Module, x: Tensor) -> Tensor:
    batch = {0: torch.export.Dim.DYNAMIC}
    graph = torch.export.export(net, (torch.cat([x, x]),), dynamic_shapes=(batch,)).module()
    assert isinstance(graph, torch.fx.GraphModule)
    return graph(x)


def twice(net: nn.Module, x: Tensor) -> Tensor:
    z = net(x := x.clone().requires_grad_())
    torch.autograd.grad(z.square().sum(), x, create_graph=True)[0].square().sum().backward()
    return z


def checkpointed(net: nn.Module, x: Tensor) -> Tensor:
    z = checkpoint(net, x.clone().requires_grad_(), use_reentrant=False)
    z.sum().backward()
    return z


def last_of(net: nn.Module) -> str:
    return [name for name, _ in net.named_children()][-1]


def leaf_or_hook(net: nn.Module, x: Tensor) -> Tensor:
    if isinstance(net, NonLocalBlock):
        return create_feature_extractor(
            nn.Sequential(net).eval(), ["0"], tracer_kwargs={"leaf_modules": [NonLocalBlock]}
        )(x)["0"]
    outputs: list[Tensor] = []
    with net.get_submodule(last_of(net)).register_forward_hook(lambda *call: outputs.append(call[2])):
        net(x)
    return outputs[0]


def math(tool: Tool) -> Tool:
    return sdpa_kernel(SDPBackend.MATH)(tool)


TOOLS: dict[str, tuple[Tool, Tool | None]] = {  # each with its way round
    "torch.compile": (lambda net, x: torch.compile(net, fullgraph=True, backend="eager")(x), None),
    "torch.export.export": (exported, None),
    "torch.jit.trace(net, x)": (lambda net, x: torch.jit.trace(net, x)(x), None),
    "torch.jit.trace(net.half(), x.half())": (
        lambda net, x: torch.jit.trace(copy.deepcopy(net).half(), x.half())(x.half()),
        lambda net, x: exported(copy.deepcopy(net).half(), x.half()).float(),
    ),
    "torch.jit.script": (lambda net, x: torch.jit.script(net)(x), lambda net, x: torch.jit.trace(net, x)(x)),
    "torch.fx.symbolic_trace": (lambda net, x: torch.fx.symbolic_trace(net)(x), exported),
    "create_feature_extractor": (
        lambda net, x: create_feature_extractor(copy.deepcopy(net), [last_of(net)])(x)[last_of(net)],
        leaf_or_hook,
    ),
    "torch.func.functional_call": (
        lambda net, x: [grad(loss, 1)(net, dict(net.named_parameters()), x[0]), net(x)][1],
        None,
    ),
    "torch.func.vmap` over": (lambda net, x: vmap(lambda clip: net(clip.unsqueeze(0)).squeeze(0))(x), None),
    "torch.func.vmap` of": (of_each_clip, None),
    "torch.func.jvp": (lambda net, x: jvp(net, (x,), (x,))[0], math(lambda net, x: jvp(net, (x,), (x,))[0])),
    "torch.autograd.grad` twice": (twice, math(twice)),
    "torch.utils.checkpoint": (checkpointed, None),
}
ROWS = re.findall(
    r"^\| `(.*?) \| (yes|no|not fused) \| (.*?)\|$", (ROOT / "nlrepro/nets/README.md").read_text(), re.M
)
DOMAINS = itertools.cycle(("spacetime", "space", "time"))
CASES = [(form, next(DOMAINS), large) for form in nl.forms() for large in (False, True)]


def cases(geometry: Geometry) -> Iterator[tuple[nn.Module, Tensor, bool, bool]]:
    """A block or a net in eval mode, x, whether maps count as large, and whether attention is fused."""
    for form, domain, large in CASES:
        torch.manual_seed(0)
        fused = form == "embedded" or (form == "gaussian" and large)
        nets: list[tuple[nn.Module, Tensor]] = [(NonLocalBlock(4, form, domain), torch.randn(2, 4, 2, 4, 4))]
        if form == "embedded" and not large:
            spec = NetSpec(blocks="res4", form=form, domain=domain)
            nets.append((VideoResNet(spec, geometry, 3), torch.randn(2, 3, 2, 16, 16)))
        for net, x in nets:
            for module in net.modules():
                if isinstance(module, nn.BatchNorm3d):
                    nn.init.ones_(module.weight)
            yield net.eval(), x, large, fused


@pytest.mark.filterwarnings("ignore")  # jit is deprecated, and tells of branches on shapes
@pytest.mark.parametrize(("tool", "works", "advice"), ROWS, ids=[row[0] for row in ROWS])
def test_graph_tools_work_or_have_a_way_round_as_the_table_says(
    tiny_net: Geometry, monkeypatch: pytest.MonkeyPatch, tool: str, works: str, advice: str
) -> None:
    (key,) = (key for key in TOOLS if tool.startswith(key))
    use, way_round = TOOLS[key]
    assert bool(advice.strip()) == (way_round is not None) == (works != "yes")
    for net, x, large, fused in cases(tiny_net):
        for limit in ("HELD", "SORTED"):
            monkeypatch.setattr(nl, limit, 0 if large else 1 << 22)
        torch.compiler.reset()
        with torch.no_grad():
            expected = net(x)
        fails = works == "no" or (works == "not fused" and fused)
        if fails:
            with pytest.raises((RuntimeError, torch.fx.proxy.TraceError)):  # a NotImplementedError is one
                use(net, x)
        tolerance = 1e-2 if "half" in tool else 1e-4
        y = (way_round if fails and way_round else use)(net, x)
        torch.testing.assert_close(y, expected, rtol=tolerance, atol=tolerance)


def test_the_table_of_graph_tools_has_a_row_of_each() -> None:
    assert [next(key for key in TOOLS if row[0].startswith(key)) for row in ROWS] == [*TOOLS]


@pytest.mark.rare
def test_an_installed_copy_works_outside_of_a_checkout(data: Path, tmp_path: Path) -> None:
    """With the pretrained nets that it ships, in a folder that has nothing of the project."""
    source, site, away = (tmp_path / name for name in ("source", "site", "away"))
    away.mkdir()
    for name in ("ablations", "nlrepro"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    environment = os.environ | {"PYTHONPATH": str(site)}
    for words in (
        ["pip", "install", "--quiet", "--no-deps", "--target", site, source],
        ["ablations", "run", "r50-c2d", "--profile", "smoke", "--data", data],
        ["ablations", "report", "2a", "--profile", "smoke"],
    ):
        line = [sys.executable, "-P", "-m", *map(str, words)]
        done = subprocess.run(line, cwd=away, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (away / "results" / "local" / "report.html").is_file()
