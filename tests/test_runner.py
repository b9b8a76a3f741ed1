"""One run: a seed gives the same digits, cut off or not; it does nothing twice and needs its parent."""

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from attempts import cut_off_at, lasting, longer
from conftest import smoke_run
from lightning_utilities.core.rank_zero import rank_zero_only
from torch import Tensor

from ablations.registry import TABLES
from nlrepro.config import Profile, load_profile
from nlrepro.files import BadInput, is_locked
from nlrepro.learners.action_classifier import scores_path
from nlrepro.learners.classifier import Batch, VideoClassifier
from nlrepro.learners.learner import Result
from nlrepro.record import read_record
from nlrepro.run import Folders, Run
from nlrepro.spec import ActionSpec, DetectionSpec, NetSpec, RunSpec
from nlrepro.task import CHARADES, DETECTION, VIDEO
from nlrepro.train.checkpoint import Progress
from nlrepro.train.loop import LEARNERS, prepare, train

SHORT, LONG = "r50-c2d", "r50-c2d-long"
GOLDEN = Path(__file__).parent / "golden" / "losses.txt"
pytestmark = pytest.mark.usefixtures("as_in_a_sweep")


def copy_of(swept: Path, results: Path, *keys: str) -> Path:
    """The records and nets of these runs."""
    for key in keys:
        for kind in ("records", "runs"):
            shutil.copytree(swept / kind / "smoke" / key, results / kind / "smoke" / key)
    return results


