"""Tables 5 and 6: COCO's average precision against COCOeval itself, and training on COCO's own layout."""

import io
import json
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import coco_tree
import pytest
import torch
from coco_tree import HEIGHT, WIDTH
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor
from torchvision.models import resnet50

from nlrepro.config import load_profile
from nlrepro.data.coco import CocoSplit, open_split
from nlrepro.files import BadInput
from nlrepro.learners.detector import (
    IOU_TYPES,
    MEASURES,
    Detection,
    Detector,
    Measure,
    average_precision,
    detections,
)
from nlrepro.run import Folders, Run
from nlrepro.spec import DetectionSpec, Target
from nlrepro.task import DETECTION
from nlrepro.train.loop import train

BOXES = DetectionSpec(kind="boxes", backbone="r50", block=True)
pytestmark = pytest.mark.usefixtures("as_in_a_sweep")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coco_tree.make(tmp_path_factory.mktemp("coco") / "coco")


def perfect(split: CocoSplit, image: int, shift: float = 0.0) -> dict[str, Tensor]:
    """The output of a net that finds all single objects, `shift` pixels to the right."""
    rows = [row for row in split.rows(image) if not row["iscrowd"]]
    boxes = torch.tensor([row["bbox"] for row in rows]).view(-1, 4) + torch.tensor([shift, 0, 0, 0])
    boxes[:, 2:] += boxes[:, :2]
    masks = torch.zeros(len(rows), 1, HEIGHT, WIDTH)
    for pixels, row in zip(masks, rows, strict=True):
        pixels[0] = 0.9 * torch.from_numpy(split.coco.annToMask(row)).roll(int(shift), 1)
    points = torch.tensor([row.get("keypoints", [0] * 51) for row in rows]).view(-1, 17, 3)
    labels = torch.tensor([row["category_id"] for row in rows], dtype=torch.int64)
    objects = {"boxes": boxes, "labels": labels, "scores": torch.ones(len(rows)), "masks": masks}
    return objects | {"keypoints": points + torch.tensor([shift, 0.0, 0.0])}


def detected(split: CocoSplit, measure: Measure, shift: float = 0.0) -> list[Detection]:
    images = split.images
    return [item for image in images for item in detections(image, perfect(split, image, shift), measure)]


@pytest.mark.parametrize(
    ("kind", "measure"), [(kind, each) for kind, measures in MEASURES.items() for each in measures]
)
def test_average_precision_is_cocoevals(root: Path, kind: Target, measure: Measure, tmp_path: Path) -> None:
    """Asked by files, as its manual has it: detections shifted, scored less, doubled, wrong, in crowds."""
    split = open_split(root, "val", kind)

    def values(items: list[Detection]) -> list[float]:
        return [*average_precision(split.coco, split.images, items, measure).values()]

    assert values(detected(split, measure)) == pytest.approx([100, 100, 100])
    assert values([]) == [0, 0, 0]
    results = detected(split, measure, 3.0)
    results += [item | {"score": 0.4} for item in detected(split, measure, 1.0)]
    results += [item | {"score": 0.3, "image_id": 2} for item in results[:1]]  # in the crowd of people
    file = tmp_path / "results.json"
    file.write_text(json.dumps(results, default=bytes.decode))
    with redirect_stdout(io.StringIO()):
        names = {"boxes": "instances", "keypoints": "person_keypoints"}
        truth = COCO(str(root / "annotations" / f"{names[kind]}_val2017.json"))
        test = COCOeval(truth, truth.loadRes(str(file)), IOU_TYPES[measure])
        test.evaluate()
        test.accumulate()
        test.summarize()
    expected = [100 * value for value in test.stats[:3]]
    assert 0 < expected[0] < 100
    assert values(results) == expected


def test_only_tested_images_count(root: Path) -> None:
    split = open_split(root, "val", "boxes")
    first = [item for item in detected(split, "mask") if item["image_id"] == 1]
    assert average_precision(split.coco, [1], first, "mask")["ap"] == pytest.approx(100)
    assert average_precision(split.coco, [1, 2, 3], first, "mask")["ap"] < 100
    assert average_precision(split.coco, [3], [], "box") == {}  # nothing is to be found there


