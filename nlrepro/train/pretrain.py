"""The nets that runs on generated videos start from. They tag stills: which digits, which card, in which ink.

The tags are of all that a frame shows: a non-local block can only match what the features that it compares
contain. Maintainers run it; users need not:

    python -m nlrepro.train.pretrain --depth 50 --profile mini
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nlrepro.config import Generator, Profile, load_profile
from nlrepro.data.synthetic.card_videos import pretraining_image, tags
from nlrepro.files import BadInput, write_atomic
from nlrepro.nets.resnet import VideoResNet
from nlrepro.nets.weights import convert_floats, read_tensors
from nlrepro.pretrained import net_path, note_path, pretraining_parts, pretraining_settings
from nlrepro.processes import progress_bar
from nlrepro.spec import Depth, NetSpec
from nlrepro.train.checkpoint import state_bytes
from nlrepro.train.loop import provenance

TEST_BATCH = 250


def stills(task: Generator, split: str, numbers: range) -> tuple[Tensor, Tensor]:
    """The stills (B, H, W, 3) uint8 of these numbers, and their tags (B, tags)."""
    images = [pretraining_image(task, split, number) for number in numbers]
    frames = torch.from_numpy(np.stack([frame for frame, _ in images]))  # (B, H, W, 3)
    return frames, torch.from_numpy(np.stack([of_frame for _, of_frame in images]))  # (B, tags)


def scores(net: VideoResNet, frames: Tensor, profile: Profile) -> Tensor:
    """One score a tag: (B, H, W, 3) uint8 -> (B, tags)."""
    x = (frames.float() - torch.tensor(profile.data.mean)) / torch.tensor(profile.data.std)  # (B, H, W, 3)
    logits: Tensor = net(x.permute(0, 3, 1, 2).unsqueeze(2))  # of clips of one frame, (B, 3, 1, H, W)
    return logits


def pretrain(
    depth: Depth, profile: Profile, out: Path, report: Callable[[int], object] = lambda step: None
) -> dict[str, float]:
    """Train and test a net; write it at `out` in float16, with its note; return what `accuracy` gives.

    Raises:
        BadInput: the profile has no such recipe, or the net misses its bar; then nothing is written.
    """
    recipe, task = pretraining_parts(profile)
    begun = time.monotonic()
    torch.set_num_threads(1)  # another number may add in another order
    torch.manual_seed(recipe.seed)
    net = VideoResNet(NetSpec(depth=depth), profile.geometry, len(tags(task)))
    train(net, profile, report)
    half = convert_floats(net.state_dict(), torch.float16)
    net.load_state_dict(half)
    result = accuracy(net, profile)
    if result["stills"] < recipe.bar:
        percent = f"{result['stills']:.1f} % of the stills right, its bar is {recipe.bar} %"
        raise BadInput(f"ResNet-{depth} of seed {recipe.seed} tags {percent}")
    content = state_bytes(half)
    note = {
        "depth": depth,
        "sha256": sha256(content).hexdigest(),
        "settings": pretraining_settings(profile),
        "percent": result,
        "made": asdict(provenance(time.monotonic() - begun)),
    }
    write_atomic(out, content)
    write_atomic(note_path(out), json.dumps(note, indent=1) + "\n")
    return result


def train(net: VideoResNet, profile: Profile, report: Callable[[int], object]) -> None:
    """Train with the binary cross-entropy of all tags; no still comes twice."""
    recipe, task = pretraining_parts(profile)
    optimizer = torch.optim.AdamW(net.parameters(), recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=recipe.steps)
    split = f"train-{recipe.seed}"
    for step in range(recipe.steps):
        frames, targets = stills(task, split, range(step * recipe.batch, (step + 1) * recipe.batch))
        loss = F.binary_cross_entropy_with_logits(scores(net, frames, profile), targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        report(step + 1)


@torch.no_grad()
def accuracy(net: VideoResNet, profile: Profile) -> dict[str, float]:
    """Percent of right tags, and of stills with all tags right, of digits that training has not used."""
    recipe, task = pretraining_parts(profile)
    net.eval()
    right = []
    for first in range(0, recipe.stills, TEST_BATCH):
        frames, targets = stills(task, "val", range(first, min(first + TEST_BATCH, recipe.stills)))
        right.append((scores(net, frames, profile) > 0) == (targets > 0.5))
    tagged = torch.cat(right)  # (stills, tags)
    tags_right, stills_right = float(tagged.float().mean()), float(tagged.all(1).float().mean())
    return {"tags": round(100 * tags_right, 2), "stills": round(100 * stills_right, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description="maintainers: a net that runs on generated videos start from"
    )
    parser.add_argument("--profile", default="mini")
    parser.add_argument("--depth", type=int, choices=(50, 101), default=50)
    half = "write a trained net in float16"
    parser.add_argument("--half", nargs=2, type=Path, metavar=("NET", "OUT"), help=half)
    arguments = parser.parse_args()
    try:
        if arguments.half:
            net, out = arguments.half
            write_atomic(out, state_bytes(convert_floats(read_tensors(net), torch.float16)))
            return 0
        profile = load_profile(arguments.profile)
        out = net_path(profile.pretrained, arguments.depth)
        with progress_bar(total=pretraining_parts(profile)[0].steps, desc=out.name, unit=" steps") as bar:
            result = pretrain(arguments.depth, profile, out, lambda step: bar.update(step - bar.n))
        print(f"{out}: {result['tags']:.1f} % of the tags right, {result['stills']:.1f} % of the stills")
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
