"""Non-local blocks for a net of one's own: where the paper puts them (section 3.3), into any ResNet of torchvision's kind."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from torch import nn

from nlrepro.nets.block import NonLocalBlock
from nlrepro.spec import SITES, STAGE_BLOCKS, Blocks, Domain

Net = TypeVar("Net", bound=nn.Module)
At = Mapping[str, Sequence[int]]  # name of a stage -> the blocks in it after which a non-local one comes

STAGES = {2: "layer1", 3: "layer2", 4: "layer3", 5: "layer4"}  # torchvision counts from 1 what the paper calls res2


def add_nonlocal(
    net: Net,
    blocks: Blocks = "5-block",
    *,
    form: str = "embedded",
    domain: Domain = "spacetime",
    subsample: bool = True,
    at: At | None = None,
) -> Net:
    """Put non-local blocks into a net, in place; the net is returned, and computes what it did before, until it is trained.

    `blocks` are the paper's: "5-block", every other residual block of res3 and res4; "10-block", every one of them; "res2" to
    "res5", one before the last residual block of that stage. They need stages layer1 to layer4, as torchvision's ResNets for
    images, for videos and in detection have them. Any other net whose stages are `nn.Sequential`s says `at` which blocks of these
    a non-local one comes: {"layer3": [1, 3]}, {"": [0]} if the net is a stage itself. Parameters keep their names.

        >>> from torchvision.models import resnet50
        >>> net = add_nonlocal(resnet50(), "5-block")
        >>> [name for name, module in net.named_modules() if isinstance(module, NonLocalBlock)]
        ['layer2.1_nonlocal', 'layer2.3_nonlocal', 'layer3.1_nonlocal', 'layer3.3_nonlocal', 'layer3.5_nonlocal']

        >>> from torchvision.models.video import r3d_18
        >>> net = add_nonlocal(r3d_18(), "res4", form="dot", domain="time")

    Raises:
        ValueError: the net has no such stages or blocks, or non-local ones already; nothing is changed then.
    """
    chosen = dict(at) if at is not None else paper_places(net, blocks)
    stages = {name: stage_of(net, name, places) for name, places in chosen.items()}
    make = partial(NonLocalBlock, form=form, domain=domain, subsample=subsample)
    longer = {name: with_blocks(stage, chosen[name], make) for name, stage in stages.items()}
    for name, stage in stages.items():
        stage._modules = longer[name]  # a Sequential runs its modules in this order, whatever their names are
    return net


def with_blocks(stage: nn.Sequential, places: Sequence[int], make: Callable[[int], NonLocalBlock]) -> dict[str, nn.Module]:
    """The modules of a stage with new blocks among them, on the device, of the type and in the mode of those before."""
    modules: dict[str, nn.Module] = {}
    for i, (name, module) in enumerate(stage.named_children()):
        modules[name] = module
        if i in {place % len(stage) for place in places}:
            modules[f"{name}_nonlocal"] = make(channels_of(module)).to(next(module.parameters())).train(module.training)
    return modules


def paper_places(net: nn.Module, blocks: Blocks) -> dict[str, list[int]]:
    """The full names of the net's stages -> the paper's places in them."""
    inside = next(
        (name for name, module in net.named_modules() if all(hasattr(module, stage) for stage in STAGES.values())), None
    )
    if inside is None:
        raise ValueError(
            f"{type(net).__name__} has no stages {', '.join(STAGES.values())}; say `at` which blocks non-local ones come"
        )
    names = {number: f"{inside}.{stage}".lstrip(".") for number, stage in STAGES.items()}
    lengths = {number: len(stage_of(net, name, ())) for number, name in names.items()}
    found: dict[str, list[int]] = {}
    for number, i in places_of(lengths, blocks):
        found.setdefault(names[number], []).append(i)
    return found


def places_of(lengths: dict[int, int], blocks: Blocks) -> list[tuple[int, int]]:
    """(stage, residual block) by the paper's rules: as the spec has them for ResNet-50 and -101, by the same steps for others."""
    for depth, known in STAGE_BLOCKS.items():
        if known == lengths:
            return list(SITES[depth][blocks])
    if blocks.startswith("res"):
        stage = int(blocks.removeprefix("res"))
        return [(stage, max(lengths[stage] - 2, 0))]
    wanted = {"none": {}, "5-block": {3: 2, 4: 3}, "10-block": {3: 4, 4: 6}}[blocks]
    every = 2 if blocks == "5-block" else 1
    return [
        (stage, i) for stage, count in wanted.items() for i in spread(lengths[stage], min(count, max(lengths[stage] // every, 1)))
    ]


def spread(length: int, count: int) -> list[int]:
    """The last of each of `count` equal parts of a stage: (6, 3) -> [1, 3, 5]."""
    return [(part + 1) * (length // count) - 1 for part in range(count)]


def stage_of(net: nn.Module, name: str, places: Sequence[int]) -> nn.Sequential:
    """
    Raises:
        ValueError: there is no such stage, or it has not these blocks, or a non-local one already.
    """
    try:
        stage = net.get_submodule(name)
    except AttributeError:
        raise ValueError(f"{type(net).__name__} has no stage {name!r}") from None
    if not isinstance(stage, nn.Sequential):
        raise ValueError(f"the stage {name!r} must be an nn.Sequential, got {type(stage).__name__}")
    if any(isinstance(module, NonLocalBlock) for module in stage.modules()):
        raise ValueError(f"the stage {name!r} has non-local blocks already")
    wrong = [place for place in places if not -len(stage) <= place < len(stage)]
    if wrong:
        raise ValueError(f"the stage {name!r} has {len(stage)} blocks, counted from 0; got {wrong[0]}")
    return stage


def channels_of(block: nn.Module) -> int:
    """The channels that a block of convolutions gives: those of its last one, a shortcut's being as many."""
    channels = [module.out_channels for module in block.modules() if isinstance(module, nn.Conv2d | nn.Conv3d)]
    if not channels:
        raise ValueError(f"nothing tells the channels of {type(block).__name__}: it has no convolution")
    return channels[-1]
