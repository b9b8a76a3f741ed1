"""Detectors with non-local blocks: torchvision's nets until the blocks are trained, and the small ones."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models import resnet50
from torchvision.models.detection import keypointrcnn_resnet50_fpn, maskrcnn_resnet50_fpn
from torchvision.ops import FrozenBatchNorm2d

from nlrepro import NonLocalBlock
from nlrepro.config import load_profile
from nlrepro.files import BadInput
from nlrepro.nets import rcnn
from nlrepro.nets.rcnn import Affine, Trunk, detector, load_imagenet, torchvision_rcnn
from nlrepro.nets.weights import COUNTER, pretrained, read_tensors, start_from
from nlrepro.pretrained import detector_path
from nlrepro.spec import Backbone, DetectionSpec, NetSpec

HEAD = [f"roi_heads.keypoint_head.{i}_nonlocal" for i in (3, 7, 11, 15)]
BOXES = DetectionSpec(kind="boxes", backbone="r50", block=True)
POINTS = DetectionSpec(kind="keypoints", backbone="r50")


def blocks_in(net: nn.Module) -> list[str]:
    return [name for name, module in net.named_modules() if isinstance(module, NonLocalBlock)]


@pytest.mark.parametrize(
    ("spec", "sides", "build"),
    [
        (replace(BOXES, block=False), (800,), maskrcnn_resnet50_fpn),
        (POINTS, (640, 672, 704, 736, 768, 800), keypointrcnn_resnet50_fpn),
    ],
)
def test_without_blocks_it_is_torchvisions_net(
    spec: DetectionSpec, sides: tuple[int, ...], build: Callable[..., nn.Module]
) -> None:
    with torch.device("meta"):
        net, reference = torchvision_rcnn(spec, sides), build(weights=None, weights_backbone=None)
    shapes = {name: x.shape for name, x in reference.state_dict().items() if not name.endswith(COUNTER)}
    assert {name: x.shape for name, x in net.state_dict().items()} == shapes
    assert str(net.transform) == str(reference.transform)
    assert (net.roi_heads.detections_per_img, net.roi_heads.score_thresh) == (100, 0.05)
    assert load_profile("coco-paper").detection.sides[spec.kind] == sides  # type: ignore[union-attr]


@pytest.mark.parametrize(("backbone", "place"), [("r50", 4), ("r101", 21), ("x101", 21)])
def test_the_block_comes_right_before_the_last_residual_block_of_res4(backbone: Backbone, place: int) -> None:
    with torch.device("meta"):
        net = torchvision_rcnn(replace(BOXES, backbone=backbone))
    assert blocks_in(net) == [f"backbone.body.layer3.{place}_nonlocal"]
    assert [*net.backbone.body.layer3._modules][-2:] == [f"{place}_nonlocal", f"{place + 1}"]
    block = net.backbone.body.layer3[place + 1]
    assert (block.form.name, block.subsample, block.g.in_channels) == ("embedded", True, 1024)
    names = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    assert {name.split(".")[2] for name in names} == {"conv1", "layer1"}  # the block is trained
    assert not any(isinstance(module, _BatchNorm) for module in net.modules())
    assert any(isinstance(module, FrozenBatchNorm2d) for module in net.modules())


@pytest.mark.parametrize(("head", "body"), [(True, False), (False, True), (True, True)])
def test_four_blocks_in_the_keypoint_head_after_every_two_convolutions(head: bool, body: bool) -> None:
    with torch.device("meta"):
        net = torchvision_rcnn(replace(POINTS, backbone="r101", head_blocks=head, block=body))
    assert blocks_in(net) == ["backbone.body.layer3.21_nonlocal"] * body + HEAD * head
    letters = {nn.Conv2d: "c", nn.ReLU: "r", NonLocalBlock: "n"}
    order = "".join(letters[type(module)] for module in net.roi_heads.keypoint_head)
    assert order == ("crcrn" if head else "crcr") * 4


def test_blocks_are_the_identity_until_they_are_trained() -> None:
    """All outputs of a net, bit for bit, on images of two sizes; and the block learns from its first step."""
    torch.manual_seed(0)
    profile = load_profile("coco-smoke")
    before = detector(POINTS, profile)[0].eval()
    after = detector(replace(POINTS, block=True, head_blocks=True), profile)[0].eval()
    before.roi_heads.score_thresh = after.roi_heads.score_thresh = 0.0
    missing, unknown = after.load_state_dict(before.state_dict(), strict=False)
    assert not unknown
    assert blocks_in(before) == []
    assert blocks_in(after) == ["backbone.body.inserted.res4_4", *HEAD]
    assert all("_nonlocal." in name or ".inserted." in name for name in missing)
    assert all(isinstance(after.get_submodule(f"{name}.bn"), Affine) for name in blocks_in(after))
    images = [torch.rand(3, 64, 96), torch.rand(3, 80, 70)]
    with torch.no_grad():
        for one, other in zip(before(images), after(images), strict=True):
            assert len(one["keypoints"])
            assert all(torch.equal(one[name], other[name]) for name in one)
    after.backbone(torch.rand(1, 3, 64, 64))["2"].square().mean().backward()
    trained = {name: p.grad for name, p in after.backbone.body.named_parameters() if p.requires_grad}
    norms = [name for name in trained if "bn" in name]
    assert norms == ["inserted.res4_4.bn.weight", "inserted.res4_4.bn.bias"]
    assert all(trained[name].any() for name in norms)  # type: ignore[union-attr]
    assert "conv1.weight" in trained  # unlike torchvision's


def test_an_image_without_detections_passes_the_blocks_of_the_head() -> None:
    net = detector(replace(POINTS, head_blocks=True), load_profile("coco-smoke"))[0].eval()
    net.roi_heads.score_thresh = 2.0
    with torch.no_grad():
        (detections,) = net([torch.rand(3, 64, 64)])
    assert detections["keypoints"].shape == (0, 17, 3)


def test_what_a_block_gives_an_image_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(NonLocalBlock(8, domain="space"))
    net[0].register_module("bn", Affine(8))
    nn.init.normal_(net[0].bn.weight)
    nn.init.normal_(net[0].bn.bias)
    x = torch.randn(3, 8, 6, 10)
    assert net.training
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]))
    assert not torch.equal(net(x), x)


def test_nets_of_the_papers_size_start_from_imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    state, paper_weights = resnet50().state_dict(), tmp_path / "r50.pth"
    torch.save(state, paper_weights)
    net, shipped = detector(BOXES, load_profile("coco-paper"))
    start = load_imagenet(net, BOXES, (paper_weights,))
    assert not shipped
    body = net.backbone.body.state_dict()
    assert start.startswith("r50.pth (sha256 ")
    assert all(torch.equal(x, state[name]) for name, x in body.items() if "nonlocal" not in name)
    with pytest.raises(
        BadInput, match=r"no ImageNet weights of resnext101_32x8d: .*r50.pth has layer1\.0\.conv1\.weight"
    ):
        load_imagenet(net, replace(BOXES, backbone="x101"), (paper_weights,))


def test_frozen_normalisation_computes_what_it_does_in_a_test() -> None:
    profile = load_profile("mini")
    net = Trunk(NetSpec(), profile.geometry, 1).eval()
    start_from(net, pretrained(50, profile)[0])
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = net(images)
        after = rcnn.freeze_norm(net).train()(images)
    assert not any(isinstance(module, _BatchNorm) for module in net.modules())
    assert [x.shape[1:] for x in after.values()] == [(32, 16, 16), (64, 16, 16), (128, 8, 8), (256, 4, 4)]
    for name, x in before.items():
        torch.testing.assert_close(after[name], x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("spec", "file", "fresh"),
    [
        (BOXES, "coco-mini-r50.pt", {"backbone.body.inserted"}),
        (POINTS, "coco-mini-r50.pt", {"roi_heads.keypoint_", "roi_heads.box_predictor"}),
        (replace(POINTS, backbone="r101"), "coco-mini-r101-keypoints.pt", set()),
    ],
)
def test_nets_of_scenes_start_from_the_shipped_detector(
    spec: DetectionSpec, file: str, fresh: set[str]
) -> None:
    """Keypoints from their own where there is one, else from what they have in common with the other."""
    net, start = detector(spec, load_profile("coco-mini"))
    shipped, state = read_tensors(detector_path("mini", spec)), net.state_dict()
    same = {name for name, x in state.items() if name in shipped and torch.equal(x, shipped[name].float())}
    assert start.startswith(f"{file} (sha256 ")
    assert {next(part for part in fresh if name.startswith(part)) for name in set(state) - same} == fresh


def test_a_start_is_the_trunk_alone_and_missing_detectors_are_named() -> None:
    start = detector(BOXES, load_profile("coco-start"))[1]
    assert start.startswith("mini-r50.pt (sha256 ")
    with pytest.raises(BadInput, match=r"no detector coco-none-such-r50 .*; use one of coco-mini-r"):
        detector_path("none-such", BOXES)
