"""Training for Tables 5 and 6: narrow nets, order and mirror images, the same digits however often cut off, COCO's own layout."""

import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

import coco_tree
import pytest
import torch
from conftest import command
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models import resnet50

from ablations.__main__ import main
from ablations.detection import DETECTION
from ablations.keypoints import KEYPOINTS
from nlrepro.beyond.outcome import Outcome, read
from nlrepro.coco import train as training
from nlrepro.coco.loading import MIRRORED, Draw, Drawn, Images, Once, mirror
from nlrepro.coco.module import Batch, Detector
from nlrepro.coco.narrow import Trunk, frozen, trunk
from nlrepro.coco.nets import Affine
from nlrepro.coco.profile import DetectionProfile, load
from nlrepro.coco.start import start_path
from nlrepro.coco.trial import DetectionJob, DetectionTrial
from nlrepro.config import load_profile
from nlrepro.experiments import findings
from nlrepro.files import BadInput
from nlrepro.nets.block import NonLocalBlock
from nlrepro.nets.pretrained import pretrained
from nlrepro.nets.reading import tensors
from nlrepro.nets.transfer import start_from
from nlrepro.spec import Backbone, DetectionSpec, NetSpec, Target
from nlrepro.train.runner import execute
from nlrepro.trial import Folders

pytestmark = pytest.mark.usefixtures("as_in_a_sweep")
BOXES = DetectionSpec(kind="boxes", backbone="r50", block=True)


def test_frozen_normalisation_computes_what_it_does_in_a_test() -> None:
    base = load_profile("mini")
    net = Trunk(NetSpec(), base.geometry, 1).eval()
    start_from(net, pretrained(50, base)[0])
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = net(images)
        after = frozen(net).train()(images)
    assert not any(isinstance(module, _BatchNorm) for module in net.modules())
    assert [tuple(x.shape[1:]) for x in after.values()] == [
        (32, 16, 16),
        (64, 16, 16),
        (128, 8, 8),
        (256, 4, 4),
    ]
    for name, x in before.items():
        torch.testing.assert_close(after[name], x, rtol=1e-4, atol=1e-4)


def test_a_trunk_s_block_is_the_identity_and_learns_while_its_normalisation_does_not() -> None:
    base = load_profile("mini")
    plain, blocked = (trunk(replace(BOXES, block=block), base)[0] for block in (False, True))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert all(torch.equal(x, blocked(images)[name]) for name, x in plain(images).items())
    trained = {name for name, p in blocked.named_parameters() if p.requires_grad}
    assert {name for name in trained if "bn" in name} == {
        "inserted.res4_4.bn.weight",
        "inserted.res4_4.bn.bias",
    }
    assert "conv1.weight" in trained


@pytest.mark.parametrize("kind", ["boxes", "keypoints"])
def test_each_spec_has_its_blocks(kind: Target) -> None:
    profile = load("smoke")
    for head in (False, True) if kind == "keypoints" else (False,):
        for block in (False, True):
            spec = DetectionSpec(kind=kind, backbone="r50", block=block, head_blocks=head)
            net, start = training.build(DetectionTrial(spec=spec, profile=profile, seed=0))
            blocks = [name for name, module in net.named_modules() if isinstance(module, NonLocalBlock)]
            assert len(blocks) == block + 4 * head
            assert sum("keypoint_head" in name for name in blocks) == 4 * head
            assert all(isinstance(net.get_submodule(f"{name}.bn"), Affine) for name in blocks)
            assert start.startswith("mini-r50.pt (sha256")


def test_nets_of_scenes_start_from_the_shipped_detector() -> None:
    profile = load("mini")
    assert profile.narrow
    shipped = tensors(start_path("mini", BOXES))
    net, name = training.build(DetectionTrial(spec=BOXES, profile=profile, seed=0))
    assert name.startswith("mini-r50.pt (sha256")
    state = net.state_dict()
    assert set(shipped) <= set(state)
    assert all(torch.equal(state[name], x.float()) for name, x in shipped.items())
    assert {name.split(".")[2] for name in set(state) - set(shipped)} == {"inserted"}
    alone = replace(profile, narrow=replace(profile.narrow, start=None))
    runs = [DetectionTrial(spec=BOXES, profile=each, seed=0) for each in (profile, alone)]
    assert runs[0].fingerprint != runs[1].fingerprint
    other = replace(profile, narrow=replace(profile.narrow, start="none-such"))
    with pytest.raises(BadInput, match=r"no detector none-such-r50 to start from; there are mini-r"):
        training.build(DetectionTrial(spec=BOXES, profile=other, seed=0))


