"""Runs of Table 4: precision and loss by their formulas, views joined, the same digits however often cut off, and all rows."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from charades_tree import as_real, charades, smoke
from films import film
from torch import Tensor

from ablations.charades import CHARADES
from nlrepro.beyond import outcome
from nlrepro.beyond.comparing import judge
from nlrepro.beyond.outcome import Outcome
from nlrepro.charades.job import ActionJob
from nlrepro.charades.module import ActionClassifier
from nlrepro.charades.precision import average_precisions, mean_average_precision
from nlrepro.charades.profile import Profile, load
from nlrepro.charades.trial import ActionTrial
from nlrepro.files import BadInput
from nlrepro.nets.resnet import VideoResNet
from nlrepro.spec import ActionSpec, NetSpec, Split
from nlrepro.sweep.jobs import Job
from nlrepro.train.module import Batch
from nlrepro.train.runner import execute
from nlrepro.trial import Folders

NETS = [NetSpec(), NetSpec(blocks="res4")]  # smaller than the table's
pytestmark = pytest.mark.usefixtures("as_in_a_sweep")


def test_average_precision_is_that_of_the_official_double_loop() -> None:
    """Charades_v1_classify.m: the precision at each video that has the class, in the order of the scores, and their mean."""
    random = np.random.default_rng(0)
    scores, truth = random.random((40, 5)), random.random((40, 5)) < 0.3
    truth[:, 3] = False
    found = average_precisions(scores, truth)
    for number in (0, 1, 2, 4):
        hits, total = 0, 0.0
        for rank, video in enumerate(sorted(range(40), key=lambda video: -scores[video, number]), 1):
            if truth[video, number]:
                hits += 1
                total += hits / rank
        assert found[number] == pytest.approx(total / truth[:, number].sum())
    assert np.isnan(found[3])
    assert mean_average_precision(scores, truth) == pytest.approx(100 * np.nanmean(found), abs=1e-4)


def test_scores_that_are_no_numbers_are_told() -> None:
    with pytest.raises(FloatingPointError, match="was no finite number"):
        mean_average_precision(np.array([[np.nan], [0.5]]), np.array([[True], [False]]))


@pytest.fixture
def classifier() -> ActionClassifier:
    torch.manual_seed(0)
    return ActionClassifier(ActionSpec(net=NETS[0]), smoke())


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
    classifier = ActionClassifier(ActionSpec(net=NETS[0]), replace(smoke(), over_views=over_views)).eval()  # type: ignore[arg-type]
    clips = torch.randint(256, (4, 16, 32, 32, 3), dtype=torch.uint8)
    labels = torch.eye(12)[[3, 3, 5, 5]]
    with torch.no_grad():
        classifier.net.fc.weight.mul_(100)
        classifier.test_step((clips, labels), 0)
        expected = classifier(clips).double().sigmoid()
    scores, truth = classifier.all_seen()
    for video in (0, 1):
        np.testing.assert_allclose(scores[video], joined(expected[2 * video : 2 * video + 2], 0))
        assert np.flatnonzero(truth[video]).tolist() == [(3, 5)[video]]
    assert classifier.seen == []


def test_maps_larger_than_those_of_training_give_scores_of_several_classes(
    classifier: ActionClassifier,
) -> None:
    """Table 2's released test gives logarithms of probabilities that sum to one; here a net's test is its training's mean."""
    geometry = replace(smoke().of_parents.geometry, architecture="release", dropout=0.0)
    torch.manual_seed(0)
    net, x = VideoResNet(NetSpec(), geometry, 12), torch.rand(1, 2, 256, 9, 9)
    with torch.no_grad():
        assert float(net.eval().head(x).exp().sum()) == pytest.approx(1)
        net.window = classifier.net.window
        torch.testing.assert_close(net.eval().head(x), net.train().head(x))


def weights(folder: Path, profile: Profile) -> Path:
    """Random weights to start from, as own or released ones would lie there."""
    folder.mkdir()
    for spec in NETS:
        torch.manual_seed(1)
        net = VideoResNet(spec, profile.of_parents.geometry, 6)
        torch.save(net.state_dict(), folder / f"{spec.name}-long.pt")
    return folder


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """The smoke profile with 8 steps, a checkpoint at 2, 4 and 6, and weights to start from."""
    made = smoke()
    return replace(made, recipe=replace(made.recipe, steps=8), start=str(weights(tmp_path / "weights", made)))


