"""Tests of given weights, for each task: what is measured on what, where it lies, which are refused."""

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import coco_tree
import pytest
import torch
from conftest import command
from released_files import narrow
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from ablations.registry import TABLES
from nlrepro.config import Clips, Profile
from nlrepro.data.clips import SAMPLINGS, FileClips
from nlrepro.files import BadInput
from nlrepro.nets.resnet import VideoResNet
from nlrepro.nets.weights import read_tensors
from nlrepro.record import digest, read_records, record_path
from nlrepro.released.evaluate import DETECTORS, evaluate
from nlrepro.released.importing import import_weights
from nlrepro.run import Folders, Run
from nlrepro.spec import ActionSpec, DetectionSpec, NetSpec, RunSpec
from nlrepro.task import CHARADES, DETECTION, VIDEO, Task
from nlrepro.train.loop import train

C2D, NL = RunSpec(), RunSpec(net=NetSpec(blocks="5-block"))
pytestmark = pytest.mark.usefixtures("as_in_a_sweep")


def imported(folder: Path, profile: Profile) -> str:
    """Weights of a random narrow C2D net of the authors, imported."""
    torch.save(narrow("caffe2", C2D, profile, "8x8"), folder / "net_8x8.pth")
    import_weights(folder / "net_8x8.pth", "caffe2", C2D, profile, folder / "net.pt")
    return str(folder / "net.pt")


@pytest.fixture
def run(real: Profile, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """On real videos of six classes, of which four have no videos; they are read in this process."""
    monkeypatch.setattr("nlrepro.learners.classifier.WORKERS", 0)
    for name in "cdef":
        (videos / "train" / name).mkdir()
    folders = Folders(data=videos, results=tmp_path / "out")
    return Run(task=VIDEO, spec=C2D, profile=real, seed=0, folders=folders)


def test_released_weights_are_tested_as_their_source_does_and_recorded(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[int]] = []
    indices = FileClips.frame_indices
    monkeypatch.setattr(FileClips, "frame_indices", lambda *words: calls.append(indices(*words)) or calls[-1])
    record = evaluate(replace(run, tables=("2a",)), imported(tmp_path, run.profile))
    clips = Clips(frames=8, stride=8, classes=1, anywhere=True)
    for call, where in ((0, 0.0), (3, 0.5)):  # two clips in three crops of a video
        assert calls[call] == SAMPLINGS["caffe2"](40, 30.0, clips, where).tolist()
    assert (record.tested, record.listed, record.views) == (2, 3, 6)
    assert (record.seed, record.tables) == (None, ("2a",))
    assert set(record.metrics) == {"top1", "top5", "loss", "clip_top1"}
    assert record.weights
    assert (record.weights.name, record.weights.file) == ("caffe2 8x8", "net_8x8.pth")
    path = tmp_path / f"out/records/real/r50-c2d/weights-caffe2-8x8-{record.weights.state[:8]}.json"
    assert record_path(tmp_path / "out", record) == path
    assert read_records(tmp_path / "out", "real") == [record]
    assert record.fingerprint == digest(VIDEO.test_settings(C2D, run.profile, record.weights))


def test_a_dry_run_tests_few_videos_and_no_table_shows_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VIDEO, "profile", lambda *words: run.profile)
    given = ["--weights", imported(tmp_path, run.profile), "--data", run.folders.data]
    done = command("evaluate", "r50-c2d", *given, "--results", tmp_path / "out", "--items", "1")
    assert "r50-c2d, caffe2 8x8 net_8x8.pth: top1" in done.out, done.err
    (record,) = read_records(tmp_path / "out", "real-dry-run")
    assert (record.tested, record.listed, record.views) == (1, None, 6)


@pytest.mark.parametrize(
    ("task", "spec"),
    [(VIDEO, C2D), (CHARADES, ActionSpec()), (DETECTION, DetectionSpec(kind="keypoints", backbone="r50"))],
)
def test_a_runs_net_gives_its_records_metrics_again(
    task: Task, spec: Any, data: Path, tmp_path: Path
) -> None:
    profile = task.profile("smoke")
    if profile.actions:  # weights to start from, in place of a parent
        torch.save(VideoResNet(spec.net, profile.geometry, 6).state_dict(), tmp_path / "r50-c2d-long.pt")
        profile = replace(profile, start=str(tmp_path))
    folders = Folders(data=data, results=tmp_path)
    run = Run(task=task, spec=spec, profile=profile, seed=0, folders=folders)
    task.prepare([spec], profile, data, 1)
    trained, tested = train(run), evaluate(run, str(run.weights))
    assert (tested.metrics, tested.ranks, tested.tested) == (trained.metrics, trained.ranks, trained.tested)
    assert (tested.cost, tested.released) == (trained.cost, False)
    assert evaluate(run, str(run.weights), items=2).tested == 2
    state = {f"net.{name}": x for name, x in read_tensors(run.weights).items()}
    torch.save(
        {"state_dict": state | {"loss.weight": torch.ones(2)}, "epoch": 3}, run.checkpoint
    )  # Lightning's
    assert evaluate(run, str(run.checkpoint)).metrics == trained.metrics
    scores = [path.parent.name[:7] for path in tmp_path.rglob("scores-*.txt")]
    assert sorted(scores) == (["seed0", "weights", "weights"] if task is CHARADES else [])


