"""Graph tools on the block and on VideoResNet: the rows of nlrepro/nets/README.md."""

import copy
import itertools
import re
from collections.abc import Callable, Iterator

import pytest
import torch
from conftest import ROOT
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint
from torchvision.models.feature_extraction import create_feature_extractor

from nlrepro import NonLocalBlock
from nlrepro.config import Geometry
from nlrepro.nets import nonlocal_block as nl
from nlrepro.nets.resnet import VideoResNet
from nlrepro.spec import NetSpec

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


@pytest.mark.rare
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
