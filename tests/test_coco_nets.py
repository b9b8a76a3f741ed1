"""Mask R-CNN and Keypoint R-CNN with non-local blocks: torchvision's nets until the blocks are trained; what a block costs."""

from collections.abc import Callable

import pytest
import torch
from conftest import ROOT
from torch import nn
from torchvision.models.detection import keypointrcnn_resnet50_fpn, maskrcnn_resnet50_fpn
from torchvision.ops import FrozenBatchNorm2d

from nlrepro import NonLocalBlock
from nlrepro.coco.costs import COSTS, macs
from nlrepro.coco.counting import costs, count, table
from nlrepro.coco.nets import Affine, batch_independent, keypoint_rcnn, mask_rcnn
from nlrepro.coco.weights import RELEASED, stated
from nlrepro.spec import Backbone

HEAD = [f"roi_heads.keypoint_head.{i}_nonlocal" for i in (3, 7, 11, 15)]


def blocks_in(net: nn.Module) -> list[str]:
    return [name for name, module in net.named_modules() if isinstance(module, NonLocalBlock)]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: mask_rcnn("r50", block=False), maskrcnn_resnet50_fpn),
        (lambda: keypoint_rcnn("r50", head_blocks=False, backbone_block=False), keypointrcnn_resnet50_fpn),
    ],
)
def test_without_blocks_it_is_torchvisions_net(ours: Callable[[], nn.Module], theirs: Callable[..., nn.Module]) -> None:
    with torch.device("meta"):
        mine, yours = ours(), theirs(weights=None, weights_backbone=None)
    shapes = {name: tensor.shape for name, tensor in yours.state_dict().items() if "num_batches_tracked" not in name}
    assert {name: tensor.shape for name, tensor in mine.state_dict().items()} == shapes
    assert str(mine.transform) == str(yours.transform)
    assert (mine.roi_heads.detections_per_img, mine.roi_heads.score_thresh) == (100, 0.05)


@pytest.mark.parametrize(("backbone", "place"), [("r50", 4), ("r101", 21), ("x101", 21)])
def test_the_block_comes_right_before_the_last_residual_block_of_res4(backbone: Backbone, place: int) -> None:
    with torch.device("meta"):
        net = mask_rcnn(backbone, block=True)
    assert blocks_in(net) == [f"backbone.body.layer3.{place}_nonlocal"]
    assert [*net.backbone.body.layer3._modules][-2:] == [f"{place}_nonlocal", f"{place + 1}"]
    block = net.backbone.body.layer3[place + 1]
    assert (block.form.name, block.subsample, block.g.in_channels) == ("embedded", True, 1024)
    names = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    assert {name.split(".")[2] for name in names} == {"conv1", "layer1"}  # the block is trained


@pytest.mark.parametrize(("head", "body"), [(True, False), (False, True), (True, True)])
def test_four_blocks_in_the_keypoint_head_after_every_two_convolutions(head: bool, body: bool) -> None:
    with torch.device("meta"):
        net = keypoint_rcnn("r101", head_blocks=head, backbone_block=body)
    assert blocks_in(net) == ["backbone.body.layer3.21_nonlocal"] * body + HEAD * head
    order = "".join({nn.Conv2d: "c", nn.ReLU: "r", NonLocalBlock: "n"}[type(module)] for module in net.roi_heads.keypoint_head)
    assert order == ("crcrn" if head else "crcr") * 4


def test_blocks_are_the_identity_until_they_are_trained() -> None:
    """All outputs of a trained-like net, bit for bit, on images of two sizes; and the block learns from the first step on."""
    torch.manual_seed(0)
    before = keypoint_rcnn("r50", head_blocks=False, backbone_block=False, sides=(64,)).eval()
    before.roi_heads.detections_per_img = 3
    before.rpn._post_nms_top_n["testing"] = 9
    nn.init.constant_(before.roi_heads.box_predictor.cls_score.bias[1], 5.0)
    after = keypoint_rcnn("r50", head_blocks=True, backbone_block=True, sides=(64,)).eval()
    after.rpn, after.roi_heads.detections_per_img = before.rpn, 3
    missing, unknown = after.load_state_dict(before.state_dict(), strict=False)
    assert not unknown
    assert all("_nonlocal." in name for name in missing)
    images = [torch.rand(3, 64, 96), torch.rand(3, 80, 70)]
    with torch.no_grad():
        for one, other in zip(before(images), after(images), strict=True):
            assert len(one["boxes"]) == 3
            assert all(torch.equal(one[name], other[name]) for name in one)
    after.backbone(torch.rand(1, 3, 64, 64))["2"].square().mean().backward()
    assert after.backbone.body.layer3[5].bn.weight.grad.abs().sum() > 0


