"""One run: (spec, seed, profile) -> one record. It goes on where it was cut off, and does nothing if its record is fresh."""

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import isfinite
from pathlib import Path
from typing import get_args

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger

from nlrepro import record as records
from nlrepro.files import tidy
from nlrepro.nets.cost import cost
from nlrepro.profile import Kind, Profile
from nlrepro.record import Metrics, Part, Record
from nlrepro.spec import RunSpec
from nlrepro.sweep.lock import sole
from nlrepro.sweep.marks import forget_failure, forget_queued, mark_failed, reason
from nlrepro.sweep.orphans import die_with_parent
from nlrepro.tracking.dashboard import conclude, dashboard, id_path, resume
from nlrepro.train.checkpoint import Try, WholeCheckpoints, earlier
from nlrepro.train.datamodule import Splits
from nlrepro.train.module import VideoClassifier, percent, points
from nlrepro.train.paths import LOCAL, ONE, Machine, Place, finished, rank, save_whole
from nlrepro.train.precise_bn import precise_bn
from nlrepro.train.provenance import announce, made
from nlrepro.train.start import warm_start


def trainer(classifier: VideoClassifier, checkpoint: Path, log: Logger | bool, attempt: Try, machine: Machine) -> pl.Trainer:
    """Lightning's, for the recipe's number of steps, with a checkpoint at each validation."""
    recipe, folder = classifier.recipe, checkpoint.parent
    saver = ModelCheckpoint(folder, checkpoint.stem, save_on_train_epoch_end=False, enable_version_counter=False)
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
        callbacks=[attempt, saver],
        plugins=[WholeCheckpoints(), *slurm(machine)],
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        deterministic="warn" if torch.cuda.is_available() else True,  # max pooling in 3D has no deterministic backward on CUDA
    )


def slurm(machine: Machine) -> list[SLURMEnvironment]:
    """Where SLURM has started the processes of this run it says who is who; submitit requeues, so Lightning must not."""
    started = SLURMEnvironment.detect() and int(os.environ["SLURM_NTASKS"]) == machine.all
    return [SLURMEnvironment(auto_requeue=False)] if started else []


def fit(classifier: VideoClassifier, fitter: pl.Trainer, seed: int, place: Place, checkpoint: Path | None, first: int) -> None:
    """Train, from the checkpoint of an earlier try, made at step `first`, if there is one."""
    splits = Splits(classifier.run_spec, classifier.profile, classifier.recipe, seed, place, first)
    fitter.fit(classifier, datamodule=splits, ckpt_path=str(checkpoint) if checkpoint else None, weights_only=True)
    precise_bn(classifier, fitter, splits)


def test(classifier: VideoClassifier, tester: pl.Trainer, place: Place, videos: int | None) -> Metrics:
    """The accuracy on the test split, or on so many of its videos, over the profile's views of each."""
    splits = Splits(classifier.run_spec, classifier.profile, classifier.recipe, 0, place, at_most=videos)
    tester.test(classifier, datamodule=splits, verbose=False)
    ranks = classifier.all_ranks()
    views = classifier.views
    loss = float(classifier.test_loss.compute())
    if not isfinite(loss):
        raise FloatingPointError(f"the test loss was {loss}")
    digits = "".join(str(min(rank, 9)) for rank in ranks)
    return Metrics(
        top1=percent(classifier.top1),
        top5=percent(classifier.top5),
        loss=loss,
        videos=len(ranks),
        views=views,
        ranks=digits,
        kinds=by_kind(digits, splits.kinds) if videos is None else {},
        clip_top1=percent(classifier.clip_top1) if views > 1 else None,
        listed=splits.tested.listed if splits.tested and not videos else None,
    )


