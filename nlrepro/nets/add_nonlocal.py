"""Non-local blocks at the paper's places (section 3.3) in your own net: any ResNet like torchvision's."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar, get_args

from torch import nn

from nlrepro.nets.later_blocks import SUCCESSORS, Successor
from nlrepro.nets.nonlocal_block import NonLocalBlock
from nlrepro.spec import SITES, STAGE_BLOCKS, Blocks, Domain

Net = TypeVar("Net", bound=nn.Module)
At = Mapping[str, Sequence[int]]  # name of a stage -> numbers of its blocks that a non-local one follows

STAGES = {2: "layer1", 3: "layer2", 4: "layer3", 5: "layer4"}  # torchvision's names of res2 to res5


def add_nonlocal(
    net: Net,
    blocks: Blocks = "5-block",
    *,
    block: str = "nonlocal",
    form: str = "embedded",
    domain: Domain = "spacetime",
    subsample: bool = True,
    at: At | None = None,
) -> Net:
    """Put non-local blocks into a net, in place, and return it.

    It computes what it did before until it is trained, and its parameters keep their names. `block` names one
    that came after the paper's (nlrepro/nets/later_blocks.py), to which `form`, `domain` and `subsample` mean
    nothing.

    `blocks` are the paper's: "5-block", after every other residual block of res3 and res4; "10-block", after
    every one; "res2" to "res5", one before the last residual block of that stage. They need stages layer1 to
    layer4, which torchvision's ResNets for images, for videos and in detection have. For other nets, whose
    stages are `nn.Sequential`s, `at` names the blocks that a non-local one follows: {"layer3": [1, 3]}, or
    {"": [0]} if the net is a stage itself.

        >>> from torchvision.models import resnet50
        >>> net = add_nonlocal(resnet50(), "5-block")
        >>> [name for name, module in net.layer3.named_modules() if isinstance(module, NonLocalBlock)]
        ['1_nonlocal', '3_nonlocal', '5_nonlocal']

        >>> from torchvision.models.video import r3d_18
        >>> net = add_nonlocal(r3d_18(), "res4", form="dot", domain="time")

    Raises:
        ValueError: the net has no such stages or blocks, or non-local ones already; nothing is changed then.
    """
    places = dict(at) if at is not None else paper_places(net, blocks)
    stages = {name: stage_of(net, name, numbers) for name, numbers in places.items()}
    if block not in ("nonlocal", *SUCCESSORS):
        raise ValueError(f"block must be one of nonlocal, {', '.join(SUCCESSORS)}, got {block!r}")
    make: Callable[[int], nn.Module] = partial(NonLocalBlock, form=form, domain=domain, subsample=subsample)
    make = SUCCESSORS.get(block, make)
    modules = {name: with_blocks(stage, places[name], make) for name, stage in stages.items()}
    for name, stage in stages.items():
        stage._modules = modules[name]  # a Sequential runs them in this order, whatever their names
    return net


def with_blocks(
    stage: nn.Sequential, places: Sequence[int], make: Callable[[int], nn.Module]
) -> dict[str, nn.Module]:
    """The modules of a stage with new blocks, of the device, type and mode of the modules before them."""
    modules: dict[str, nn.Module] = {}
    after = {place % len(stage) for place in places}
    for i, (name, module) in enumerate(stage.named_children()):
        modules[name] = module
        if i in after:
            block = make(channels_of(modules.values())).to(next(stage.parameters()))
            modules[f"{name}_nonlocal"] = block.train(module.training)
    return modules


def paper_places(net: nn.Module, blocks: Blocks) -> dict[str, list[int]]:
    """The paper's places in a net: full name of a stage -> numbers of residual blocks."""
    names = STAGES.values()
    trunks = (name for name, module in net.named_modules() if all(hasattr(module, stage) for stage in names))
    trunk = next(trunks, None)
    if trunk is None:
        advice = "give `at`, the blocks that non-local ones follow"
        raise ValueError(f"{type(net).__name__} has no stages {', '.join(names)}; {advice}")
    full = {number: f"{trunk}.{name}".lstrip(".") for number, name in STAGES.items()}
    lengths = {number: len(stage_of(net, name, ())) for number, name in full.items()}
    places: dict[str, list[int]] = {}
    for number, i in places_of(lengths, blocks):
        places.setdefault(full[number], []).append(i)
    return places


def places_of(lengths: dict[int, int], blocks: Blocks) -> list[tuple[int, int]]:
    """(stage, residual block) in stages of these lengths.

    For ResNet-50 and -101 they are those of the spec; for others they follow by the same steps: the last of
    each of some equal parts of a stage.
    """
    if blocks not in get_args(Blocks):
        raise ValueError(f"blocks must be one of {', '.join(get_args(Blocks))}, got {blocks!r}")
    for depth, known in STAGE_BLOCKS.items():
        if known == lengths:
            return list(SITES[depth][blocks])
    if blocks.startswith("res"):
        stage = int(blocks.removeprefix("res"))
        return [(stage, max(lengths[stage] - 2, 0))]
    most = {"none": {}, "5-block": {3: 2, 4: 3}, "10-block": {3: 4, 4: 6}}[blocks]
    every, places = 2 if blocks == "5-block" else 1, list[tuple[int, int]]()
    for stage, number in most.items():
        number = min(number, max(lengths[stage] // every, 1))
        places += [(stage, part * (lengths[stage] // number) - 1) for part in range(1, number + 1)]
    return places


def stage_of(net: nn.Module, name: str, places: Sequence[int]) -> nn.Sequential:
    """The stage of this name; it must have such places, and no non-local block yet."""
    try:
        stage = net.get_submodule(name)
    except AttributeError:
        raise ValueError(f"{type(net).__name__} has no stage {name!r}") from None
    if not isinstance(stage, nn.Sequential):
        raise ValueError(f"the stage {name!r} must be an nn.Sequential, got {type(stage).__name__}")
    if any(isinstance(module, NonLocalBlock | Successor) for module in stage.modules()):
        raise ValueError(f"the stage {name!r} has non-local blocks already")
    outside = [place for place in places if not -len(stage) <= place < len(stage)]
    if outside:
        raise ValueError(f"the stage {name!r} has {len(stage)} blocks, counted from 0; got {outside[0]}")
    return stage


def channels_of(modules: Iterable[nn.Module]) -> int:
    """The output channels of modules in a row: those of their last convolution; a shortcut has as many."""
    *_, last = modules
    convolutions = [
        part for module in modules for part in module.modules() if isinstance(part, nn.Conv2d | nn.Conv3d)
    ]
    if not convolutions:
        raise ValueError(f"the channels of {type(last).__name__} are not known: there is no convolution")
    return convolutions[-1].out_channels
