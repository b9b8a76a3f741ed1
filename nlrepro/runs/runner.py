"""One run: (spec, seed, profile) -> one record. It goes on where it was cut off, and does nothing if its record is fresh."""

import logging
import os
import platform
import subprocess
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import Logger

from nlrepro import record as records
from nlrepro.data.videos import ClipDataset, Tree, decoded
from nlrepro.errors import BadInput
from nlrepro.files import make_folder
from nlrepro.nets.cost import cost
from nlrepro.nets.weights import start_from
from nlrepro.profile import Profile
from nlrepro.record import Made, Metrics, Record
from nlrepro.runs.classifier import VideoClassifier, percent
from nlrepro.runs.dashboard import dashboard
from nlrepro.runs.loaders import Loader, TestBatches, TrainBatches
from nlrepro.runs.place import LOCAL, Place, finished, save_whole
from nlrepro.spec import RunSpec

VERSIONS = ("torch", "torchvision", "pytorch-lightning", "decord", "numpy")
TEST_BATCH = 100  # clips; changes nothing but speed


class Progress(Callback):
    """Tells `report` the number of steps done, about once a second."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self.report, self.told = report, 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if time.monotonic() - self.told > 1:
            self.report(trainer.global_step)
            self.told = time.monotonic()


def dataset(split: str, spec: RunSpec, profile: Profile, place: Place) -> ClipDataset:
    clips = profile.clips[spec.clip]
    tree = Tree.index(place.data / profile.data.root / split, clips.classes)
    frames = decoded(tree, profile.data, place.data / "cache") if profile.data.cached else None
    return ClipDataset(tree, profile.data, clips, frames)


def trainer(classifier: VideoClassifier, folder: Path, log: Logger | bool, report: Callable[[int], None]) -> pl.Trainer:
    """Lightning's, for the recipe's number of steps, with a checkpoint at each validation."""
    recipe, name = classifier.recipe, checkpoint_name(classifier.run_spec, classifier.profile)
    return pl.Trainer(
        max_steps=recipe.steps,
        max_epochs=-1,
        devices=1,
        precision=recipe.precision,
        gradient_clip_val=recipe.clip_norm,
        val_check_interval=recipe.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=log,
        callbacks=[Progress(report), ModelCheckpoint(folder, name, save_on_train_epoch_end=False, enable_version_counter=False)],
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        deterministic=True,
    )


def checkpoint_name(spec: RunSpec, profile: Profile) -> str:
    return f"part-{records.fingerprint(spec, profile)}"


def warm_start(classifier: VideoClassifier, seed: int, place: Place) -> None:
    """Copy the weights of the run that this one starts from, if there is one.

    Raises:
        BadInput: that run has not been made.
    """
    parent, profile = classifier.run_spec.parent, classifier.profile
    if parent is None:
        return
    weights = place.weights(profile, parent, seed)
    if not weights.is_file():
        raise BadInput(
            f"{classifier.run_spec.key} starts from {parent.key}, which has no weights at {weights}; use `sweep`, or run it first"
        )
    start_from(classifier.net, torch.load(weights, weights_only=True))


def fit(classifier: VideoClassifier, fitter: pl.Trainer, seed: int, place: Place, checkpoint: Path) -> None:
    """Train, from the checkpoint of an earlier try if there is one."""
    spec, profile, clips = classifier.run_spec, classifier.profile, classifier.clips
    training = dataset(clips.train, spec, profile, place)
    validation = dataset(clips.val, spec, profile, place)
    first = int(torch.load(checkpoint, weights_only=True)["global_step"]) if checkpoint.is_file() else 0
    fitter.fit(
        classifier,
        Loader(training, TrainBatches(len(training), classifier.recipe, seed, clips.anywhere, first)),
        Loader(validation, TestBatches(len(validation), 1, TEST_BATCH, classifier.recipe.validate_videos)),
        ckpt_path=str(checkpoint) if first else None,
        weights_only=True,
    )


def test(classifier: VideoClassifier, tester: pl.Trainer, place: Place) -> Metrics:
    """The accuracy on the test split, over the profile's views of each video."""
    views = classifier.profile.data.views
    testing = dataset(classifier.clips.test, classifier.run_spec, classifier.profile, place)
    tester.test(classifier, Loader(testing, TestBatches(len(testing), views, TEST_BATCH)), verbose=False)
    return Metrics(
        top1=percent(classifier.top1),
        top5=percent(classifier.top5),
        loss=float(classifier.test_loss.compute()),
        videos=len(testing),
        views=views,
        ranks="".join(str(min(rank, 9)) for rank in classifier.ranks),
    )


def run(
    module: type[VideoClassifier],
    spec: RunSpec,
    seed: int,
    profile: Profile,
    *,
    tables: tuple[str, ...] = (),
    place: Place = LOCAL,
    report: Callable[[int], None] = lambda step: None,
) -> Record:
    """Train and test one spec and write its record; `report` is told the steps that are done.

    Raises:
        BadInput: videos, or the parent's weights, are missing or damaged.
    """
    found = finished(spec, seed, profile, place)
    if found:
        return found
    begun, folder = time.monotonic(), place.run(profile, spec, seed)
    make_folder(folder)
    quiet()
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid; slow
    pl.seed_everything(seed, verbose=False)
    classifier = module(spec, profile)
    warm_start(classifier, seed, place)
    lightning = trainer(classifier, folder, dashboard(spec, seed, profile, tables, folder), report)
    checkpoint = folder / f"{checkpoint_name(spec, profile)}.ckpt"
    fit(classifier, lightning, seed, place, checkpoint)
    metrics = test(classifier, lightning, place)
    if lightning.logger:
        lightning.logger.log_metrics({f"test_{name}": getattr(metrics, name) for name in ("top1", "top5", "loss")})
    save_whole(classifier.net.state_dict(), place.weights(profile, spec, seed))
    record = Record(
        key=spec.key,
        profile=profile.name,
        seed=seed,
        tables=tables,
        spec=spec,
        fingerprint=records.fingerprint(spec, profile),
        metrics=metrics,
        curve=tuple(classifier.curve),
        cost=cost(spec, profile),
        made=made(time.monotonic() - begun, lightning),
    )
    records.write(record, place.results)
    checkpoint.unlink(missing_ok=True)
    return record


def made(seconds: float, trainer: pl.Trainer) -> Made:
    """When, where and with what."""
    gpu = trainer.strategy.root_device.type == "cuda"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return Made(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        git=commit,
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONS}},
        device=torch.cuda.get_device_name() if gpu else f"{platform.machine()} CPU, {os.cpu_count()} cores",
        seconds=round(seconds, 1),
    )


def quiet() -> None:
    """Silence what Lightning says about things that are meant to be as they are."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
