"""`evaluate-coco`, end to end on a tiny tree: what it finds, writes and refuses."""

import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import coco_tree
import pytest
import torch
from coco_tree import PEOPLE
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from ablations.__main__ import main
from nlrepro.coco import evaluate, weights
from nlrepro.coco.data import tree
from nlrepro.coco.evaluate import Net, run
from nlrepro.coco.nets import mask_rcnn
from nlrepro.coco.weights import RELEASED, load, torchvision_file
from nlrepro.files import BadInput

CPU = torch.device("cpu")
PLAIN = {"kind": "boxes", "backbone": "r50", "block": False, "head_blocks": False, "side": 32}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coco_tree.make(tmp_path_factory.mktemp("coco") / "coco")


class Small(nn.Module):
    """A net with what `load` looks at: a convolution and frozen normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 1), FrozenBatchNorm2d(4)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        """A person in each image, where the first one of the tree is."""
        masks = torch.zeros(1, 1, *images[0].shape[1:])
        masks[0, 0, 6:56, 4:44] = 1
        boxes = torch.tensor([[4.0, 6.0, 44.0, 56.0]])
        found = {"boxes": boxes, "labels": torch.tensor([1]), "scores": torch.tensor([0.9]), "masks": masks}
        return [found | {"keypoints": torch.tensor(PEOPLE[0]["keypoints"]).view(1, 17, 3)}]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of `Small`, which is built in place of each net."""
    monkeypatch.setattr(Net, "build", lambda _: Small())
    torch.save(Small().state_dict(), tmp_path / "small.pth")
    return tmp_path / "small.pth"


