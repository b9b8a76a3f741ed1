"""One run: the same seed gives the same digits, cut off or not; it does nothing twice and needs its parent."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from attempts import cut_off_at
from torch import Tensor

from nlrepro import record as records
from nlrepro.config import Profile
from nlrepro.files import BadInput
from nlrepro.record import Record
from nlrepro.run import Run
from nlrepro.spec import RunSpec
from nlrepro.sweep.jobs import Job
from nlrepro.train.module import Batch, VideoClassifier
from nlrepro.train.progress import Progress
from nlrepro.train.runner import execute
from nlrepro.trial import Folders

SHORT, LONG = RunSpec(), RunSpec(clip="long")


pytestmark = pytest.mark.usefixtures("as_in_a_sweep")


def run_of(spec: RunSpec, profile: Profile, data: Path, results: Path, seed: int = 0) -> Run:
    return Run(spec=spec, profile=profile, seed=seed, folders=Folders(data=data, results=results))


def outcome(record: Record) -> tuple[object, ...]:
    return record.metrics, record.curve, record.fingerprint


def longer(profile: Profile, *, dropout: float = 0.0) -> Profile:
    """The smoke profile with 8 steps of short clips and a checkpoint at 2, 4 and 6."""
    recipe = replace(profile.recipes["short"], steps=8, validate_every=2)
    return replace(profile, recipes={**profile.recipes, "short": recipe}, geometry=replace(profile.geometry, dropout=dropout))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("step", [1, 3, 6])
def test_a_run_cut_off_ends_as_if_it_had_not_been(smoke: Profile, data: Path, tmp_path: Path, step: int, dropout: float) -> None:
    profile = longer(smoke, dropout=dropout)
    undisturbed = execute(Job(run_of(SHORT, profile, data, tmp_path / "a")))
    run = run_of(SHORT, profile, data, tmp_path / "b")
    with pytest.raises(RuntimeError, match="the power is gone"):
        execute(Job(run, partial(cut_off_at(step), run.spec)))
    assert not run.record_path.exists()
    steps: list[int] = []

    class Counted(VideoClassifier):
        def training_step(self, batch: Batch, index: int) -> Tensor:
            steps.append(self.global_step)
            return super().training_step(batch, index)

    resumed = execute(Job(run, partial(Counted, run.spec)))
    assert steps == list(range(step // 2 * 2, 8))
    assert outcome(resumed) == outcome(undisturbed)


def test_a_run_tells_where_it_goes_on_with_what_it_has_reached(smoke: Profile, data: Path, tmp_path: Path) -> None:
    run, told = run_of(SHORT, longer(smoke), data, tmp_path), list[Progress]()
    with pytest.raises(RuntimeError, match="the power is gone"):
        execute(Job(run, partial(cut_off_at(5), run.spec)), report=told.append)
    assert (told[0].step, told[0].steps, told[0].last) == (0, 8, None)
    before = told[-1].last
    again = list[Progress]()
    record = execute(Job(run), report=again.append)
    assert (again[0].step, again[0].last) == (4, before) == (4, record.curve[1])
    assert [point for point in record.curve if point not in [one.last for one in again]] == [record.curve[0]]
    assert (again[-1].step, again[-1].last) == (8, record.curve[-1])
    assert again[-1].tested is not None


def test_the_curve_has_a_point_at_each_validation(smoke: Profile, data: Path, tmp_path: Path) -> None:
    record = execute(Job(run_of(SHORT, longer(smoke), data, tmp_path)))
    assert [point.step for point in record.curve] == [2, 4, 6, 8]


def test_a_seed_gives_the_same_digits_and_another_seed_others(smoke: Profile, data: Path, swept: Path, tmp_path: Path) -> None:
    """Also in another process: `swept` is from a sweep of many."""
    for seed in (0, 1):
        execute(Job(run_of(SHORT, smoke, data, tmp_path, seed)))
        again = execute(Job(run_of(LONG, smoke, data, tmp_path, seed)))
        path = records.record_path(swept, "smoke", LONG.key, seed)
        assert outcome(again) == outcome(records.read(path))
    first, second = (records.read(records.record_path(swept, "smoke", LONG.key, seed)) for seed in (0, 1))
    assert first.curve != second.curve


def test_a_fresh_record_is_given_back_and_a_stale_one_made_anew(smoke: Profile, data: Path, tmp_path: Path) -> None:
    run = run_of(SHORT, smoke, data, tmp_path)
    first = execute(Job(run))
    written = run.record_path.stat().st_mtime_ns
    assert execute(Job(run)) == run.finished() == first
    assert run.record_path.stat().st_mtime_ns == written
    other = replace(run, profile=longer(smoke))
    assert not other.finished()
    second = execute(Job(other))
    assert other.is_fresh(second)
    assert records.read(run.record_path) == second
    assert second.metrics != first.metrics


def test_a_run_without_its_parents_weights_names_them(smoke: Profile, data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"starts from r50-c2d, which has no weights at .*net-.*\.pt"):
        execute(Job(run_of(LONG, smoke, data, tmp_path)))
    assert not list(tmp_path.rglob("*.json"))


def test_a_run_starts_from_its_parents_weights(smoke: Profile, data: Path, swept: Path, tmp_path: Path) -> None:
    """Learning rate 0: the net that comes out is the parent's."""
    still = replace(smoke, recipes={**smoke.recipes, "long": replace(smoke.recipes["long"], lr=1e-30, weight_decay=0.0)})
    shutil.copytree(swept / "runs" / "smoke" / SHORT.key, tmp_path / "runs" / "smoke" / SHORT.key)
    run = run_of(LONG, still, data, tmp_path)
    execute(Job(run))
    assert run.parent
    parent, child = (torch.load(one.weights, weights_only=True) for one in (run.parent, run))
    assert parent.keys() == child.keys()
    assert all(torch.allclose(parent[name].float(), child[name].float(), atol=1e-6) for name in parent)


def test_metrics_are_those_of_the_ranks(swept: Path) -> None:
    """A video is right at top-k if fewer than k classes score above the true one."""
    found = records.read_all(swept, "smoke")
    assert found
    for record in found:
        metrics = record.metrics
        assert len(metrics.ranks) == metrics.videos
        for k, accuracy in ((1, metrics.top1), (5, metrics.top5)):
            right = sum(int(rank) < k for rank in metrics.ranks)
            assert accuracy == pytest.approx(100 * right / metrics.videos, abs=1e-4), (record.key, k)


def test_accuracy_is_of_the_softmax_averaged_over_views(smoke: Profile) -> None:
    classifier = VideoClassifier(RunSpec(), smoke)
    classifier.eval()
    torch.nn.init.normal_(classifier.net.fc.weight)
    clips = torch.randint(0, 256, (6, 4, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    with torch.no_grad():
        scores = classifier(clips).softmax(1)
        classifier.test_step((clips, labels), 0)
    means = (scores[0::2] + scores[1::2]) / 2
    truth = torch.tensor([0, 1, 2])
    assert classifier.ranks == [int((mean > mean[label]).sum()) for mean, label in zip(means, truth, strict=True)]
    expected = -means[range(3), truth].log().mean()
    assert float(classifier.test_loss.compute()) == pytest.approx(float(expected))
