"""wandb: every run is logged offline, or online where a key is configured. No table needs it.

Curves and accuracies of a run that tables show are logged a second time under each table's name, such as `table2a/val_top1`: a
panel of that metric then holds the rows of the table and no other run, which wandb's workspaces cannot ask for otherwise.

A run that was cut off and goes on stays one run of wandb's, under an id that lies in its folder until it is done. Online, wandb
goes on in place. Offline it cannot: the folder of the cut-off try is removed, and its points, which the checkpoint holds, are
logged again into the new one.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from secrets import token_hex
from typing import Any

from pytorch_lightning.loggers import Logger, WandbLogger

from nlrepro.files import write_whole
from nlrepro.nets.cost import cost
from nlrepro.profile import Profile
from nlrepro.record import Metrics, Point, fingerprint
from nlrepro.spec import RunSpec

PROJECT = "nonlocal-table2"
LOSS, VALIDATION, TEST = "train_loss", "val_top1", "test_top1"  # what tables are drawn from
STEP = "trainer/global_step"  # the x axis that Lightning logs


def tag(table: str) -> str:
    return f"table{table}"


class TableLogger(WandbLogger):
    def __init__(self, tables: Sequence[str], **settings: Any) -> None:
        super().__init__(**settings)
        self.tables = tuple(tables)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        shown = {name: value for name, value in metrics.items() if name in (LOSS, VALIDATION, TEST)}
        again = {f"{tag(table)}/{name}": value for table in self.tables for name, value in shown.items()}
        super().log_metrics({**metrics, **again}, step)


def dashboard(spec: RunSpec, seed: int, profile: Profile, tables: tuple[str, ...], folder: Path) -> Logger | bool:
    """The logger of one run, with its files in `folder`; False with WANDB_MODE=disabled."""
    if os.environ.get("WANDB_MODE") == "disabled":
        return False
    import wandb

    online = os.environ.get("WANDB_MODE", "online") == "online" and wandb.login(prompt=False)
    return TableLogger(
        tables,
        name=f"{spec.key} seed {seed}",
        id=identity(id_path(spec, profile, folder)),
        group=f"{profile.name} {spec.key}",  # the seeds of one net
        job_type="train",
        tags=[profile.name, *map(tag, tables)],
        config=config(spec, seed, profile, tables),
        project=PROJECT,
        save_dir=folder,
        mode="online" if online else "offline",  # `offline=` comes too late where wandb is imported already
        settings=wandb.Settings(silent=True, x_disable_stats=True, console="off"),
    )


def config(spec: RunSpec, seed: int, profile: Profile, tables: tuple[str, ...]) -> dict[str, Any]:
    """What runs are filtered and grouped by: the run, its net, its cost in the profile, its recipe."""
    recipe = profile.recipes[spec.clip]
    return {
        **{"key": spec.key, "seed": seed, "profile": profile.name, "tables": list(tables), "clip": spec.clip},
        **asdict(spec.net),
        **asdict(cost(spec, profile)),
        **{name: getattr(recipe, name) for name in ("steps", "batch", "optimizer", "schedule", "lr", "weight_decay")},
    }


def id_path(spec: RunSpec, profile: Profile, folder: Path) -> Path:
    return folder / f"wandb-{fingerprint(spec, profile)}.txt"


def identity(path: Path) -> str:
    """The id that an earlier try chose, or a new one."""
    if not path.is_file():
        write_whole(path, token_hex(4))
    return path.read_text()


def resume(logger: Logger, folder: Path, points: Sequence[Point]) -> None:
    """Offline: one folder in place of those of earlier tries, with their points."""
    if not isinstance(logger, WandbLogger):
        return
    for old in (folder / "wandb").glob(f"offline-run-*-{logger.version}"):
        shutil.rmtree(old)
    if logger.experiment.offline:
        for point in points:
            logger.log_metrics({LOSS: point.train_loss, VALIDATION: point.val_top1}, point.step)


def conclude(logger: Logger, metrics: Metrics) -> None:
    """Log the test and close the run: a process of a sweep ends without wandb's own goodbye."""
    logger.log_metrics({TEST: metrics.top1, "test_top5": metrics.top5, "test_loss": metrics.loss})
    if isinstance(logger, WandbLogger):
        logger.experiment.finish()
