"""What a net looks at in a video: from a file of weights and one of video to an `Attention`, which reports draw."""

from pathlib import Path

import torch
from torch import Tensor

from nlrepro.attention.compared import Compared, centres, compared
from nlrepro.attention.looks import Attention, Position, Spot
from nlrepro.config import Data, Profile
from nlrepro.data import Frames
from nlrepro.data.crops import MIDDLE, ClipSample, Crop
from nlrepro.data.kinetics.clips import FileClips
from nlrepro.data.kinetics.facts import Facts, examine
from nlrepro.data.videos import Tree
from nlrepro.files import BadInput
from nlrepro.nets.block import NonLocalBlock
from nlrepro.nets.reading import tensors
from nlrepro.nets.resnet import VideoResNet
from nlrepro.released.evaluate import identify, load, of_weights
from nlrepro.spec import RunSpec

SHOWN = 256  # pixels of the shorter side of frames that are shown, about


def facts_of(video: Path) -> Facts:
    """Frames, rate and size of a video.

    Raises:
        BadInput: there is no such video, or it cannot be read.
    """
    found = examine(video.parent, video.name)
    if found.reason:
        raise BadInput(f"cannot read the video {video}: {found.reason}; give another one")
    return found


def clip_of(video: Path, profile: Profile, spec: RunSpec, where: float, times: int = 1) -> Frames:
    """The clip at the fraction `where` of the video, cropped as in tests, in the middle; each side `times` as large.

    Raises:
        BadInput: the video cannot be read.
    """
    size = profile.data.size
    crop = Crop(size, size)
    if profile.real:
        side = profile.real.test_side
        crop = Crop(side, side if profile.release else None)
    square = times * crop.size if crop.size else None
    tree = Tree(folder=video.parent, classes=(), videos=(video.name,), labels=(0,))
    clips = FileClips(tree, [facts_of(video)], profile.clips[spec.clip])
    return clips.clip(ClipSample(0, where, crop._replace(side=times * crop.side, size=square)))


def normalised(clip: Frames, data: Data) -> Tensor:
    """As nets see it: (T, H, W, 3) uint8 -> (1, 3, T, H, W)."""
    pixels = (torch.from_numpy(clip.copy()).float() - torch.tensor(data.mean)) / torch.tensor(data.std)  # (T, H, W, 3)
    return pixels.permute(3, 0, 1, 2).unsqueeze(0)  # (1, 3, T, H, W)


def net_of(file: Path, spec: RunSpec, profile: Profile) -> tuple[VideoResNet, Profile]:
    """The net of these weights, and the profile with the clips and pixels that it wants.

    Raises:
        BadInput: the weights are missing, damaged or do not fit.
    """
    fitting, net = of_weights(identify(file, spec, profile), spec, profile)
    load(net, tensors(file), file)
    return net.eval(), fitting


def block_of(net: VideoResNet, name: str | None) -> str:
    """`name`, or the first block: the features that it compares are of one place each, those of later ones are already mixed.

    Raises:
        BadInput: the net has no non-local block, or none of that name.
    """
    names = [name for name, block in net.inserted.items() if isinstance(block, NonLocalBlock)]
    if not names:
        raise BadInput(
            f"{net.spec.name} has no non-local block to look at; give weights of a net that has, such as r50-c2d-nl-..."
        )
    if name and name not in names:
        raise BadInput(f"{net.spec.name} has no block {name!r}; use one of {', '.join(names)}")
    return name or names[0]


def position(found: Compared, at: tuple[int, int, int] | None, strongest: int) -> Position:
    """`at`, or the position that looks farthest.

    Raises:
        BadInput: it lies outside the map.
    """
    if at is None:
        return found.farthest(strongest)
    if any(not 0 <= i < side for i, side in zip(at, found.shape, strict=True)):
        t, y, x = (side - 1 for side in found.shape)
        raise BadInput(
            f"the block's map has frames 0 to {t}, rows 0 to {y} and columns 0 to {x}, got {','.join(map(str, at))}; "
            "give T,Y,X within it"
        )
    return Position(*at)


def attend(
    video: Path,
    file: Path,
    spec: RunSpec,
    profile: Profile,
    *,
    block: str | None = None,
    at: tuple[int, int, int] | None = None,
    strongest: int = 20,
    where: float = MIDDLE,
) -> Attention:
    """What a position of a block looks at, in the clip at the fraction `where` of a video.

    Raises:
        BadInput: weights, video, block or position are missing, damaged or do not fit.
    """
    net, fitting = net_of(file, spec, profile)
    name = block_of(net, block)
    seen = clip_of(video, fitting, spec, where)  # (T, H, W, 3)
    facts = facts_of(video)
    times = max(min(facts.width, facts.height, SHOWN) // min(seen.shape[1:3]), 1)
    found = compared(net, name, normalised(seen, fitting.data))
    look = found.look(position(found, at, strongest), strongest)
    time, height, width = centres(net, int(name[3]))

    def frame(t: float) -> int:
        return min(max(round(time.centre(t)), 0), len(seen) - 1)

    def spot(place: Position) -> Spot:
        y, x = (times * (axis.centre(i) + 0.5) - 0.5 for axis, i in ((height, place.y), (width, place.x)))
        return Spot(frame(place.t), min(max(x, 0.0), times * seen.shape[2] - 1.0), min(max(y, 0.0), times * seen.shape[1] - 1.0))

    return Attention(
        key=spec.key,
        block=name,
        look=look,
        shape=found.shape,
        softmax=found.block.form.softmax,
        pooled=found.pooled,
        frames=clip_of(video, fitting, spec, where, times) if times > 1 else seen,
        start=spot(look.query),
        ends=tuple(map(spot, look.keys)),
        columns=tuple(map(frame, range(found.shape[0]))),
    )