def by_kind(ranks: str, kinds: list[str]) -> dict[str, Part]:
    """The ranks of the test videos of each kind, in the order in which nlrepro/data/synthetic.py tells the kinds."""
    found = {}
    for kind in [kind for kind in get_args(Kind) if kind in kinds]:
        theirs = "".join(rank for rank, of in zip(ranks, kinds, strict=True) if of == kind)
        found[kind] = Part(top1=round(100 * theirs.count("0") / len(theirs), 4), ranks=theirs)
    return found


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
    wait: bool = True,
) -> Record:
    """Train and test one spec and write its record; `report` is told the steps that are done.

    While another process trains the same run this one waits, and finds its record; one of several processes does not.

    Raises:
        BadInput: videos, or the parent's weights, are missing or damaged.
        Busy: another process trains the run, and `wait` is false or this is one of several.
    """
    found = finished(spec, seed, profile, place)
    if found:
        return found
    if rank():
        die_with_parent()
        lock: AbstractContextManager[None] = nullcontext()
    else:
        lock = sole(place.lock(profile, spec, seed), f"trains {spec.key} seed {seed}", wait=wait and machine.all == 1)
    with lock, marked(spec, seed, profile, place):
        return finished(spec, seed, profile, place) or train(module, spec, seed, profile, tables, place, machine, report)


@contextmanager
def marked(spec: RunSpec, seed: int, profile: Profile, place: Place) -> Iterator[None]:
    """One try, cleared of what an earlier one left half done; its failure stays marked until the next begins."""
    folder = place.run(profile, spec, seed)
    if not rank():
        forget_failure(folder)
        tidy(place.checkpoint(profile, spec, seed))
        tidy(place.weights(profile, spec, seed))
        tidy(records.record_path(place.results, profile.name, spec.key, seed))
    try:
        yield
    except Exception as error:
        mark_failed(folder, reason(error))
        raise
    forget_failure(folder)  # of a sweep that marked an earlier try late


def train(
    module: type[VideoClassifier],
    spec: RunSpec,
    seed: int,
    profile: Profile,
    tables: tuple[str, ...],
    place: Place,
    machine: Machine,
    report: Callable[[int], None],
) -> Record:
    """Go on from where an earlier try was cut off, test, and write the record."""
    folder, checkpoint = place.run(profile, spec, seed), place.checkpoint(profile, spec, seed)
    videos = place.videos(profile, spec)
    quiet()
    if profile.real is None:
        torch.set_num_threads(1)  # another number may add in another order
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid; slow
    pl.seed_everything(seed, verbose=False)
    classifier, this = module(spec, profile, machine.all), Try(report, machine.all, videos)
    start = warm_start(classifier, seed, place)
    state = earlier(checkpoint, machine.all, videos)
    first = int(state["global_step"]) if state else 0
    announce(spec, seed, first, classifier.recipe.steps)
    lightning = trainer(classifier, checkpoint, dashboard(spec, seed, profile, tables, folder), this, machine)
    if lightning.logger and lightning.is_global_zero:
        resume(lightning.logger, folder, points(state["curve"]) if state else [])
    fit(classifier, lightning, seed, place, checkpoint if state else None, first)
    metrics = test(classifier, lightning, place, None)
    record = Record(
        key=spec.key,
        profile=profile.name,
        seed=seed,
        tables=tables,
        spec=spec,
        fingerprint=records.fingerprint(spec, profile),
        settings=records.settings(spec, profile),
        metrics=metrics,
        curve=tuple(classifier.curve),
        cost=cost(spec, profile),
        made=made(this.seconds, lightning, start),
        videos=videos,
    )
    if lightning.is_global_zero:
        if lightning.logger:
            conclude(lightning.logger, metrics)
        save_whole(classifier.net.state_dict(), place.weights(profile, spec, seed))
        records.write(record, place.results)
        checkpoint.unlink(missing_ok=True)
        id_path(spec, profile, folder).unlink(missing_ok=True)
        forget_queued(folder)
    return record


def quiet() -> None:
    """Silence what Lightning says about things that are meant to be as they are."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message="The `srun` command is available.*")
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