@pytest.mark.parametrize(("backbone", "file"), [("r101", "mini-r101-keypoints.pt"), ("r50", "mini-r50.pt")])
def test_keypoints_start_from_their_own_net_where_there_is_one(backbone: Backbone, file: str) -> None:
    """What they have in common with the other start from that."""
    spec = DetectionSpec(kind="keypoints", backbone=backbone, head_blocks=True)
    net, name = training.build(DetectionTrial(spec=spec, profile=load("mini"), seed=0))
    shipped = tensors(start_path("mini", spec))
    state = net.state_dict()
    common = {key for key, x in shipped.items() if key in state and state[key].shape == x.shape}
    assert name.startswith(f"{file} (sha256")
    assert "backbone.fpn.inner_blocks.0.0.weight" in common
    assert ("roi_heads.keypoint_predictor.kps_score_lowres.weight" in common) == (backbone == "r101")
    assert all(torch.equal(state[key], shipped[key].float()) for key in common)


def test_blocks_of_a_head_are_of_keypoints() -> None:
    with pytest.raises(BadInput, match="only kind = 'keypoints'"):
        DetectionSpec(kind="boxes", backbone="r50", head_blocks=True)


def test_the_order_of_images_is_a_function_of_the_step() -> None:
    whole = list(Drawn(images=10, steps=8, batch=4, seed=3, flip=True))
    assert list(Drawn(images=10, steps=8, batch=4, seed=3, flip=True, first=5)) == whole[5:]
    images = [drawn.image for batch in whole for drawn in batch]
    assert sorted(images[:10]) == sorted(images[10:20]) == list(range(10))
    assert images[:10] != images[10:20]
    assert {drawn.mirrored for batch in whole for drawn in batch} == {False, True}
    parts = [
        list(Drawn(images=10, steps=8, batch=4, seed=3, flip=True, rank=rank, world_size=2))
        for rank in (0, 1)
    ]
    assert [
        [batch[i // 2] for i, batch in enumerate([a, b, a, b])] for a, b in zip(*parts, strict=True)
    ] == whole
    assert sorted(d.image for rank in (0, 1) for batch in Once(7, 2, rank, 2) for d in batch) == list(
        range(7)
    )


def test_what_is_mirrored_lies_where_the_picture_shows_it() -> None:
    pixels = torch.zeros(3, 4, 10)
    pixels[:, 1:3, 2:5] = 1.0
    points = torch.zeros(1, 17, 3)
    points[0, 1] = torch.tensor([2.5, 1.5, 2])  # the left eye
    objects = {
        "boxes": torch.tensor([[2.0, 1.0, 5.0, 3.0]]),
        "labels": torch.ones(1),
        "masks": (pixels[:1] > 0).to(torch.uint8),
        "keypoints": points,
    }
    turned, found = mirror(pixels, objects)
    x1, y1, x2, y2 = found["boxes"][0].int().tolist()
    assert float(turned[:, y1:y2, x1:x2].mean()) == 1.0
    assert turned.sum() == pixels.sum()
    assert torch.equal(found["masks"][0].bool(), turned[0] > 0)
    assert found["keypoints"][0, 2].tolist() == [7.5, 1.5, 2.0]  # has become the right one
    assert not found["keypoints"][0, 1].any()
    again = mirror(turned, found)
    assert torch.equal(again[0], pixels)
    assert all(torch.equal(again[1][name], value) for name, value in objects.items())
    assert [MIRRORED[i] for i in MIRRORED] == list(range(17))


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder; the first run makes its images."""
    return tmp_path_factory.mktemp("scenes")


def job_of(
    spec: DetectionSpec, profile: DetectionProfile, data: Path, results: Path, seed: int = 0
) -> DetectionJob:
    return DetectionJob(
        DetectionTrial(spec=spec, profile=profile, seed=seed, folders=Folders(data=data, results=results)),
        ("5",),
    )


def lasting(record: Outcome) -> Outcome:
    """All of a record but its date and duration."""
    return replace(record, made=replace(record.made, date="", seconds=0.0))


@pytest.mark.parametrize("spec", [BOXES, DetectionSpec(kind="keypoints", backbone="r50", head_blocks=True)])
def test_a_run_cut_off_ends_as_if_it_had_not_been(
    spec: DetectionSpec, scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = job_of(spec, load("smoke"), scenes, tmp_path / "a")
    wanted = execute(undisturbed)
    cut = job_of(spec, load("smoke"), scenes, tmp_path / "b")
    steps: list[int] = []

    class CutOff(Detector):
        def training_step(self, batch: Batch, index: int) -> Tensor:
            steps.append(self.global_step)
            if len(steps) == 4:
                raise RuntimeError("the power is gone")
            return super().training_step(batch, index)

    monkeypatch.setattr(training, "Detector", CutOff)
    with pytest.raises(RuntimeError, match="the power is gone"):
        execute(cut)
    assert not cut.run.record_path.exists()
    found = execute(cut)
    assert steps == [0, 1, 2, 3, 2, 3]
    assert lasting(found) == lasting(wanted)
    weights = [torch.load(job.run.weights, weights_only=True) for job in (undisturbed, cut)]
    assert all(torch.equal(x, weights[1][name]) for name, x in weights[0].items())
    assert execute(cut) == found == read(cut.run.record_path)  # a second time it does nothing
    assert len(steps) == 6
    assert not cut.run.checkpoint.exists()


def test_another_seed_gives_another_net_and_other_images_another_run(scenes: Path, tmp_path: Path) -> None:
    profile = load("smoke")
    runs = [
        DetectionTrial(spec=BOXES, profile=profile, seed=seed, folders=Folders(data=scenes))
        for seed in (0, 1)
    ]
    assert runs[0].fingerprint == runs[1].fingerprint
    other = replace(profile.scenes["boxes"], noise=3.0)
    changed = replace(runs[0], profile=replace(profile, scenes=profile.scenes | {"boxes": other}))
    assert changed.fingerprint != runs[0].fingerprint
    assert DetectionTrial(spec=BOXES, profile=profile, seed=0, folders=Folders(data=tmp_path)).data is None


@pytest.mark.rare
def test_every_row_is_trained_reported_and_trained_again_in_smoke(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--profile", "smoke", "--data", tmp_path / "data", "--results", tmp_path / "results")
    done = command("sweep", "5", "6", "--seeds", "0", "--jobs", "2", *words)
    assert done.status == 0, done.err
    keys = {
        line.spec.key
        for experiment in (DETECTION, KEYPOINTS)
        for line in experiment.within(load("smoke")).lines
    }
    assert {
        path.parent.name for path in (tmp_path / "results/records/coco-smoke").glob("*/seed0.json")
    } == keys
    again = command("sweep", "5", "6", "--seeds", "0", *words)
    assert again.out.count("0 to do") == 2
    listed = command("list", "5", "6", *words).out
    assert [line.split()[-1] for line in listed.strip().splitlines()] == ["0"] * len(keys)
    told = command("report", "5", "6", *words).out
    assert "one block improves boxes and masks, R101" in told
    assert "seed 0" in command("run", "r50-boxes", *words).out
    assert command("sweep", "5", "--steps", "1", "--seeds", "0", "--only", "r50-boxes", *words).status == 0
    assert [path.parent.name for path in (tmp_path / "results/records/coco-smoke-dry-run").glob("*/*")] == [
        "r50-boxes"
    ]
    monkeypatch.chdir(tmp_path)
    shutil.copytree("results/records", findings.PUBLISHED / "records")
    assert main(["verify", "r50-boxes", *map(str, words)]) == 0
    assert "the same digits: box_ap " in capsys.readouterr().out


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    return coco_tree.make(tmp_path / "coco")


@pytest.fixture
def small(tmp_path: Path) -> DetectionProfile:
    """The paper's nets and recipe on one device, for two steps of two small images."""
    paper = load("paper")
    recipe = replace(paper.recipes["boxes"], steps=2, batch=2, lr=1e-4, validate_every=2, validate_videos=2)
    return replace(
        paper,
        name="coco-small",
        devices=1,
        recipes={"boxes": recipe, "keypoints": recipe},
        sides={"boxes": (64,), "keypoints": (64,)},
    )


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """A file of torchvision's names, of random weights."""
    torch.save(resnet50().state_dict(), tmp_path / "resnet50.pth")
    return tmp_path / "resnet50.pth"


def real_job(kind: Target, small: DetectionProfile, coco: Path, imagenet: Path) -> DetectionJob:
    folders = Folders(data=coco, results=coco.parent / "results", imagenet=(imagenet,))
    return DetectionJob(
        DetectionTrial(spec=replace(BOXES, kind=kind), profile=small, seed=0, folders=folders), ("5",)
    )


@pytest.mark.rare
@pytest.mark.parametrize("kind", ["boxes", "keypoints"])
def test_coco_s_own_layout_is_trained_on_and_tested(
    kind: Target, small: DetectionProfile, coco: Path, imagenet: Path
) -> None:
    job = real_job(kind, small, coco, imagenet)
    (coco / "val2017/000000000001.jpg").write_bytes(b"no image")
    found = execute(job)
    assert found.tested == 2
    assert any("images cannot be used and are left out" in note for note in found.notes)
    assert any("images with nothing to learn from" in note for note in found.notes)
    assert "resnet50.pth (sha256" in found.made.versions["start"]
    state = torch.load(job.run.weights, weights_only=True)
    started = torch.load(imagenet, weights_only=True)
    assert torch.equal(state["backbone.body.conv1.weight"], started["conv1.weight"])  # is not trained
    assert not torch.equal(state["backbone.body.layer4.0.conv1.weight"], started["layer4.0.conv1.weight"])
    assert "backbone.body.layer3.4_nonlocal.theta.weight" in state


@pytest.mark.rare
def test_broken_training_images_and_missing_weights_are_told(
    small: DetectionProfile, coco: Path, imagenet: Path
) -> None:
    with pytest.raises(
        BadInput, match=r"no ImageNet weights of resnet101 among .*resnet50.pth: download https"
    ):
        execute(real_job_of_r101(small, coco, imagenet))
    (coco / "train2017/000000000001.jpg").write_bytes(b"no image")
    with pytest.raises(BadInput, match=r"000000000001.jpg is no image; unpack train2017.zip again"):
        execute(real_job("boxes", small, coco, imagenet))


def real_job_of_r101(small: DetectionProfile, coco: Path, imagenet: Path) -> DetectionJob:
    job = real_job("boxes", small, coco, imagenet)
    return replace(job, run=replace(job.run, spec=replace(job.run.spec, backbone="r101")))


def test_the_learning_rate_rises_and_falls_as_the_recipe_says() -> None:
    recipe = replace(load("paper").recipes["boxes"], steps=20, warmup_steps=4, milestones=(10, 15), lr=1.0)
    found = Detector(nn.Linear(1, 1), recipe).configure_optimizers()
    rates = []
    for _ in range(20):
        rates.append(found["optimizer"].param_groups[0]["lr"])
        found["optimizer"].step()
        found["lr_scheduler"]["scheduler"].step()
    assert rates == pytest.approx([0.001, 0.25075, 0.5005, 0.75025, *[1.0] * 6, *[0.1] * 5, *[0.01] * 5])


def test_a_test_goes_on_past_an_image_that_it_cannot_read(coco: Path) -> None:
    from nlrepro.coco.data import tree

    (coco / "val2017/000000000002.jpg").unlink()
    found = tree(coco, "val", "boxes")
    (coco / "val2017/000000000001.jpg").write_bytes(b"no image")
    images = Images(found, training=False)
    first, second = (images[Draw(i)] for i in range(2))
    assert "is no image" in str(first[1])
    assert isinstance(second[1], Tensor)
    assert list(islice((image for image, _, _ in (first, second)), 2)) == [1, 3]
