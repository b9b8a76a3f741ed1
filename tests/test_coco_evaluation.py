"""COCO's average precision: of perfect, shifted and no detections, and what COCOeval says when it is asked itself."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import coco_tree
import pytest
import torch
from coco_tree import HEIGHT, WIDTH
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from nlrepro.coco.data import Tree, tree
from nlrepro.coco.evaluation import MEASURES, Detection, Measure, Precision, detections, precision
from nlrepro.spec import Target

Output = dict[str, Tensor]
CASES: list[tuple[Target, Measure]] = [(kind, measure) for kind, measures in MEASURES.items() for measure in measures]
each_measure = pytest.mark.parametrize(("kind", "measure"), CASES)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coco_tree.make(tmp_path_factory.mktemp("coco") / "coco")


def perfect(whole: Tree, image: int, shift: float = 0.0) -> Output:
    """What a net would say that finds all single objects, `shift` pixels to the right."""
    rows = [row for row in whole.rows(image) if not row["iscrowd"]]
    boxes = torch.tensor([row["bbox"] for row in rows]).view(-1, 4) + torch.tensor([shift, 0, 0, 0])
    boxes[:, 2:] += boxes[:, :2]
    masks = torch.zeros(len(rows), 1, HEIGHT, WIDTH)
    for mask, row in zip(masks, rows, strict=True):
        mask[0] = 0.9 * torch.from_numpy(whole.coco.annToMask(row)).roll(int(shift), 1)
    points = torch.tensor([row.get("keypoints", [0] * 51) for row in rows]).view(-1, 17, 3) + torch.tensor([shift, 0.0, 0.0])
    labels = torch.tensor([row["category_id"] for row in rows], dtype=torch.int64)
    return {"boxes": boxes, "labels": labels, "scores": torch.ones(len(rows)), "masks": masks, "keypoints": points}


def found(whole: Tree, measure: Measure, shift: float = 0.0) -> list[Detection]:
    return [item for image in whole.images for item in detections(image, perfect(whole, image, shift), measure)]


@each_measure
def test_a_perfect_net_has_100_a_shifted_one_less_and_none_0(root: Path, kind: Target, measure: Measure) -> None:
    whole = tree(root, "val", kind)
    best = precision(whole.coco, whole.images, found(whole, measure), measure)
    assert [best.ap, best.ap50, best.ap75] == pytest.approx([100, 100, 100])
    shifted = precision(whole.coco, whole.images, found(whole, measure, 4.0), measure)
    assert best.ap
    assert shifted.ap
    assert 0 < shifted.ap < best.ap
    assert precision(whole.coco, whole.images, [], measure) == Precision(ap=0.0, ap50=0.0, ap75=0.0)


@each_measure
def test_it_is_what_cocoeval_says(root: Path, kind: Target, measure: Measure, tmp_path: Path) -> None:
    """Asked as its manual has it, by files, with detections of all kinds: shifted, of other scores, doubled, wrong, in crowds."""
    whole = tree(root, "val", kind)
    results = found(whole, measure, 3.0) + [item | {"score": 0.4} for item in found(whole, measure, 1.0)]
    results += [item | {"score": 0.3, "image_id": 2} for item in results[:1]]  # in the crowd of people
    file = tmp_path / "results.json"
    file.write_text(json.dumps(results, default=bytes.decode))
    with redirect_stdout(io.StringIO()):
        names = {"boxes": "instances", "keypoints": "person_keypoints"}
        ground = COCO(str(root / "annotations" / f"{names[kind]}_val2017.json"))
        test = COCOeval(ground, ground.loadRes(str(file)), {"box": "bbox", "mask": "segm", "kp": "keypoints"}[measure])
        test.evaluate()
        test.accumulate()
        test.summarize()
    expected = [100 * value for value in test.stats[:3]]
    assert 0 < expected[0] < 100
    mine = precision(whole.coco, whole.images, results, measure)
    assert [mine.ap, mine.ap50, mine.ap75] == expected


def test_what_is_found_in_a_crowd_is_no_mistake(root: Path) -> None:
    whole = tree(root, "val", "boxes")
    right = found(whole, "mask")
    inside = {"image_id": 2, "category_id": 1, "score": 2.0} | {"segmentation": right[0]["segmentation"]}
    aside = inside | {"image_id": 3, "category_id": 1}
    assert precision(whole.coco, whole.images, [*right, inside], "mask").ap == pytest.approx(100)
    wrong = precision(whole.coco, whole.images, [*right, aside], "mask").ap
    assert wrong
    assert wrong < 100


def test_only_the_images_that_were_tested_count(root: Path) -> None:
    whole = tree(root, "val", "boxes")
    first = [item for item in found(whole, "mask") if item["image_id"] == 1]
    assert precision(whole.coco, [1], first, "mask").ap == pytest.approx(100)
    all_images = precision(whole.coco, whole.images, first, "mask").ap
    assert all_images
    assert all_images < 100


def test_where_nothing_is_to_be_found_there_is_no_precision(root: Path) -> None:
    whole = tree(root, "val", "boxes")
    assert precision(whole.coco, [3], [], "box") == Precision(ap=None, ap50=None, ap75=None)


def test_a_mask_is_where_a_pixel_is_more_likely_in_than_out(root: Path) -> None:
    from pycocotools import mask

    output = perfect(tree(root, "val", "boxes"), 1)
    output["masks"] = torch.zeros(2, 1, HEIGHT, WIDTH)
    output["masks"][0, 0, 5, 7], output["masks"][0, 0, 6, 8] = 0.51, 0.5
    (first, second) = detections(1, output, "mask")
    assert mask.toBbox(first["segmentation"]).tolist() == [7, 5, 1, 1]
    assert mask.area(second["segmentation"]) == 0