@pytest.mark.parametrize(
    ("task", "spec"),
    [
        (VIDEO, RunSpec()),
        (CHARADES, ActionSpec(net=NetSpec(), split="trainval/test")),
        (DETECTION, DetectionSpec(kind="boxes", backbone="r50", block=True)),
        (DETECTION, DetectionSpec(kind="keypoints", backbone="r50", head_blocks=True)),
    ],
    ids=lambda value: getattr(value, "key", ""),
)
def test_a_run_cut_off_ends_as_if_it_had_not_been(
    task: Any, spec: Any, data: Path, swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first checkpoint, and twice after one; it reports where it goes on and what it reaches."""
    results = [copy_of(swept, tmp_path / name, LONG) for name in ("a", "b")]
    profile = longer(task.profile("smoke"), 8, 2)
    folders = [Folders(data=data, results=folder) for folder in results]
    calm, run = (Run(task=task, spec=spec, profile=profile, seed=0, folders=each) for each in folders)
    undisturbed = train(calm)
    capsys.readouterr()
    states = []
    for step in (0, 3, 5):
        with pytest.raises(RuntimeError, match="the power is gone"):
            train(replace(run, module=cut_off_at(step, LEARNERS[type(task)])))
        states.append(torch.get_rng_state())
        assert not run.record_path.exists()
        assert run.failure() == "RuntimeError: the power is gone"
    prepare(run, 1).start(run)
    assert torch.equal(states[0], torch.get_rng_state())  # no other net drew some: all digits would change
    reports = list[Progress]()
    resumed = train(run, report=reports.append)
    assert lasting(resumed) == lasting(undisturbed) == lasting(read_record(run.record_path))
    assert run.weights.read_bytes() == calm.weights.read_bytes()
    assert [point.step for point in resumed.curve] == [2, 4, 6, 8]
    assert re.findall(r" from step (\d)", capsys.readouterr().out) == ["0", "0", "2", "4"]
    assert (reports[0].step, reports[0].steps, reports[0].last) == (4, 8, resumed.curve[1])
    assert (reports[-1].step, reports[-1].last) == (8, resumed.curve[-1])
    assert reports[-1].tested is not None
    assert not run.checkpoint.exists()
    assert run.failure() is None
    if task is CHARADES:
        assert scores_path(run).read_text() == scores_path(calm).read_text()


def test_the_losses_of_each_step_are_the_golden_ones(data: Path, tmp_path: Path) -> None:
    """To three digits, as processors add in orders of their own.

    WRITE_GOLDEN=1 writes them anew; then all records are stale.
    """
    losses: list[float] = []

    class Noted(VideoClassifier):
        def training_step(self, batch: Batch, index: int) -> Tensor:
            loss = super().training_step(batch, index)
            losses.append(float(loss.detach()))
            return loss

    run = smoke_run("r50-c2d-nl-res4-embedded-spacetime", Folders(data=data, results=tmp_path))
    losses.append(train(replace(run, module=Noted)).metrics["loss"])
    if os.environ.get("WRITE_GOLDEN"):
        GOLDEN.write_text("".join(f"{loss:.6f}\n" for loss in losses))
    assert losses == pytest.approx([float(line) for line in GOLDEN.read_text().splitlines()], rel=1e-3)


def test_a_seed_gives_the_same_digits_and_another_seed_others(
    data: Path, swept: Path, tmp_path: Path
) -> None:
    """Also in another process: `swept` is from a sweep of many."""
    own, others = (Folders(data=data, results=each) for each in (copy_of(swept, tmp_path, SHORT), swept))
    records = [train(smoke_run(LONG, own, seed)) for seed in (0, 1)]
    before = [smoke_run(LONG, others, seed).record() for seed in (0, 1)]
    assert [*map(lasting, records)] == [lasting(record) for record in before if record]
    assert records[0].curve != records[1].curve


def test_a_fresh_record_is_given_back_and_a_stale_one_made_anew(
    smoke: Profile, data: Path, swept: Path, tmp_path: Path
) -> None:
    run = smoke_run(SHORT, Folders(data=data, results=copy_of(swept, tmp_path, SHORT)))
    first, written = run.finished(), run.record_path.stat().st_mtime_ns
    run.mark_failed("written by another sweep, after the success")
    assert train(run) == first
    assert run.failure() is None
    assert run.record_path.stat().st_mtime_ns == written
    other = replace(run, profile=longer(smoke, 3, 3))
    assert not other.finished()
    assert train(other) == other.finished() == read_record(run.record_path) != first


def test_a_run_of_one_process_is_locked_whatever_rank_an_outer_job_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(rank_zero_only), "rank", 1)
    monkeypatch.setattr("nlrepro.train.loop.train_locked", lambda run, *_: is_locked(run.lock))
    assert train(smoke_run(SHORT, Folders(results=tmp_path)))


def test_a_run_without_its_parents_weights_names_them(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"starts from r50-c2d, which has no weights at .*net-.*\.pt"):
        train(smoke_run(LONG, Folders(data=data, results=tmp_path)))
    assert not list(tmp_path.rglob("*.json"))


def test_accuracy_is_of_the_softmax_averaged_over_views(smoke: Profile) -> None:
    torch.manual_seed(0)
    classifier = VideoClassifier(RunSpec(), smoke).eval()
    torch.nn.init.normal_(classifier.net.fc.weight)
    clips = torch.randint(256, (6, 4, 32, 32, 3), dtype=torch.uint8)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    classifier.evaluator.begin(None, classifier.views)
    with torch.no_grad():
        scores = classifier(clips).softmax(1)
        classifier.test_step((clips, labels), 0)
    means = (scores[0::2] + scores[1::2]) / 2
    truth = torch.tensor([0, 1, 2])
    result = classifier.evaluator.compute()
    ranks = [int((mean > mean[label]).sum()) for mean, label in zip(means, truth, strict=True)]
    assert (result.tested, result.views, result.ranks) == (3, 2, "".join(map(str, ranks)))
    assert result.metrics["loss"] == pytest.approx(float(-means[range(3), truth].log().mean()))


@pytest.mark.parametrize(("warmup", "peak"), [(0.05, 0), (0.1, 1), (0.3, 5), (0.5, 9)])
def test_the_learning_rate_of_one_cycle_rises_in_its_warm_up_and_then_falls(
    smoke: Profile, warmup: float, peak: int
) -> None:
    """Of 20 steps; with a warm-up of one step there is nothing to rise."""
    recipe = replace(smoke.recipes["short"], steps=20, warmup=warmup)
    profile = replace(smoke, recipes={**smoke.recipes, "short": recipe})
    configured = VideoClassifier(RunSpec(), profile).configure_optimizers()
    optimizer, schedule, rates = configured["optimizer"], configured["lr_scheduler"]["scheduler"], []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates.index(max(rates)) == peak
    assert max(rates) == pytest.approx(recipe.lr, rel=0.01)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_what_the_start_does_not_have_learns_faster_where_the_recipe_says_so(smoke: Profile) -> None:
    """Blocks and classifier begin at their initial values, all else at the pretrained net's."""
    recipe = replace(smoke.recipes["short"], new_lr=4.0, steps=10)
    run = smoke_run("r50-c2d-nl-res4-embedded-spacetime", Folders())
    run = replace(run, profile=replace(smoke, recipes={**smoke.recipes, "short": recipe}))
    module = VideoClassifier(run.spec, run.profile)
    module.start(run)
    names = {p: name for name, p in module.net.named_parameters()}
    configured = module.configure_optimizers()
    old, new = configured["optimizer"].param_groups
    assert {names[p].split(".")[0] for p in new["params"]} == {"fc", "inserted"}
    assert not {names[p].split(".")[0] for p in old["params"]} & {"fc", "inserted"}
    assert len(old["params"]) + len(new["params"]) == len(names)
    assert (old["max_lr"], new["max_lr"]) == (recipe.lr, 4 * recipe.lr)
    assert run.fingerprint != smoke_run(run.key, Folders()).fingerprint


def test_batches_in_parts_resume_to_the_same_digits(data: Path, tmp_path: Path) -> None:
    """And have the record's settings of batches at once."""
    records = []
    for name in ("undisturbed", "cut off"):
        run = smoke_run("r50-c2d", Folders(data=data, results=tmp_path / name))
        recipes = {**run.profile.recipes, "short": replace(run.profile.recipes["short"], accumulate=2)}
        parted = replace(run, profile=replace(run.profile, recipes=recipes))
        assert parted.fingerprint == run.fingerprint
        if name == "cut off":
            with pytest.raises(RuntimeError, match="the power is gone"):
                train(replace(parted, module=cut_off_at(3, VideoClassifier)))
            with pytest.raises(BadInput, match="made of batches in 2 parts, got 1; set `accumulate`"):
                train(run)
        records.append(train(parted))
    assert [point.step for point in records[0].curve] == [2, 4]
    assert records[0].net == records[1].net
    assert records[0].curve == records[1].curve


def test_runs_start_from_nets_in_a_folder(data: Path, swept: Path, tmp_path: Path) -> None:
    """Each row from its own net; rows without one are left out, and records have their own profile."""
    with pytest.raises(BadInput, match=r"no nets <key>.pt to start from in .*mine"):
        load_profile(f"smoke:{tmp_path}/mine")
    given = tmp_path / "my nets" / "r50-c2d.pt"
    given.parent.mkdir()
    shutil.copy(smoke_run("r50-c2d", Folders(data=data, results=swept)).weights, given)
    folders, name = Folders(data=data, results=tmp_path), f"smoke:{given.parent}"
    runs = TABLES.runs(["2"], [0], name, folders)
    assert [run.key for run in runs] == ["r50-c2d", "r50-c2d-long"]
    assert {run.profile.name for run in runs} == {"smoke-from-my-nets"}
    record = train(runs[0])
    assert record.made.start.startswith("r50-c2d.pt (sha256 ")
    assert runs[0].finished()
    torch.save(torch.load(given, weights_only=True), tmp_path / "other.pt")
    given.write_bytes((tmp_path / "other.pt").read_bytes() + b"0")
    assert not TABLES.runs(["2"], [0], name, folders)[0].finished()  # another start


def test_a_recipe_of_mixed_precision_trains_with_clipped_gradients_and_is_never_exchanged(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mixed(precision: Any) -> Run:
        run = smoke_run("r50-c2d", Folders(data=data, results=tmp_path))
        recipes = {name: replace(each, precision=precision) for name, each in run.profile.recipes.items()}
        return replace(run, profile=replace(run.profile, recipes=recipes))

    assert [point.step for point in train(mixed("bf16-mixed")).curve] == [2, 4]
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(BadInput, match='precision = "16-mixed" needs a GPU'):
        train(mixed("16-mixed"))


def test_a_test_of_which_nothing_could_be_read_gives_no_record(data: Path, tmp_path: Path) -> None:
    run = smoke_run(SHORT, Folders(data=data, results=tmp_path))
    unread = Result(metrics={}, tested=0, notes=("16 images cannot be read",))

    class Unread(VideoClassifier):
        def on_test_epoch_end(self) -> None:
            self.evaluator = SimpleNamespace(compute=lambda: unread)
            super().on_test_epoch_end()

    with pytest.raises(BadInput, match=r"nothing could be tested: .*16 images cannot be read; `data check`"):
        train(replace(run, module=Unread))
    assert not run.record_path.exists()
