"""The page on the paper says what the code does: its tables are those of nets, sites, profiles and costs."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import groupby
from typing import get_args

import pytest
import torch
from conftest import ROOT
from torch import Tensor, nn

from nlrepro.config import Architecture, Profile, load_profile
from nlrepro.data.crops import view_crops
from nlrepro.nets.cost import cost
from nlrepro.nets.resnet import VideoResNet, inflated
from nlrepro.paper import cost_ratios
from nlrepro.spec import DEPTHS, SITES, STAGE_BLOCKS, Blocks, Clip, NetSpec, RunSpec, Site

Table = list[list[str]]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)


def table(heading: str) -> Table:
    """The first table below a heading of the page, without its head."""
    below = (ROOT / "nlrepro/paper/README.md").read_text().partition(f"\n## {heading}\n")[2]
    found = re.search(r"^\|.*?\n\n", below, re.DOTALL | re.MULTILINE)
    assert found, heading
    return [[cell.strip().replace("`", "") for cell in line[1:-1].split("|")] for line in found[0].strip().splitlines()[2:]]


def of(architecture: Architecture) -> Profile:
    paper = load_profile("paper")
    return replace(paper, geometry=replace(paper.geometry, architecture=architecture))


def sizes(profile: Profile, spec: NetSpec) -> dict[str, str]:
    """Frames x height x width of what each layer puts out, of one short clip; a folded batch is its frames."""
    found: dict[str, str] = {}

    def note(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda module, inputs, x: found.update({name: f"{len(x)} x {x.shape[2]} x {x.shape[3]}"})

    size = profile.data.size
    with torch.device("meta"):
        net = VideoResNet(spec, profile.geometry, 9).eval()
        net.bn1.register_forward_hook(note("conv1"))
        for stage in range(2, 6):
            list(net.get_submodule(f"layer{stage - 1}").children())[-1].register_forward_hook(note(f"res{stage}"))
        for layer, after in (("pool1", "layer1.0"), ("pool2", "layer2.0")):
            net.get_submodule(after).register_forward_pre_hook(lambda m, x, layer=layer: note(layer)(m, None, x[0]))
        net(torch.empty(1, 3, profile.clips["short"].frames, size, size))
    return found


@pytest.mark.parametrize("spec", [NetSpec(), NetSpec(depth=101, conv="3x1x1")], ids=lambda spec: spec.name)
def test_the_sizes_are_those_of_the_nets(spec: NetSpec) -> None:
    columns = [sizes(profile, spec) for profile in (of("text"), of("release"), load_profile("mini"))]
    assert [[row[0], *row[2:]] for row in table("The nets")] == [
        [layer, *(column[layer] for column in columns)] for layer in ("conv1", "pool1", "res2", "pool2", "res3", "res4", "res5")
    ]


def places(sites: Iterable[Site]) -> str:
    """ "res3 1, 3; res4 5"."""
    return "; ".join(f"res{stage} {', '.join(str(i) for _, i in of)}" for stage, of in groupby(sites, key=lambda site: site[0]))


def test_the_places_are_those_of_the_specs() -> None:
    names: list[Blocks] = ["res2", "res3", "res4", "res5", "5-block", "10-block"]
    assert table("Where blocks sit") == [[name, *(places(SITES[depth][name]) for depth in DEPTHS)] for name in names]


def test_the_inflated_blocks_are_those_of_the_nets() -> None:
    assert table("I3D") == [
        [f"res{stage}", *(", ".join(str(i) for i in range(number) if inflated(a, stage, i)) for a in ARCHITECTURES)]
        for stage, number in STAGE_BLOCKS[50].items()
    ]


def recipe(profile: Profile, clip: Clip) -> dict[str, str]:
    clips, recipe, views = profile.clips[clip], profile.recipes[clip], str(profile.data.views)
    if profile.real:
        views += f" clips x {len(view_crops(profile.real, profile.release))} crops"
    rates = {
        "steps": f"divided by 10 at {' and '.join(f'{step:,}' for step in recipe.milestones)}",
        "one-cycle": f"one cycle, rising for {recipe.warmup:.0%}",
    }
    return {
        "frames of a clip": f"{clips.frames}, every {clips.stride}" if clips.stride > 1 else str(clips.frames),
        "size": str(profile.data.size),
        "classes": str(clips.classes),
        "steps": f"{recipe.steps:,}",
        "clips a step": str(recipe.batch),
        "optimiser": f"SGD, momentum {recipe.momentum}" if recipe.optimizer == "sgd" else "AdamW",
        "learning rate": f"{recipe.lr:g}",
        "schedule": rates[recipe.schedule],
        "weight decay": f"{recipe.weight_decay:g}",
        "gradient norm": f"at most {recipe.clip_norm:g}" if recipe.clip_norm else "--",
        "dropout": f"{profile.geometry.dropout:g}",
        "normalisation": "frozen" if recipe.frozen_norm else "trained",
        "views of a test video": views,
    }


def test_the_recipes_are_those_of_the_profiles() -> None:
    columns = [recipe(load_profile(name), clip) for name in ("paper", "mini") for clip in ("short", "long")]
    assert table("Training and test") == [[name, *(column[name] for column in columns)] for name in columns[0]]


def test_the_cost_ratios_are_those_of_the_nets() -> None:
    rows = {
        "I3D 3x3x3": NetSpec(depth=101, conv="3x3x3"),
        "I3D 3x1x1": NetSpec(depth=101, conv="3x1x1"),
        "NL C2D, 5-block": NetSpec(depth=101, blocks="5-block"),
    }
    expected: Table = []
    for label, spec in rows.items():
        cells = [" / ".join(f"{ratio:.1f}" for ratio in cost_ratios()["2e", 101, label])]
        for architecture in ("release", "text"):
            base, found = (cost(RunSpec(net=net), of(architecture)) for net in (NetSpec(depth=101), spec))
            cells.append(f"{found.params / base.params:.3f} / {found.macs / base.macs:.3f}")
        expected.append([label, *cells])
    assert table("Cost") == expected
