"""wandb: every run is logged offline, or online where a key is configured. No table needs it.

Curves and results of a run that tables show are logged a second time under each table's name, such as
`table2a/val_top1`: a panel of that metric then holds the rows of the table and no other run.

A run that was cut off and goes on stays one run of wandb's: its id lies in its folder until it is done.
Online, wandb appends to it. Offline it cannot, so the wandb folder of the earlier try is removed and its
points, which the checkpoint holds, are logged again.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from lightning_utilities.core.rank_zero import rank_zero_only

from nlrepro.config import Recipe
from nlrepro.files import BadInput, make_folder, write_atomic
from nlrepro.record import Cost, Point
from nlrepro.run import Run

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from nlrepro.learners.learner import Learner

PROJECT = "nonlocal-table2"
MODES = ("online", "offline", "dryrun")
PATIENCE = 10  # seconds for wandb's service to answer
NO_KEY = (
    "no wandb key is configured, so nothing was uploaded; run `.venv/bin/wandb login` or set WANDB_API_KEY,"
    " and leave WANDB_MODE unset; `make dashboard` shows the runs without a key"
)


def wandb_logger(run: Run, recipe: Recipe, cost: Cost) -> "Logger | bool":
    """Lightning's logger of one run, with its files in the run's folder; False with WANDB_MODE=disabled.

    Whatever wandb makes of its variables, key and settings or of the network, the run goes on: offline with
    none of wandb's variables, or else without a log.
    """
    if os.environ.get("WANDB_MODE") == "disabled":
        return False
    path = wandb_id_path(run)
    if not path.is_file():  # else an earlier try chose the id
        write_atomic(path, token_hex(4))
    start = partial(start_logger, run, recipe, cost, path.read_text())
    try:
        return start()
    except Exception as error:  # wandb's own, pydantic's or the system's
        why = error
    logger: Logger | bool = False
    with suppress(Exception):
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            del os.environ[name]
        os.environ |= {"WANDB_MODE": "offline", "WANDB_CONFIG_DIR": str(run.folder / "wandb")}
        sys.modules["wandb"].teardown()  # its service still holds the run
        logger = start()
    warn(why, f"{run.name} is {'logged offline' if logger else 'not logged'}")
    return logger


def warn(error: Exception, what: str) -> None:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    print(f"wandb: {what}: {reason:.300}", file=sys.stderr, flush=True)


def start_logger(run: Run, recipe: Recipe, cost: Cost, name: str) -> "Logger":
    """A logger of the run that wandb knows by this name, after `wandb.init`; raises whatever wandb raises."""
    import wandb
    from pytorch_lightning.loggers import WandbLogger

    class TableLogger(WandbLogger):
        def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
            names = [name for name in metrics if name.startswith(("train_", "val_", "test_"))]
            by_table = {f"table{table}/{name}": metrics[name] for table in run.tables for name in names}
            try:
                super().log_metrics({**metrics, **by_table}, step)
            except Exception as error:  # its service has ended, or the disk is full
                warn(error, f"{run.name} is logged up to here")
                vars(self)["log_metrics"] = lambda *_, **__: None

    mode = os.environ.get("WANDB_MODE", "online")
    if mode not in MODES:
        raise ValueError(f"WANDB_MODE={mode!r} is none of {', '.join(MODES)}, disabled")
    if first := getattr(rank_zero_only, "rank", 0) == 0:
        for old in (run.folder / "wandb").glob(f"offline-run-*-{name}"):  # of a try that was cut off
            shutil.rmtree(old)
    online = mode == "online" and first and wandb.login(prompt=False)
    logger = TableLogger(
        name=run.name,
        id=name,
        group=f"{run.profile.name} {run.key}",  # the seeds of one net
        job_type="train",
        tags=[run.profile.name, *(f"table{table}" for table in run.tables)],
        config=run_config(run, recipe, cost),
        project=PROJECT,
        save_dir=run.folder,
        mode="online" if online else "offline",  # `offline=` comes too late where wandb is imported already
        settings=wandb.Settings(
            silent=True,
            x_disable_stats=True,
            console="off",
            init_timeout=PATIENCE,
            finish_timeout=6 * PATIENCE,
        ),
    )
    _ = logger.experiment  # begins it, in the first process
    return logger


def run_config(run: Run, recipe: Recipe, cost: Cost) -> dict[str, Any]:
    """What runs are filtered and grouped by: key, seed, tables, net, its cost in the profile, recipe."""
    spec = asdict(run.spec)
    names = ("steps", "batch", "optimizer", "schedule", "lr", "weight_decay")
    about = {"key": run.key, "seed": run.seed, "profile": run.profile.name, "tables": list(run.tables)}
    settings = {name: getattr(recipe, name) for name in names}
    return {**about, **spec.pop("net", {}), **spec, **asdict(cost), **settings}


def wandb_id_path(run: Run) -> Path:
    return run.folder / f"wandb-{run.fingerprint}.txt"


def resume(logger: Any, learner: "Learner", curve: Sequence[Point]) -> None:
    """Offline, log the points of earlier tries again; online wandb has them."""
    if logger.experiment.offline:
        for point in curve:
            logger.log_metrics(learner.logged(point), point.step)


def conclude(logger: Any, metrics: Mapping[str, float]) -> None:
    """Log the test and close the run: a process of a sweep ends without wandb's own goodbye."""
    logger.log_metrics({f"test_{name}": value for name, value in metrics.items()})
    with suppress(Exception):  # what was logged lies in the run's folder
        logger.experiment.finish()


def logs(results: Path) -> list[Path]:
    """The folders of wandb's logs below `results/runs`, the oldest first.

    Raises:
        BadInput: there is none.
    """
    files = (results / "runs").glob("*/*/*/wandb/*run-*/run-*.wandb")
    folders = [file.parent for file in files if not file.parent.is_symlink()]
    if not folders:
        advice = "run a sweep first, without WANDB_MODE=disabled"
        raise BadInput(f"no wandb log lies below {results / 'runs'}; {advice}")
    return sorted(folders, key=lambda folder: folder.name.removeprefix("offline-"))


def dashboard(results: Path) -> None:
    """Open wandb's terminal dashboard on a folder of links to all local logs, until the reader closes it."""
    folder = results / "runs" / "wandb"
    make_folder(folder)
    for old in folder.iterdir():
        if old.is_symlink():
            old.unlink()
    for log in logs(results):
        (folder / log.name).symlink_to(os.path.relpath(log, folder))
    wandb_command("leet", str(folder))


def upload(results: Path, entity: str | None) -> None:
    """Upload the offline runs that were not uploaded yet.

    Raises:
        BadInput: no key is configured, it is refused, or wandb could not upload.
    """
    import wandb

    try:
        known = wandb.login(prompt=False)
    except Exception as error:  # also pydantic's, of a variable
        reason, advice = " ".join(str(error).split()), "run `.venv/bin/wandb login --relogin`"
        raise BadInput(f"wandb refuses the key, or a variable of its own ({reason:.300}); {advice}") from None
    if not known:
        raise BadInput(NO_KEY)
    offline = [str(log) for log in logs(results) if log.name.startswith("offline-")]
    if offline and wandb_command("sync", "--yes", *(["--entity", entity] if entity else []), *offline):
        advice = "the same command goes on with the rest"
        raise BadInput(f"wandb could not upload all runs (above it says why); {advice}")


def wandb_command(*words: str) -> int:
    """wandb's own command line; its exit status."""
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"}  # that of runs
    return subprocess.call([sys.executable, "-m", "wandb", *words], env=environment)
