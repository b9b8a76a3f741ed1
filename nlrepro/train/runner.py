"""One run -> one record. It goes on where it was cut off, and does nothing if its record is fresh."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger

from nlrepro import record as records
from nlrepro.config import Kind
from nlrepro.files import BadInput, exclusive, remove_temporaries
from nlrepro.nets.cost import cost
from nlrepro.processes import die_with_parent
from nlrepro.record import Metrics, Part, Record
from nlrepro.run import Run
from nlrepro.sweep.jobs import Job, Work
from nlrepro.sweep.status import forget_failure, forget_queued, mark_failed, reason
from nlrepro.tracking.dashboard import conclude, config, dashboard, id_path, resume
from nlrepro.train.checkpoint import AtomicCheckpoints, Try, earlier, save_atomic
from nlrepro.train.datamodule import Splits
from nlrepro.train.learner import Learner
from nlrepro.train.machine import ONE, Machine, rank
from nlrepro.train.module import VideoClassifier, in_order, percent
from nlrepro.train.precise_bn import precise_bn
from nlrepro.train.progress import Report, nobody
from nlrepro.train.provenance import announce, provenance, tell
from nlrepro.train.start import warm_start
from nlrepro.trial import Trial

Exact = bool | Literal["warn"]  # as Lightning takes `deterministic`
EXACT: Exact = "warn" if torch.cuda.is_available() else True  # max pooling in 3D has no exact backward on CUDA


def execute(job: Work, *, machine: Machine = ONE, report: Report = nobody, wait: bool = True) -> Any:
    """Train and test one run and write its record; `report` is told how far it is.

    If another process trains the same run, this one waits for its record. A run of several processes does not wait.

    Raises:
        BadInput: videos, or the parent's weights, are missing or damaged, or the record cannot be written.
        Busy: another process trains the run, and this one must not wait.
    """
    run = job.run
    found = run.finished()
    if found:
        forget_failure(run)
        return found
    if run.record_path.is_dir():
        raise BadInput(f"{run.record_path} is a folder; remove it: a record is to lie there")
    if rank():
        die_with_parent()
        lock: AbstractContextManager[None] = nullcontext()
    else:
        lock = exclusive(run.lock, f"trains {run.name}", wait=wait and machine.world_size == 1)
    with lock, marked(run):
        return run.finished() or job.train(machine, report)


@contextmanager
def marked(run: Trial[Any]) -> Iterator[None]:
    """Begin a try without the leftovers of an earlier one; if it fails, its folder says why until the next try."""
    if not rank():
        forget_failure(run)
        for path in (run.checkpoint, run.weights, run.record_path):
            remove_temporaries(path)
    try:
        yield
    except Exception as error:
        mark_failed(run, reason(error))
        raise
    forget_failure(run)  # a sweep may have marked an earlier try late


def train(job: Job, machine: Machine, report: Report) -> Record:
    """Go on from where an earlier try was cut off, test, and write the record."""
    run, videos = job.run, job.run.videos
    tell(run.damaged_record(), run.damaged_net())
    prepare(run.seed, exact=run.profile.real is None)
    classifier = job.module(machine.world_size)
    attempt = Try(classifier, report, machine.world_size, videos)
    start = warm_start(classifier.net, run)
    state = earlier(run.checkpoint, classifier, machine.world_size, videos)
    first = int(state["global_step"]) if state else 0
    announce(run, first, classifier.recipe.steps)
    lightning = trainer(classifier, run.checkpoint, dashboard(run, job.tables, config(run)), attempt, machine)
    if lightning.logger and lightning.is_global_zero:
        resume(lightning.logger, run.folder, classifier.points(state["curve"]) if state else [])
    fit(classifier, lightning, run, first, run.checkpoint if state else None)
    record = Record(
        key=run.key,
        profile=run.profile.name,
        seed=run.seed,
        tables=job.tables,
        spec=run.spec,
        fingerprint=run.fingerprint,
        settings=records.settings(run.spec, run.profile),
        metrics=test(classifier, lightning, run, None),
        curve=tuple(classifier.curve),
        cost=cost(run.spec, run.profile),
        made=provenance(attempt.seconds, lightning.strategy.root_device, start),
        videos=videos,
    )
    if lightning.is_global_zero:
        if lightning.logger:
            conclude(lightning.logger, record.metrics.logged)
        save_atomic(classifier.net.state_dict(), run.weights)
        records.write(record, run.folders.results)
        run.checkpoint.unlink(missing_ok=True)
        id_path(run).unlink(missing_ok=True)
        forget_queued(run)
    return record


def prepare(seed: int, exact: bool) -> None:
    """Set what the digits of a run depend on, and its speed; if `exact`, in one thread: more may add in another order."""
    quiet()
    if exact:
        torch.set_num_threads(1)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid; slow
    pl.seed_everything(seed, verbose=False)


def trainer(
    classifier: Learner,
    checkpoint: Path,
    log: Logger | bool,
    attempt: Try,
    machine: Machine,
    exact: Exact = EXACT,
) -> pl.Trainer:
    """Lightning's trainer, for the recipe's number of steps, with a checkpoint at each validation."""
    recipe, folder = classifier.recipe, checkpoint.parent
    saver = ModelCheckpoint(folder, checkpoint.stem, save_on_train_epoch_end=False, enable_version_counter=False)
    return pl.Trainer(
        **machine.options,
        max_steps=recipe.steps,
        max_epochs=-1,
        precision=recipe.precision,
        gradient_clip_val=recipe.clip_norm,
        val_check_interval=recipe.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=log,
        callbacks=[attempt, saver],
        plugins=[AtomicCheckpoints(), *machine.environment],
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        deterministic=exact,
    )


def fit(classifier: VideoClassifier, fitter: pl.Trainer, run: Run, first: int, checkpoint: Path | None) -> None:
    """Train from step `first` on, the step of the checkpoint if there is one."""
    splits = Splits(run, classifier.recipe, first)
    fitter.fit(classifier, datamodule=splits, ckpt_path=str(checkpoint) if checkpoint else None, weights_only=True)
    precise_bn(classifier, fitter, splits)


def test(classifier: VideoClassifier, tester: pl.Trainer, run: Run, at_most: int | None) -> Metrics:
    """The accuracy on the test split, or on at most so many of its videos, over the profile's views of each.

    Raises:
        FloatingPointError: the loss is infinite or not a number.
    """
    splits = Splits(run, classifier.recipe, at_most=at_most)
    tester.test(classifier, datamodule=splits, verbose=False)
    ranks = in_order(classifier.ranks)
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
        kinds=by_kind(digits, splits.kinds) if at_most is None else {},
        clip_top1=percent(classifier.clip_top1) if views > 1 else None,
        listed=splits.tested.listed if splits.tested and not at_most else None,
    )


def by_kind(ranks: str, kinds: list[str]) -> dict[str, Part]:
    """The ranks of the test videos of each kind, in the order in which nlrepro/data/synthetic.py tells the kinds."""
    found = {}
    for kind in [kind for kind in get_args(Kind) if kind in kinds]:
        theirs = "".join(rank for rank, of in zip(ranks, kinds, strict=True) if of == kind)
        found[kind] = Part(top1=round(100 * theirs.count("0") / len(theirs), 4), ranks=theirs)
    return found


def quiet() -> None:
    """Silence Lightning's warnings about things that are meant to be as they are."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # of Lightning's own
    warnings.filterwarnings("ignore", message="The `srun` command is available.*")
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
