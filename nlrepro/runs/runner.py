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
from nlrepro.files import make_folder
from nlrepro.nets.cost import cost
from nlrepro.profile import Profile
from nlrepro.record import Made, Metrics, Record
from nlrepro.runs.classifier import VideoClassifier, percent
from nlrepro.runs.dashboard import dashboard
from nlrepro.runs.norms import measure_norms
from nlrepro.runs.place import LOCAL, ONE, Machine, Place, finished, save_whole
from nlrepro.runs.splits import Splits
from nlrepro.runs.start import warm_start
from nlrepro.spec import RunSpec

VERSIONS = ("torch", "torchvision", "pytorch-lightning", "decord", "numpy")


class Progress(Callback):
    """Tells `report` the number of steps done, about once a second."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self.report, self.told = report, 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if time.monotonic() - self.told > 1:
            self.report(trainer.global_step)
            self.told = time.monotonic()


def trainer(
    classifier: VideoClassifier, folder: Path, log: Logger | bool, report: Callable[[int], None], machine: Machine
) -> pl.Trainer:
    """Lightning's, for the recipe's number of steps, with a checkpoint at each validation."""
    recipe, name = classifier.recipe, checkpoint_name(classifier.run_spec, classifier.profile)
    return pl.Trainer(
        max_steps=recipe.steps,
        max_epochs=-1,
        devices=machine.devices,
        num_nodes=machine.nodes,
        strategy="ddp" if machine.all > 1 else "auto",
        use_distributed_sampler=False,  # Splits gives each process its share
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
        deterministic="warn" if torch.cuda.is_available() else True,  # max pooling in 3D has no deterministic backward on CUDA
    )


def checkpoint_name(spec: RunSpec, profile: Profile) -> str:
    return f"part-{records.fingerprint(spec, profile)}"


def fit(classifier: VideoClassifier, fitter: pl.Trainer, seed: int, place: Place, checkpoint: Path) -> None:
    """Train, from the checkpoint of an earlier try if there is one."""
    first = int(torch.load(checkpoint, weights_only=True)["global_step"]) if checkpoint.is_file() else 0
    splits = Splits(classifier.run_spec, classifier.profile, classifier.recipe, seed, place, first)
    fitter.fit(classifier, datamodule=splits, ckpt_path=str(checkpoint) if first else None, weights_only=True)
    measure_norms(classifier, fitter, splits)


def test(classifier: VideoClassifier, tester: pl.Trainer, place: Place, videos: int | None) -> Metrics:
    """The accuracy on the test split, or on so many of its videos, over the profile's views of each."""
    splits = Splits(classifier.run_spec, classifier.profile, classifier.recipe, 0, place, at_most=videos)
    tester.test(classifier, datamodule=splits, verbose=False)
    ranks = classifier.all_ranks()
    views = classifier.views
    return Metrics(
        top1=percent(classifier.top1),
        top5=percent(classifier.top5),
        loss=float(classifier.test_loss.compute()),
        videos=len(ranks),
        views=views,
        ranks="".join(str(min(rank, 9)) for rank in ranks),
        clip_top1=percent(classifier.clip_top1) if views > 1 else None,
        listed=splits.tested.listed if splits.tested and not videos else None,
    )


def run(
    module: type[VideoClassifier],
    spec: RunSpec,
    seed: int,
    profile: Profile,
    *,
    tables: tuple[str, ...] = (),
    place: Place = LOCAL,
    machine: Machine = ONE,
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
    classifier = module(spec, profile, machine.all)
    start = warm_start(classifier, seed, place)
    lightning = trainer(classifier, folder, dashboard(spec, seed, profile, tables, folder), report, machine)
    checkpoint = folder / f"{checkpoint_name(spec, profile)}.ckpt"
    fit(classifier, lightning, seed, place, checkpoint)
    metrics = test(classifier, lightning, place, None)
    if lightning.logger:
        lightning.logger.log_metrics({f"test_{name}": getattr(metrics, name) for name in ("top1", "top5", "loss")})
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
        made=made(time.monotonic() - begun, lightning, start),
    )
    if lightning.is_global_zero:
        save_whole(classifier.net.state_dict(), place.weights(profile, spec, seed))
        records.write(record, place.results)
        checkpoint.unlink(missing_ok=True)
    return record


def made(seconds: float, trainer: pl.Trainer, start: dict[str, str]) -> Made:
    """When, where and with what; `start` says what a warm start took from files of others."""
    gpu = trainer.strategy.root_device.type == "cuda"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return Made(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        git=commit,
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONS}, **start},
        device=torch.cuda.get_device_name() if gpu else f"{platform.machine()} CPU, {os.cpu_count()} cores",
        seconds=round(seconds, 1),
    )


def quiet() -> None:
    """Silence what Lightning says about things that are meant to be as they are."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message="The `srun` command is available.*")
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
