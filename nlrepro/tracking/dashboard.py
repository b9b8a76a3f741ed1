"""wandb: every run is logged offline, or online where a key is configured. No table needs it.

Curves and accuracies of a run that tables show are logged a second time under each table's name, such as `table2a/val_top1`: a
panel of that metric then holds the rows of the table and no other run.

A run that was cut off and goes on stays one run of wandb's: its id lies in its folder until it is done. Online, wandb appends to
it. Offline it cannot, so the wandb folder of the earlier try is removed and its points, which the checkpoint holds, are logged
again.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from secrets import token_hex
from typing import Any

from pytorch_lightning.loggers import Logger, WandbLogger

from nlrepro.files import write_atomic
from nlrepro.nets.cost import cost
from nlrepro.run import Run
from nlrepro.trial import Trial

PROJECT = "nonlocal-table2"
LOSS, VALIDATION, TEST = "train_loss", "val_top1", "test_top1"  # what Table 2 is drawn from
SHOWN = (LOSS, VALIDATION, TEST, "value", "test")  # under the name of each table; the last two are of Tables 4 to 6
STEP = "trainer/global_step"  # the x axis that Lightning logs


def tag(table: str) -> str:
    return f"table{table}"


class TableLogger(WandbLogger):
    def __init__(self, tables: Sequence[str], **settings: Any) -> None:
        super().__init__(**settings)
        self.tables = tuple(tables)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        shown = {name: value for name, value in metrics.items() if name in SHOWN}
        again = {f"{tag(table)}/{name}": value for table in self.tables for name, value in shown.items()}
        super().log_metrics({**metrics, **again}, step)


def dashboard(run: Trial[Any], tables: tuple[str, ...], config: Mapping[str, Any]) -> Logger | bool:
    """The logger of one run, with its files in the run's folder; False with WANDB_MODE=disabled."""
    if os.environ.get("WANDB_MODE") == "disabled":
        return False
    import wandb

    online = os.environ.get("WANDB_MODE", "online") == "online" and wandb.login(prompt=False)
    return TableLogger(
        tables,
        name=run.name,
        id=wandb_id(id_path(run)),
        group=f"{run.profile_name} {run.key}",  # the seeds of one net
        job_type="train",
        tags=[run.profile_name, *map(tag, tables)],
        config={**identity(run, tables), **config},
        project=PROJECT,
        save_dir=run.folder,
        mode="online" if online else "offline",  # `offline=` comes too late where wandb is imported already
        settings=wandb.Settings(silent=True, x_disable_stats=True, console="off"),
    )


def identity(run: Trial[Any], tables: tuple[str, ...]) -> dict[str, Any]:
    """Which run it is."""
    return {"key": run.key, "seed": run.seed, "profile": run.profile_name, "tables": list(tables)}


def config(run: Run) -> dict[str, Any]:
    """What runs are filtered and grouped by besides key and seed: net, its cost in the profile, recipe."""
    return {
        "clip": run.spec.clip,
        **asdict(run.spec.net),
        **asdict(cost(run.spec, run.profile)),
        **{name: getattr(run.recipe, name) for name in ("steps", "batch", "optimizer", "schedule", "lr", "weight_decay")},
    }


def id_path(run: Trial[Any]) -> Path:
    return run.folder / f"wandb-{run.fingerprint}.txt"


def wandb_id(path: Path) -> str:
    """The id that an earlier try chose, or a new one."""
    if not path.is_file():
        write_atomic(path, token_hex(4))
    return path.read_text()


def resume(logger: Logger, folder: Path, points: Sequence[Any]) -> None:
    """Offline, log the points of earlier tries again and remove their folders; online there is nothing to do."""
    if not isinstance(logger, WandbLogger):
        return
    for old in (folder / "wandb").glob(f"offline-run-*-{logger.version}"):
        shutil.rmtree(old)
    if logger.experiment.offline:
        for point in points:
            logger.log_metrics({name: value for name, value in asdict(point).items() if name != "step"}, point.step)


def conclude(logger: Logger, metrics: Mapping[str, float]) -> None:
    """Log the test and close the run: a process of a sweep ends without wandb's own goodbye."""
    logger.log_metrics(dict(metrics))
    if isinstance(logger, WandbLogger):
        logger.experiment.finish()
