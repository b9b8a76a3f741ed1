"""`train(run) -> Record`: one run, from its start weights to its record. It goes on where it was cut off."""

import logging
import os
import platform
import re
import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger

from nlrepro.config import Recipe
from nlrepro.files import BadInput, exclusive, remove_temporaries, write_atomic
from nlrepro.learners.action_classifier import ActionClassifier
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.learners.detector import Detector
from nlrepro.learners.learner import Learner, points
from nlrepro.processes import die_with_parent
from nlrepro.record import Provenance, Record, write_record
from nlrepro.run import Run
from nlrepro.task import CharadesTask, DetectionTask, Task, VideoTask
from nlrepro.tracking import conclude, resume, wandb_id_path, wandb_logger
from nlrepro.train.checkpoint import AtomicCheckpoints, Report, RunCallback, resumable, state_bytes

LEARNERS: dict[type[Task], Callable[..., Learner]] = {  # by class: in the process of a run a task is a copy
    VideoTask: VideoClassifier,
    CharadesTask: ActionClassifier,
    DetectionTask: Detector,
}
READER = "decord" if find_spec("decord") else "av"  # of generated videos
VERSIONS = ("torch", "torchvision", "pytorch-lightning", READER, "numpy")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The devices that one run computes on: so many on each of so many nodes, a process each."""

    devices: int = 1
    nodes: int = 1

    @property
    def world_size(self) -> int:
        """The number of processes."""
        return self.devices * self.nodes

    @property
    def trainer_options(self) -> dict[str, Any]:
        return {
            "devices": self.devices,
            "num_nodes": self.nodes,
            "strategy": "ddp" if self.world_size > 1 else "auto",
            "use_distributed_sampler": False,  # nlrepro/data/order.py gives each process its part
        }

    @property
    def plugins(self) -> list[Any]:
        """Who has started the processes: SLURM only in a step of so many; one alone needs nobody.

        Lightning must not queue the job again, as submitit does.
        """
        if self.world_size == 1:
            return [LightningEnvironment()]
        if os.environ.get("SLURM_STEP_NUM_TASKS") != str(self.world_size):
            return []  # Lightning finds out
        os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(self.devices))  # Lightning insists on it
        return [SLURMEnvironment(auto_requeue=False)]


ONE = Machine()


def rank() -> int:
    """The number of this process among those of one run, 0 for the first."""
    return int(getattr(rank_zero_only, "rank", 0))


def train(run: Run, machine: Machine = ONE, report: Report | None = None, wait: bool = True) -> Record:
    """Train and test a run and write its record; return the record if it is there and fresh.

    If another process trains the same run, this one waits for its record. A run of several processes does not
    wait.

    Raises:
        BadInput: data, or the parent's weights, are missing or damaged, or the record cannot be written.
        Busy: another process trains the run, and this one must not wait.
    """
    if record := run.finished():
        run.forget_failure()
        return record
    if run.record_path.is_dir():
        raise BadInput(f"{run.record_path} is a folder; remove it: a record is to lie there")
    lock: AbstractContextManager[None] = nullcontext()
    if machine.world_size == 1:
        vars(rank_zero_only)["rank"] = 0  # whatever Lightning has read in the environment at its import
    if rank():
        die_with_parent()
    else:
        lock = exclusive(run.lock, f"trains {run.name}", wait=wait and machine.world_size == 1)
    with lock, failures_noted(run):
        return run.finished() or train_locked(run, machine, report)


@contextmanager
def failures_noted(run: Run) -> Iterator[None]:
    """Begin a try without the leftovers of an earlier one; if it fails, its folder says why."""
    if not rank():
        run.forget_failure()
        for path in (run.checkpoint, run.weights, run.record_path):
            remove_temporaries(path)
    try:
        yield
    except BadInput as error:
        # of a loader's process torch puts the traceback in front
        reason = str(error).rpartition(f"{BadInput.__module__}.BadInput: ")[2].strip()
        run.mark_failed(reason)
        raise BadInput(reason) from None
    except Exception as error:
        run.mark_failed(one_line(error))
        raise
    run.forget_failure()  # a sweep may have marked an earlier try late


def train_locked(run: Run, machine: Machine, report: Report | None) -> Record:
    """Go on from where an earlier try was cut off, test, and write the record."""
    if damage := run.damage():
        log(damage)
    cost = run.task.cost(run.spec, run.profile)  # before `prepare` sets the seed: it builds a net
    learner = prepare(run, machine.world_size)
    callback = RunCallback(learner, report, machine.world_size, run.data)
    start = learner.start(run)
    state = resumable(run.checkpoint, learner, callback)
    first = int(state["global_step"]) if state else 0
    log(f"{run.name} from step {first} of {learner.recipe.steps}")
    trainer = make_trainer(learner, run, callback, machine, wandb_logger(run, learner.recipe, cost))
    if trainer.logger and trainer.is_global_zero:
        resume(trainer.logger, learner, points(state["curve"]) if state else [])
    data = learner.data_module(run, learner.recipe, first)
    checkpoint = str(run.checkpoint) if state else None
    trainer.fit(learner, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    learner.after_fit(trainer, data)
    trainer.test(learner, datamodule=data, verbose=False)  # it has notes of the training
    net = state_bytes(learner.net.state_dict())
    assert learner.result
    record = Record(
        key=run.key,
        profile=run.profile.name,
        seed=run.seed,
        tables=run.tables,
        spec=asdict(run.spec),
        fingerprint=run.fingerprint,
        settings=run.settings,
        **vars(learner.result),
        curve=tuple(learner.curve),
        cost=cost,
        made=provenance(callback.seconds, trainer.strategy.root_device, start),
        data=callback.data,
        net=sha256(net).hexdigest(),
    )
    if trainer.is_global_zero:
        if trainer.logger:
            conclude(trainer.logger, record.metrics)
        finish(run, record, net)
    return record


def finish(run: Run, record: Record, net: bytes) -> None:
    """Write the net, then the record that names it, and remove what only an unfinished run needs."""
    write_atomic(run.weights, net)
    write_record(record, run.folders.results)
    for path in (run.checkpoint, wandb_id_path(run)):
        path.unlink(missing_ok=True)
    run.forget_queued()


def prepare(run: Run, devices: int) -> Learner:
    """The module of a run, after all that its digits depend on is set.

    Runs on generated data compute in one thread: more may add in another order.
    """
    quiet()
    if run.profile.real is None:
        torch.set_num_threads(1)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid; slow
    pl.seed_everything(run.seed, verbose=False)
    learner = run.module or LEARNERS[type(run.task)]
    return learner(run.spec, run.profile, devices)


def make_trainer(
    learner: Learner, run: Run, callback: RunCallback, machine: Machine, logger: Logger | bool
) -> pl.Trainer:
    """Lightning's trainer, for the recipe's number of steps, with a checkpoint at each validation."""
    recipe, folder = learner.recipe, run.checkpoint.parent
    saver = ModelCheckpoint(
        folder, run.checkpoint.stem, save_on_train_epoch_end=False, enable_version_counter=False
    )
    exact: Literal["warn"] | bool = learner.deterministic_on_gpu if torch.cuda.is_available() else True
    return pl.Trainer(
        **machine.trainer_options,
        max_steps=recipe.steps,
        max_epochs=-1,
        precision=usable_precision(recipe),
        gradient_clip_val=recipe.clip_norm,
        accumulate_grad_batches=recipe.accumulate,
        val_check_interval=recipe.validate_every * recipe.accumulate,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=logger,
        callbacks=[callback, saver],
        plugins=[AtomicCheckpoints(), *machine.plugins],
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        deterministic=exact,
    )


def usable_precision(recipe: Recipe) -> Any:
    """That of the recipe. Without a GPU Lightning would take bfloat16 for float16, and only warn."""
    if recipe.precision == "16-mixed" and not torch.cuda.is_available():
        raise BadInput('precision = "16-mixed" needs a GPU; the profile may say "bf16-mixed" or "32-true"')
    return recipe.precision


def quiet() -> None:
    """Silence Lightning's warnings about things that are meant to be as they are."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # evaluators have gathered already
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # of Lightning's own
    warnings.filterwarnings("ignore", message="The `srun` command is available.*")
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")