class Small(nn.Module):
    """A detector that finds the first person of the tree in each image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), FrozenBatchNorm2d(4)

    def forward(self, images: list[Tensor]) -> list[Mapping[str, Tensor]]:
        masks = torch.zeros(1, 1, *images[0].shape[1:])
        masks[0, 0, 6:56, 4:44] = 1
        boxes = torch.tensor([[4.0, 6.0, 44.0, 56.0]])
        return [{"boxes": boxes, "labels": torch.tensor([1]), "scores": torch.tensor([0.9]), "masks": masks}]


def test_torchvisions_detectors_are_tested_on_coco(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of three objects is found; `Small` stands for torchvision's net and file."""
    net = Small()
    monkeypatch.setattr("nlrepro.learners.detector.detector", lambda *words: (net, ""))
    monkeypatch.setattr("nlrepro.learners.detector.WORKERS", 0)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folders = Folders(data=coco_tree.make(tmp_path / "coco"), results=tmp_path / "out")
    run, blocked = (TABLES.run(key, 0, "paper", folders) for key in ("r50-boxes", "r101-boxes-nl"))
    with pytest.raises(BadInput, match=r"download https://download.pytorch.org/\S+ and give it as --weights"):
        evaluate(run, "torchvision")
    with pytest.raises(BadInput, match="torchvision has no weights of r101-boxes-nl"):
        evaluate(blocked, "torchvision")
    torch.save(net.state_dict(), tmp_path / "small.pth")
    content = (tmp_path / "small.pth").read_bytes()
    file = tmp_path / f"torch/hub/checkpoints/net-{sha256(content).hexdigest()[:8]}.pth"
    released = SimpleNamespace(url=f"https://x.org/{file.name}", meta=DETECTORS["boxes"].meta)
    monkeypatch.setitem(DETECTORS, "boxes", released)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with monkeypatch.context() as patch:
        patch.setattr("nlrepro.learners.detector.average_precision", Mock(side_effect=KeyError("area")))
        with pytest.raises(KeyError):
            evaluate(run, "torchvision")
    kept = sorted((tmp_path / "out").rglob("detections-*.json"))
    assert [path.name.split("-")[1] for path in kept] == ["box", "mask"]
    assert [[item["image_id"] for item in json.loads(path.read_bytes())] for path in kept] == 2 * [[1, 2, 3]]
    assert f"the detections are in {kept[0]}, in COCO's format" in capsys.readouterr().out
    evaluate(run, "torchvision", items=1)
    assert sorted((tmp_path / "out").rglob("detections-*.json")) == kept
    record = evaluate(run, "torchvision")
    ap = 100 * 51 / 101 / 2
    assert record.metrics["box_ap"] == record.metrics["mask_ap50"] == pytest.approx(ap, abs=1e-4)
    assert record.notes == ("torchvision states box AP 37.9, mask AP 34.6 on val2017",)
    assert (record.tested, record.weights and record.weights.source, net.norm.eps) == (3, "torchvision", 0.0)
    (path := record_path(run.folders.results, record)).unlink()
    path.mkdir()
    kept[0].unlink()
    kept[0].mkdir()
    with pytest.raises(BadInput, match=f"^cannot write {path}: .*; the test gave .*'mask_ap50': 25.2475"):
        evaluate(run, "torchvision")
    assert f"the detections are not kept: cannot write {kept[0]}" in capsys.readouterr().out
    file.write_bytes(content + b" ")
    with pytest.raises(BadInput, match=r"is not what torchvision released: its sha256 begins with \w{8}"):
        evaluate(run, str(file))


def test_weights_that_are_not_the_runs_are_refused(run: Run, tmp_path: Path) -> None:
    weights = Path(imported(tmp_path, run.profile))

    def refusal(file: Path, **changes: Any) -> str:
        with pytest.raises(BadInput) as caught:
            evaluate(replace(run, **changes), str(file))
        return str(caught.value)

    assert "weights of r50-c2d (caffe2 8x8, net_8x8.pth), not of r50-c2d-nl" in refusal(weights, spec=NL)
    assert "cannot read" in refusal(tmp_path / "nowhere.pt")
    short = replace(run.profile, clips={"short": run.profile.clips["short"]})
    assert "has no long clips" in refusal(weights, spec=replace(C2D, clip="long"), profile=short)
    wider = replace(run.profile, geometry=replace(run.profile.geometry, width=16))
    assert "does not fit: size mismatch" in refusal(weights, profile=wider)
    own = tmp_path / run.weights.name
    torch.save(VideoResNet(NL.net, run.profile.geometry, 6).state_dict(), own)
    assert 'does not fit: Unexpected key(s) in state_dict: "inserted.res3_1' in refusal(own)
    assert f"there is no note {own.name}.json" in refusal(own, spec=NL)
    torch.save({"fc.bias": torch.full((6,), torch.nan)}, own)
    assert "has fc.bias with values that are no finite numbers" in refusal(own)
    torch.save({}, weights)
    assert "is not what" in refusal(weights)
    (tmp_path / "net.pt.json").write_text("{}")
    assert "net.pt.json is damaged" in refusal(weights)
    assert not (tmp_path / "out").exists()