def trial(
    profile: Profile, data: Path, results: Path, split: Split = "train/val", net: NetSpec = NETS[0]
) -> ActionTrial:
    return ActionTrial(
        spec=ActionSpec(net=net, split=split),
        profile=profile,
        seed=0,
        folders=Folders(data=data, results=results),
    )


def lasting(found: Outcome) -> Outcome:
    return replace(found, made=replace(found.made, date="", seconds=0.0))


class CutOff(ActionClassifier):
    """Raises RuntimeError instead of taking a step."""

    def __init__(self, step: int, spec: ActionSpec, profile: Profile, devices: int = 1) -> None:
        super().__init__(spec, profile, devices)
        self.step = step

    def training_step(self, batch: Batch, index: int) -> Tensor:
        if self.global_step == self.step:
            raise RuntimeError("the power is gone")
        return super().training_step(batch, index)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_run_cut_off_twice_ends_as_if_it_had_not_been(
    charades_data: Path, profile: Profile, tmp_path: Path, dropout: float
) -> None:
    parents = tmp_path / "parents.toml"
    parents.write_text(f'base = "smoke"\n[geometry]\ndropout = {dropout}\n')
    profile = replace(profile, parents=str(parents))
    undisturbed = trial(profile, charades_data, tmp_path / "a", "trainval/test")
    before = execute(ActionJob(undisturbed, ("4",)))
    run = trial(profile, charades_data, tmp_path / "b", "trainval/test")
    for step in (3, 5):
        with pytest.raises(RuntimeError, match="the power is gone"):
            execute(ActionJob(run, ("4",), partial(CutOff, step)))
        assert not run.record_path.exists()
    found = execute(ActionJob(run, ("4",)))
    assert lasting(found) == lasting(before) == lasting(outcome.read(run.record_path))
    assert run.weights.read_bytes() == undisturbed.weights.read_bytes()
    assert run.scores.read_text() == undisturbed.scores.read_text()
    assert not run.checkpoint.exists()
    assert [point.step for point in found.curve] == [2, 4, 6, 8]
    assert run.finished() == found


def test_the_record_is_fresh_until_settings_start_or_videos_change(
    charades_data: Path, profile: Profile, tmp_path: Path
) -> None:
    run = trial(profile, charades_data, tmp_path / "results")
    record = execute(ActionJob(run))
    assert (record.tested, record.notes) == (16, ())
    assert execute(ActionJob(run)) == record
    other = replace(profile, over_views="mean")
    assert not replace(run, profile=other).is_fresh(record)
    start = Path(profile.start) / "r50-c2d-long.pt"
    state = torch.load(start)
    torch.save(state | {"fc.bias": state["fc.bias"] + 1}, start)
    assert not run.is_fresh(record)
    torch.save(state, start)


def test_the_last_layer_is_new_whatever_the_parent_has(
    charades_data: Path, profile: Profile, tmp_path: Path
) -> None:
    from nlrepro.charades.job import warm_start

    run = trial(profile, charades_data, tmp_path)
    torch.manual_seed(5)
    classifier = ActionClassifier(run.spec, profile)
    fresh = classifier.net.fc.weight.clone()
    state = torch.load(run.start) | {"fc.weight": torch.ones_like(fresh), "fc.bias": torch.ones(12)}
    torch.save(state, run.start)
    told = warm_start(classifier, run)
    torch.testing.assert_close(classifier.net.fc.weight, fresh, rtol=0, atol=0)
    torch.testing.assert_close(
        classifier.net.layer3[0].conv1.weight, state["layer3.0.conv1.weight"], rtol=0, atol=0
    )  # type: ignore[index,union-attr]
    assert told["start"].startswith("r50-c2d-long.pt (sha256 ")
    run.start.unlink()
    with pytest.raises(BadInput, match=r"cannot read .*r50-c2d-long.pt: No such file"):
        warm_start(classifier, run)
    torch.save({"conv1.weight": torch.ones(1, 1, 1, 1)}, run.start)
    with pytest.raises(BadInput, match=r"does not fit r50-c2d-charades-val: conv1\.weight"):
        warm_start(classifier, run)


def test_a_run_without_its_parent_tells_which_is_missing(charades_data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match="r50-c2d-charades-val starts from r50-c2d-long, which has no weights at"
    ):
        execute(ActionJob(trial(smoke(), charades_data, tmp_path)))


