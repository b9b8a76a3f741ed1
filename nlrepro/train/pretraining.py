"""The nets that short clips of generated videos start from. They tag drawn stills: which digits, which card, in which ink.

The tags are of all that a frame shows: a non-local block can only match what the features that it compares contain.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nlrepro.config import Generator, Profile
from nlrepro.data.synthetic import pretraining_image, tags
from nlrepro.files import BadInput, write_atomic
from nlrepro.nets.resnet import VideoResNet
from nlrepro.pretrained import note_path, settings
from nlrepro.spec import Depth, NetSpec
from nlrepro.train.checkpoint import state_bytes
from nlrepro.train.provenance import provenance

TEST_BATCH = 250


def stills(task: Generator, split: str, numbers: range) -> tuple[Tensor, Tensor]:
    """The stills (B, H, W, 3) uint8 of these numbers, and their tags (B, tags)."""
    drawn = [pretraining_image(task, split, number) for number in numbers]
    return torch.from_numpy(np.stack([frame for frame, _ in drawn])), torch.from_numpy(np.stack([shown for _, shown in drawn]))


def scores(net: VideoResNet, frames: Tensor, profile: Profile) -> Tensor:
    """One score a tag: (B, H, W, 3) uint8 -> (B, tags)."""
    x = (frames.float() - torch.tensor(profile.data.mean)) / torch.tensor(profile.data.std)  # (B, H, W, 3)
    found: Tensor = net(x.permute(0, 3, 1, 2).unsqueeze(2))  # of clips of one frame, (B, 3, 1, H, W)
    return found


def pretrain(depth: Depth, profile: Profile, out: Path, report: Callable[[int], None] = lambda step: None) -> dict[str, float]:
    """Train and test a net; write it at `out` in float16, with its note; return what `accuracy` gives.

    Raises:
        BadInput: the profile has no such recipe, or the net misses its bar; then nothing is written.
    """
    recipe, task = profile.pretraining, profile.generator
    if not recipe or not task:
        raise BadInput(
            f"the profile {profile.name} has no [pretraining] and [generator]; its clips start from {profile.pretrained}"
        )
    begun = time.monotonic()
    torch.set_num_threads(1)  # another number may add in another order
    torch.manual_seed(recipe.seed)
    net = VideoResNet(NetSpec(depth=depth), profile.geometry, len(tags(task)))
    train(net, profile, report)
    half = {name: x.half() if x.is_floating_point() else x for name, x in net.state_dict().items()}
    net.load_state_dict(half)
    found = accuracy(net, profile)
    if found["stills"] < recipe.bar:
        raise BadInput(
            f"ResNet-{depth} of seed {recipe.seed} tags {found['stills']:.1f} % of the stills right, its bar is {recipe.bar} %"
        )
    content = state_bytes(half)
    note = {
        "depth": depth,
        "sha256": sha256(content).hexdigest(),
        "settings": settings(profile),
        "percent": found,
        "made": asdict(provenance(time.monotonic() - begun)),
    }
    write_atomic(out, content)
    write_atomic(note_path(out), json.dumps(note, indent=1) + "\n")
    return found


def train(net: VideoResNet, profile: Profile, report: Callable[[int], None]) -> None:
    """Train with the binary cross-entropy of all tags; no still is seen twice."""
    recipe, task = profile.pretraining, profile.generator
    assert recipe
    assert task
    optimizer = torch.optim.AdamW(net.parameters(), recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=recipe.steps)
    split = f"train-{recipe.seed}"
    for step in range(recipe.steps):
        frames, shown = stills(task, split, range(step * recipe.batch, (step + 1) * recipe.batch))
        loss = F.binary_cross_entropy_with_logits(scores(net, frames, profile), shown)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        report(step + 1)


@torch.no_grad()
def accuracy(net: VideoResNet, profile: Profile) -> dict[str, float]:
    """Percent of tags that are right, and of stills all of whose tags are, on stills of digits that training has not seen."""
    recipe, task = profile.pretraining, profile.generator
    assert recipe
    assert task
    net.eval()
    right = []
    for first in range(0, recipe.stills, TEST_BATCH):
        frames, shown = stills(task, "val", range(first, min(first + TEST_BATCH, recipe.stills)))
        right.append((scores(net, frames, profile) > 0) == (shown > 0.5))
    tagged = torch.cat(right)  # (stills, tags)
    return {"tags": round(100 * float(tagged.float().mean()), 2), "stills": round(100 * float(tagged.all(1).float().mean()), 2)}