def test_an_image_without_detections_passes_the_blocks_of_the_head() -> None:
    with torch.no_grad():
        net = keypoint_rcnn("r50", head_blocks=True, backbone_block=False, sides=(32,)).eval()
        net.roi_heads.score_thresh = 2.0
        (found,) = net([torch.rand(3, 32, 48)])
    assert found["keypoints"].shape == (0, 17, 3)


def test_what_a_block_gives_an_image_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(0)
    net = batch_independent(nn.Sequential(NonLocalBlock(8, domain="space")))
    nn.init.normal_(net[0].bn.weight)
    nn.init.normal_(net[0].bn.bias)
    x = torch.randn(3, 8, 6, 10)
    assert net.training
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]))
    assert not torch.equal(net(x), x)


def test_affine_is_a_scale_and_a_shift_a_channel() -> None:
    layer = Affine(2)
    layer.weight.data, layer.bias.data = torch.tensor([2.0, 3.0]), torch.tensor([1.0, -1.0])
    x = torch.arange(8.0).view(1, 2, 2, 2)
    assert layer(x).tolist() == [[[[1, 3], [5, 7]], [[11, 14], [17, 20]]]]
    assert layer(x.unsqueeze(2)).tolist() == layer(x).unsqueeze(2).tolist()


def test_normalisation_in_the_backbone_is_frozen() -> None:
    with torch.device("meta"):
        net = mask_rcnn("r50", block=True)
    assert sum(isinstance(module, FrozenBatchNorm2d) for module in net.modules()) == 53
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in net.modules())


def test_one_block_adds_less_than_5_percent_to_a_whole_net() -> None:
    """The paper's sentence; it is not true of backbone and FPN alone."""
    before, after = (costs("r50", block=block) for block in (False, True))
    ratios = [after[part].macs / before[part].macs for part in ("backbone and FPN", "whole net")]
    assert ratios == pytest.approx([1.090, 1.049], abs=5e-4)
    assert macs("r50", block=True) == after["whole net"].macs
    assert before["whole net"].params == RELEASED["boxes"].meta["num_params"]
    assert after["whole net"].params - before["whole net"].params == 4 * 1024 * 512 + 3 * 512 + 1024 + 2 * 1024
    n, m = 50 * 84, 25 * 42  # positions of res4 at 800x1333, padded to 800x1344, and those left after subsampling
    assert after["whole net"].macs - before["whole net"].macs == n * 4 * 1024 * 512 + 2 * n * m * 512


@pytest.mark.rare
def test_reports_and_the_readme_have_what_is_counted() -> None:
    counts = count()
    assert counts.to_csv(index=False, lineterminator="\n") == COSTS.read_text()
    assert table(counts) in (ROOT / "nlrepro" / "coco" / "README.md").read_text()


def test_what_torchvision_states_is_read_from_its_description() -> None:
    assert stated("boxes") == {"box": 37.9, "mask": 34.6}
    assert stated("keypoints") == {"box": 54.6, "kp": 65.0}


USERS = ["detectors.py", "coco.py", "detection.py", "keypoints.py"]  # a bench, the verb, the two tables


def test_the_core_does_without() -> None:
    """The package can be deleted with its verbs; what these import when they are listed is none of it (test_cli.py)."""
    places = [path for folder in ("nlrepro", "ablations") for path in (ROOT / folder).rglob("*.py") if "coco" not in path.parts]
    assert sorted(path.name for path in places if "nlrepro.coco" in path.read_text()) == sorted(USERS)