@pytest.mark.rare
def test_real_videos_are_trained_and_tested_and_what_is_held_back_has_its_scores(tmp_path: Path) -> None:
    root = charades(tmp_path / "charades")
    for video in ("XXXXX", "YYYYY"):
        film(root / "Charades_vu17_test_480" / f"{video}.mp4")
    made = as_real(smoke(), start=str(weights(tmp_path / "weights", smoke())))
    run = trial(made, root, tmp_path / "results")
    record = execute(ActionJob(run))
    assert set(record.metrics) == {"map"}
    assert record.tested == 2
    assert [note.split(" ", 1)[1][:9] for note in record.notes] == ["of 4 vide", "videos of"]
    run = trial(made, root, tmp_path / "results", "trainval/test")
    record = execute(ActionJob(run))
    assert record.metrics == {}
    assert record.notes[-1].startswith("the labels of the test are held back, so there is no mAP; the scores")
    lines = [line.split() for line in run.scores.read_text().splitlines()]
    assert [line[0] for line in lines] == ["XXXXX", "YYYYY"]
    assert all(len(line) == 158 and 0 < float(line[1]) < 1 for line in lines)
    assert run.finished()
    (root / "Charades_vu17_test_480/XXXXX.mp4").unlink()
    assert run.finished() is None


def test_the_papers_profile_is_the_papers_recipe() -> None:
    paper = load("paper")
    recipe = paper.recipe
    assert (recipe.steps, recipe.batch, recipe.lr, recipe.milestones) == (200000, 8, 0.00125, (75000, 150000))
    assert paper.real
    assert paper.real.train_sides == tuple(round(side * 288 / 224) for side in (256, 320))
    assert (paper.data.size, paper.real.test_side, paper.clips.frames, paper.clips.classes) == (
        288,
        320,
        128,
        157,
    )
    assert paper.as_table2.release
    assert ActionJob(trial(paper, Path(), Path())).steps == 8 * recipe.steps  # on one device


def test_the_experiment_has_the_papers_rows() -> None:
    assert [(line.label, line.spec.key, line.paper["map"]) for line in CHARADES.lines] == [
        ("I3D, train/val", "r101-i3d-3x1x1-charades-val", 35.5),
        ("NL I3D, train/val", "r101-i3d-3x1x1-nl-5-block-embedded-spacetime-charades-val", 37.5),
        ("I3D, trainval/test", "r101-i3d-3x1x1-charades-test", 37.2),
        ("NL I3D, trainval/test", "r101-i3d-3x1x1-nl-5-block-embedded-spacetime-charades-test", 39.5),
    ]
    assert [CHARADES.baseline(line).label for line in CHARADES.lines] == ["I3D, train/val"] * 2 + [
        "I3D, trainval/test"
    ] * 2


def test_a_sweep_makes_the_videos_of_the_parents_too(tmp_path: Path) -> None:
    """`make table4` is the first command of whoever wants this table."""
    jobs = CHARADES.work("smoke", [0], Folders(data=tmp_path / "data", results=tmp_path / "results"))
    jobs[0].prepare(1)
    videos = {path.parent.parent.name for path in (tmp_path / "data" / "smoke").rglob("*.mp4")}
    assert videos == {"train", "val", "test"}
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.mp4")}
    jobs[0].prepare(1)
    assert all(path.stat().st_mtime_ns == when for path, when in made.items())


@pytest.mark.rare
def test_all_rows_are_made_with_their_parents_and_judged(charades_data: Path, tmp_path: Path) -> None:
    work = CHARADES.work("smoke", (3, 4), Folders(data=charades_data, results=tmp_path))
    parents = [job for job in work if isinstance(job, Job)]
    assert len(work) == 4 + 8
    assert {job.run.seed for job in parents} == {0}
    assert ("2f" in parents[0].tables, "2g" in parents[-1].tables) == (True, True)
    for job in work:
        execute(job)
    records = outcome.read_all(tmp_path, smoke().name)
    assert len(records) == 8
    assert len({record.metrics["map"] for record in records}) == 8
    (verdict,) = judge(CHARADES, records, 2)
    assert (verdict.paper, verdict.preliminary) == ("holds", "")
    assert all(job.run.finished() for job in work)