def test_a_mask_is_where_a_pixel_is_more_likely_in_than_out(root: Path) -> None:
    output = perfect(open_split(root, "val", "boxes"), 1)
    output["masks"] = torch.zeros(2, 1, HEIGHT, WIDTH)
    output["masks"][0, 0, 5, 7], output["masks"][0, 0, 6, 8] = 0.51, 0.5
    (first, second) = detections(1, output, "mask")
    assert mask.toBbox(first["segmentation"]).tolist() == [7, 5, 1, 1]
    assert mask.area(second["segmentation"]) == 0


def test_the_learning_rate_rises_and_falls_as_the_recipe_says() -> None:
    profile = load_profile("coco-smoke")
    assert profile.detection
    recipe = replace(
        profile.detection.recipes["boxes"], steps=20, warmup_steps=4, milestones=(10, 15), lr=1.0
    )
    recipe = replace(recipe, schedule="steps", optimizer="sgd")
    detection = replace(profile.detection, recipes={**profile.detection.recipes, "boxes": recipe})
    configured = Detector(BOXES, replace(profile, detection=detection)).configure_optimizers()
    rates = []
    for _ in range(20):
        rates.append(configured["optimizer"].param_groups[0]["lr"])
        configured["optimizer"].step()
        configured["lr_scheduler"]["scheduler"].step()
    assert rates == pytest.approx([0.001, 0.25075, 0.5005, 0.75025, *[1.0] * 6, *[0.1] * 5, *[0.01] * 5])


def test_blocks_learn_faster_where_the_recipe_says_so() -> None:
    """All else comes from the shipped detector."""
    profile = load_profile("coco-smoke")
    assert profile.detection
    recipe = replace(profile.detection.recipes["boxes"], new_lr=4.0)
    detection = replace(profile.detection, recipes={**profile.detection.recipes, "boxes": recipe})
    module = Detector(BOXES, replace(profile, detection=detection))
    names = {p: name for name, p in module.net.named_parameters()}
    old, new = module.configure_optimizers()["optimizer"].param_groups
    assert all(".inserted.res4_4." in names[p] for p in new["params"])
    assert not any(".inserted." in names[p] for p in old["params"])
    assert new["initial_lr"] == pytest.approx(4 * old["initial_lr"])


@pytest.fixture
def real(tmp_path: Path) -> Run:
    """The paper's nets and recipe on one device, for two steps of two small images, from random weights."""
    paper = load_profile("coco-paper").dry(2)
    assert paper.detection
    small: dict[Target, tuple[int, ...]] = {"boxes": (64,), "keypoints": (64,)}
    recipes = {kind: replace(each, lr=1e-4) for kind, each in paper.detection.recipes.items()}
    detection = replace(paper.detection, sides=small, recipes=recipes, roots=dict.fromkeys(small, "coco"))
    torch.save(resnet50().state_dict(), tmp_path / "resnet50.pth")
    coco_tree.make(tmp_path / "coco")
    folders = Folders(data=tmp_path, results=tmp_path / "results", imagenet=(tmp_path / "resnet50.pth",))
    profile = replace(paper, detection=detection)
    return Run(task=DETECTION, spec=BOXES, profile=profile, seed=0, folders=folders)


@pytest.mark.rare
@pytest.mark.parametrize("kind", ["boxes", "keypoints"])
def test_coco_s_own_layout_is_trained_on_and_tested(
    kind: Target, real: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlrepro.learners.detector.WORKERS", 0)
    run = replace(real, spec=replace(BOXES, kind=kind))
    (run.root / "val2017/000000000001.jpg").write_bytes(b"no image")
    record = train(run)
    assert record.tested == 2
    assert any("images cannot be used and are left out" in note for note in record.notes)
    assert any("images with nothing to learn from" in note for note in record.notes)
    assert "resnet50.pth (sha256" in record.made.start
    state = torch.load(run.weights, weights_only=True)
    start = torch.load(run.folders.imagenet[0], weights_only=True)
    assert torch.equal(state["backbone.body.conv1.weight"], start["conv1.weight"])  # is not trained
    changed = "layer4.0.conv1.weight"
    assert not torch.equal(state[f"backbone.body.{changed}"], start[changed])
    assert "backbone.body.layer3.4_nonlocal.theta.weight" in state


@pytest.mark.rare  # its loaders are processes
def test_a_broken_training_image_is_named(real: Run) -> None:
    (real.root / "train2017/000000000001.jpg").write_bytes(b"no image")
    with pytest.raises(
        BadInput,
        match=r"^/.*/000000000001.jpg is missing, damaged or no image .*; unpack train2017.zip again$",
    ):
        train(real)
