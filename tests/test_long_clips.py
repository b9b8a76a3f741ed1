"""Table 2g's own training hook: batch normalisation stays as the short-clip model left it."""

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from ablations.long_clips import LongClips
from nlrepro.profile import Profile


def test_normalisation_is_frozen_also_after_a_validation(smoke: Profile) -> None:
    module = LongClips(LongClips.spec(LongClips.rows[2]), smoke)
    clips = torch.randint(256, (2, 8, 32, 32, 3), dtype=torch.uint8)
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    before = [tensor.clone() for layer in layers for tensor in layer.state_dict().values()]
    module.train().eval()
    module.train()
    optimizer = module.optimizer(module.net.parameters())
    module.training_step((clips, torch.tensor([0, 1])), 0).backward()
    optimizer.step()
    after = [tensor for layer in layers for tensor in layer.state_dict().values()]
    assert len(layers) > 53  # those of the non-local blocks too
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert module.training
    assert module.net.fc.training


def test_what_is_not_normalisation_trains(smoke: Profile) -> None:
    module = LongClips(LongClips.spec(LongClips.rows[0]), smoke).train()
    frozen = {name for name, p in module.net.named_parameters() if not p.requires_grad}
    assert frozen
    assert all(".bn" in name or name.startswith("bn") or ".downsample.1" in name for name in frozen)