@rank_zero_only
def log(line: str) -> None:
    """Print a line to the log of the run, after time, machine and process."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    print(f"{now} {platform.node()} process {os.getpid()}: {line}", flush=True)


def one_line(error: BaseException) -> str:
    """What went wrong, in one line."""
    kind = [] if isinstance(error, BadInput) else [type(error).__name__]
    return ": ".join([*kind, *filter(None, [" ".join(str(error).split())])])[:500]


def processor() -> str:
    """The kind of CPU, and the widest instructions that torch uses: the last digits of sums depend on them.

    Clouds give several kinds one name: on Linux the vendor's number of the model tells them apart.
    """
    file = Path("/proc/cpuinfo")
    lines = file.read_text() if file.is_file() else ""
    facts = dict(re.findall(r"^(model name|model)\s*: (.+)$", lines, re.MULTILINE))
    name = facts.get("model name") or platform.processor() or platform.machine()
    number = f"model {facts['model']}, " if "model" in facts else ""
    return f"{name} ({number}{torch.backends.cpu.get_cpu_capability()})"


def provenance(
    seconds: float, device: torch.device | None = None, start: Mapping[str, str] | None = None
) -> Provenance:
    """When, where and with what a result was made just now; `start` names pretrained weights."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    gpu = torch.cuda.get_device_name() if device and device.type == "cuda" else None
    versions = {name: version(name) for name in VERSIONS} | {"python": platform.python_version()}
    return Provenance(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        git=commit,
        versions=versions | dict(start or {}),
        device=gpu or f"{processor()}, {os.cpu_count()} cores",
        seconds=round(seconds, 1),
    )