def test_a_real_net_goes_all_the_way(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A random one with a block that finds people everywhere; what is found is COCO's affair (test_coco_evaluation.py)."""
    torch.manual_seed(0)
    net = mask_rcnn("r50", block=True)
    nn.init.constant_(net.roi_heads.box_predictor.cls_score.bias[1], 5.0)
    nn.init.constant_(net.roi_heads.box_predictor.bbox_pred.weight, 0.0)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    words = ["evaluate-coco", "--data", str(root), "--weights", str(tmp_path / "net.pth"), "--block", "--side", "32"]
    out = tmp_path / "new" / "found.json"
    assert main([*words, "--images", "1", "--out", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "r50, net.pth, 1 of 3 images"
    assert [line.split(":")[0] for line in said[1:]] == ["box", "mask"]
    found = json.loads(out.read_text())
    assert found["net"] == PLAIN | {"block": True}
    assert found["sha256"] == sha256((tmp_path / "net.pth").read_bytes()).hexdigest()
    assert found["precision"]["box"]["ap"] is not None
    assert {"torch", "pycocotools"} < set(found["made"]["versions"])


def test_what_was_found_is_printed_and_written(
    root: Path, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Right in the first image, wrong in the third, in the crowd of the second, where one person is missed; no dogs at all."""
    words = ["evaluate-coco", "--data", str(root), "--weights", str(small), "--out", str(tmp_path / "found.json")]
    for _ in range(2):  # the second time it is written over
        assert main(words) == 0
        lines = ["r50, small.pth, 3 of 3 images", "box: AP 25.2, AP50 25.2, AP75 25.2", "mask: AP 25.2, AP50 25.2, AP75 25.2"]
        assert capsys.readouterr().out.splitlines() == lines
        found = json.loads((tmp_path / "found.json").read_text())
        assert found["precision"]["mask"]["ap50"] == pytest.approx(100 * 51 / 101 / 2)
        assert (found["images"], found["listed"], found["notes"], found["stated"]) == (3, 3, [], {})


def test_people_are_tested_by_their_keypoints(root: Path, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate-coco", "--data", str(root), "--weights", str(small), "--kind", "keypoints"]) == 0
    lines = ["r50, small.pth, 3 of 3 images", "box: AP 50.5, AP50 50.5, AP75 50.5", "kp: AP 50.5, AP50 50.5, AP75 50.5"]
    assert capsys.readouterr().out.splitlines() == lines


def test_broken_images_are_left_out_and_told(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = coco_tree.make(tmp_path / "coco")
    (root / "val2017" / "000000000002.jpg").write_bytes(b"")
    (root / "val2017" / "000000000003.jpg").unlink()
    assert main(["evaluate-coco", "--data", str(root), "--weights", str(small)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "r50, small.pth, 1 of 3 images"
    assert said[1].startswith("box: AP 50.0")  # all people of the first image, and not its dog
    assert said[3].startswith("1 of 3 images have no file in")
    assert said[4].startswith("1 images cannot be used and are left out, such as: ")
    (root / "val2017" / "000000000001.jpg").write_bytes(b"")
    with pytest.raises(BadInput, match=r"none of the 2 images can be used, the first: .*000000000001.jpg is no image"):
        run(Small(), tree(root, "val", "boxes"), CPU)


def released(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, begin: str) -> Path:
    """Torchvision's file, if its sha256 began so, in torchvision's cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    ours = SimpleNamespace(url=f"https://example.org/net_coco-{begin}.pth", meta=RELEASED["boxes"].meta)
    monkeypatch.setitem(weights.RELEASED, "boxes", ours)  # type: ignore[misc]
    path = torchvision_file("boxes")[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_torchvisions_weights_are_known_by_their_content_and_have_no_eps(
    root: Path, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = small.read_bytes()
    released(monkeypatch, tmp_path, content, sha256(content).hexdigest()[:8])
    net = Small()
    assert load(net, small, "boxes").stated == {"box": 37.9, "mask": 34.6}
    assert net.bn.eps == 0.0
    assert main(["evaluate-coco", "--data", str(root), "--weights", "torchvision"]) == 0
    assert "box: AP 25.2, AP50 25.2, AP75 25.2 (torchvision states AP 37.9)" in capsys.readouterr().out
    torch.save(net.state_dict() | {"bn.bias": torch.ones(4)}, small)
    net = Small()
    assert load(net, small, "boxes").stated == {}
    assert net.bn.eps == 1e-5


def test_a_damaged_download_is_told(tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = released(monkeypatch, tmp_path, small.read_bytes(), "0" * 8)
    with pytest.raises(BadInput, match=r"is not what torchvision released: its sha256 begins with \w{8}; download it again"):
        load(Small(), path, "boxes")


def test_nothing_is_downloaded(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", pytest.fail)
    monkeypatch.setattr(torch.hub, "download_url_to_file", pytest.fail)
    for kind in RELEASED:
        assert main(["evaluate-coco", "--data", str(root), "--weights", "torchvision", "--kind", kind]) == 2
        said, url = capsys.readouterr().err, str(RELEASED[kind].url)
        assert f"download {url} and give it as --weights FILE, or put it at {tmp_path}/hub/checkpoints/" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--weights", "torchvision", "--block"], "torchvision has weights of the r50 without blocks alone"),
        (["--weights", "torchvision", "--backbone", "r101"], "torchvision has weights of the r50 without blocks alone"),
        (["--weights", "nowhere.pth"], "cannot read nowhere.pth"),
        (["--weights", "nowhere.pth", "--head-blocks"], "give --kind keypoints with it"),
        (["--weights", "nowhere.pth", "--out", "."], "--out . is a folder"),
        (["--weights", "nowhere.pth", "--out", "README.md/found.json"], "cannot write README.md"),
        (["--weights", "nowhere.pth", "--data", "nowhere"], "no file nowhere/annotations/instances_val2017.json"),
    ],
)
def test_what_cannot_be_tested_is_told(
    root: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Net, "build", lambda _: Small())
    assert main(["evaluate-coco", "--data", str(root), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


State = dict[str, Any]
MISFITS: list[tuple[Callable[[State], State], str]] = [
    (
        lambda state: state | {"conv.weight": torch.zeros(5, 3, 1, 1)},
        "does not fit: size mismatch for conv.weight",
    ),
    (lambda state: {name: state[name] for name in state if name != "conv.bias"}, r"lacks conv.bias \(1 such\)"),
    (lambda state: state | {"more": torch.zeros(1)}, r"has, and this net has not, more \(1 such\)"),
    (lambda state: state | {"conv.bias": torch.full((4,), torch.nan)}, "conv.bias has values that are no finite numbers"),
]


@pytest.mark.parametrize(("change", "words"), MISFITS)
def test_weights_of_another_net_are_told(tmp_path: Path, change: Callable[[State], State], words: str) -> None:
    path = tmp_path / "small.pth"
    torch.save(change(Small().state_dict()), path)
    with pytest.raises(BadInput, match=f"small.pth.* {words}"):
        load(Small(), path, "boxes")


def test_names_of_torchvisions_older_files_are_taken() -> None:
    """Its released file of Mask R-CNN has the names of 2019: RPN, FPN and the mask head have changed since."""
    net = mask_rcnn("r50", block=False)
    old = {}
    for name, tensor in net.state_dict().items():
        name = re.sub(r"_blocks\.(\d)\.0\.", r"_blocks.\1.", name.replace("rpn.head.conv.0.0.", "rpn.head.conv."))
        name = re.sub(r"mask_head\.(\d)\.0\.", lambda found: f"mask_head.mask_fcn{int(found[1]) + 1}.", name)
        old[name] = tensor
    assert len(set(old) - set(net.state_dict())) == 2 * (4 + 4 + 1 + 4)
    assert not any(net.load_state_dict(old, strict=False))


def test_the_net_is_the_one_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def net(*words: Any, **options: Any) -> nn.Module:
        asked.append((*words, options))
        return nn.Identity()

    monkeypatch.setattr(evaluate, "mask_rcnn", net)
    monkeypatch.setattr(evaluate, "keypoint_rcnn", net)
    assert not Net(**PLAIN | {"block": True}).build().training  # type: ignore[arg-type]
    Net(kind="keypoints", backbone="r101", block=False, head_blocks=True, side=64).build()
    assert asked == [
        ("r50", {"block": True, "sides": (32,)}),
        ("r101", {"head_blocks": True, "backbone_block": False, "sides": (64,)}),
    ]
