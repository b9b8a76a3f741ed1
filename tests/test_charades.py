"""Table 4: precision and loss by their formulas, views joined, where a run starts, files of real videos."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from charades_tree import as_real, charades, smoke
from films import film
from records import fresh_record
from sklearn.metrics import average_precision_score
from torch import Tensor

from nlrepro.config import Profile, load_profile
from nlrepro.files import BadInput
from nlrepro.learners.action_classifier import ActionClassifier, mean_average_precision, scores_path
from nlrepro.nets.resnet import VideoResNet
from nlrepro.run import Folders, Run
from nlrepro.spec import ActionSpec, NetSpec, Split
from nlrepro.task import CHARADES
from nlrepro.train.loop import quiet, train

NET = NetSpec()  # smaller than the table's
pytestmark = pytest.mark.usefixtures("as_in_a_sweep")


def test_map_is_the_mean_average_precision_of_the_classes_that_some_video_has() -> None:
    random = np.random.default_rng(0)
    scores, truth = random.random((40, 5)), random.random((40, 5)) < 0.3
    truth[:, 3] = False
    expected = [average_precision_score(truth[:, each], scores[:, each]) for each in (0, 1, 2, 4)]
    assert mean_average_precision(scores, truth) == pytest.approx(100 * np.mean(expected), abs=1e-4)
    with pytest.raises(FloatingPointError, match="was no finite number"):
        mean_average_precision(np.array([[np.nan], [0.5]]), np.array([[True], [False]]))


@pytest.fixture
def classifier() -> ActionClassifier:
    torch.manual_seed(0)
    return ActionClassifier(ActionSpec(net=NET), smoke())


def test_the_loss_is_the_mean_of_the_binary_cross_entropies(classifier: ActionClassifier) -> None:
    clips = torch.randint(256, (2, 16, 32, 32, 3), dtype=torch.uint8)
    labels = (torch.rand(2, 12) < 0.5).float()
    classifier.eval()
    p = classifier(clips).detach().double().sigmoid()
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log()).sum() / 24
    assert classifier.training_step((clips, labels), 0).item() == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(("over_views", "joined"), [("max", Tensor.amax), ("mean", Tensor.mean)])
def test_the_scores_of_a_videos_views_are_joined(
    over_views: str, joined: Callable[[Tensor, int], Tensor]
) -> None:
    profile = smoke()
    assert profile.actions
    profile = replace(profile, actions=replace(profile.actions, over_views=over_views))  # type: ignore[arg-type]
    classifier = ActionClassifier(ActionSpec(net=NET), profile).eval()
    clips = torch.randint(256, (4, 16, 32, 32, 3), dtype=torch.uint8)
    labels = torch.eye(12)[[3, 3, 5, 5]]
    classifier.evaluator.begin(None, classifier.views)
    with torch.no_grad():
        classifier.net.fc.weight.mul_(100)
        classifier.test_step((clips, labels), 0)
        views = classifier(clips).double().sigmoid()
    scores, truth = classifier.evaluator.collected()
    for video in (0, 1):
        np.testing.assert_allclose(scores[video], joined(views[2 * video : 2 * video + 2], 0))
        assert np.flatnonzero(truth[video]).tolist() == [(3, 5)[video]]


def test_maps_larger_than_those_of_training_give_scores_of_several_classes(
    classifier: ActionClassifier,
) -> None:
    """Released tests of Table 2 give logarithms of probabilities; here a test computes what training does."""
    geometry = replace(smoke().geometry, architecture="release", dropout=0.0)
    torch.manual_seed(0)
    net, x = VideoResNet(NET, geometry, 12), torch.rand(1, 2, 256, 9, 9)
    with torch.no_grad():
        assert float(net.eval().head(x).exp().sum()) == pytest.approx(1)
        net.window = classifier.net.window
        torch.testing.assert_close(net.eval().head(x), net.train().head(x))


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """The smoke profile with random weights to start from, as own or released ones would lie there."""
    profile = smoke()
    assert profile.actions
    (tmp_path / "weights").mkdir()
    torch.manual_seed(1)
    torch.save(VideoResNet(NET, profile.geometry, 6).state_dict(), tmp_path / "weights" / "r50-c2d-long.pt")
    return replace(profile, start=str(tmp_path / "weights"))


def run_of(profile: Profile, data: Path, results: Path, split: Split = "train/val") -> Run:
    folders = Folders(data=data, results=results)
    return Run(task=CHARADES, spec=ActionSpec(net=NET, split=split), profile=profile, seed=0, folders=folders)


def test_a_record_is_stale_when_the_start_has_changed(data: Path, profile: Profile, tmp_path: Path) -> None:
    run, start = run_of(profile, data, tmp_path), tmp_path / "weights" / "r50-c2d-long.pt"
    record = fresh_record(run)
    assert replace(run).is_fresh(record)
    start.write_bytes(start.read_bytes() + b"0")
    assert not replace(run).is_fresh(record)


def test_the_last_layer_is_new_whatever_the_start_has(data: Path, profile: Profile, tmp_path: Path) -> None:
    run, start = run_of(profile, data, tmp_path), tmp_path / "weights" / "r50-c2d-long.pt"
    torch.manual_seed(5)
    classifier = ActionClassifier(run.spec, profile)
    fresh = classifier.net.fc.weight.clone()
    state = torch.load(start) | {"fc.weight": torch.ones_like(fresh), "fc.bias": torch.ones(12)}
    torch.save(state, start)
    classifier.start(run)
    after = classifier.net.state_dict()
    assert torch.equal(after["fc.weight"], fresh)
    assert torch.equal(after["layer3.0.conv1.weight"], state["layer3.0.conv1.weight"])
    torch.save({"conv1.weight": torch.ones(1, 1, 1, 1)}, start)
    with pytest.raises(BadInput, match=r"weights/r50-c2d-long.pt do not fit: conv1\.weight"):
        classifier.start(run)
    start.unlink()
    with pytest.raises(BadInput, match=r"cannot read .*r50-c2d-long.pt: No such file"):
        classifier.start(run)


def test_the_scores_of_a_test_are_kept_whatever_comes_after_it(
    data: Path, profile: Profile, tmp_path: Path
) -> None:
    run, learner = run_of(profile, data, tmp_path), ActionClassifier(ActionSpec(net=NET), profile)
    learner.evaluator.compute = Mock(side_effect=FloatingPointError)  # type: ignore[method-assign]
    quiet()
    tester = pl.Trainer(logger=False, enable_progress_bar=False, accelerator="cpu")
    with pytest.raises(FloatingPointError):
        tester.test(learner, datamodule=learner.data_module(run, learner.recipe), verbose=False)
    assert scores_path(run).read_text().count("\n") == 16


@pytest.mark.rare
def test_real_videos_are_trained_and_tested_and_what_is_held_back_has_its_scores(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlrepro.learners.classifier.WORKERS", 0)
    root = charades(tmp_path / "charades")
    for video in ("XXXXX", "YYYYY"):
        film(root / "Charades_vu17_test_480" / f"{video}.mp4")
    run = run_of(as_real(profile), root, tmp_path / "results")
    record = train(run)
    assert set(record.metrics) == {"map"}
    assert (record.tested, record.views) == (2, 2)
    assert [note.split(" ", 1)[1][:9] for note in record.notes] == ["of 4 vide", "videos of"]
    run = run_of(as_real(profile), root, tmp_path / "results", "trainval/test")
    record = train(run)
    assert record.metrics == {}
    assert record.notes[-1].startswith("the labels of the test are held back, so there is no mAP; the scores")
    lines = [line.split() for line in scores_path(run).read_text().splitlines()]
    assert [line[0] for line in lines] == ["XXXXX", "YYYYY"]
    assert all(len(line) == 158 and 0 < float(line[1]) < 1 for line in lines)
    assert run.finished()
    (root / "Charades_vu17_test_480/XXXXX.mp4").unlink()
    assert run.finished() is None


def test_the_papers_profile_is_the_papers_recipe() -> None:
    paper = load_profile("charades-paper")
    recipe, clips = paper.recipes["long"], paper.clips["long"]
    assert (recipe.steps, recipe.batch, recipe.lr, recipe.milestones) == (200000, 8, 0.00125, (75000, 150000))
    assert paper.real
    assert paper.real.train_sides == tuple(round(side * 288 / 224) for side in (256, 320))
    assert (paper.data.size, paper.real.test_side, clips.frames, clips.classes) == (288, 320, 128, 157)
