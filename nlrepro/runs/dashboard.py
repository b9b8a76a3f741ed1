"""wandb: every run is logged offline, or online where a key is configured. No table needs it.

A run that was cut off and goes on stays one run of wandb's, under an id that lies in its folder until it is done. Online, wandb
goes on in place. Offline it cannot: the folder of the cut-off try is removed, and its points, which the checkpoint holds, are
logged again into the new one.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from secrets import token_hex

from pytorch_lightning.loggers import Logger, WandbLogger

from nlrepro.files import write_whole
from nlrepro.profile import Profile
from nlrepro.record import Metrics, Point, fingerprint
from nlrepro.spec import RunSpec


def dashboard(spec: RunSpec, seed: int, profile: Profile, tables: tuple[str, ...], folder: Path) -> Logger | bool:
    """The logger of one run, with its files in `folder`; False with WANDB_MODE=disabled."""
    if os.environ.get("WANDB_MODE") == "disabled":
        return False
    import wandb

    online = os.environ.get("WANDB_MODE", "online") == "online" and wandb.login(prompt=False)
    return WandbLogger(
        name=spec.key,
        id=identity(id_path(spec, profile, folder)),
        group=profile.name,
        tags=[f"table{table}" for table in tables],
        config={"key": spec.key, "seed": seed, "profile": profile.name, **asdict(spec.net), "clip": spec.clip},
        project="nonlocal-table2",
        save_dir=folder,
        mode="online" if online else "offline",  # `offline=` comes too late where wandb is imported already
        settings=wandb.Settings(silent=True, x_disable_stats=True, console="off"),
    )


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
            logger.log_metrics({"train_loss": point.train_loss, "val_top1": point.val_top1}, point.step)


def conclude(logger: Logger, metrics: Metrics) -> None:
    """Log the test and close the run: a process of a sweep ends without wandb's own goodbye."""
    logger.log_metrics({f"test_{name}": getattr(metrics, name) for name in ("top1", "top5", "loss")})
    if isinstance(logger, WandbLogger):
        logger.experiment.finish()
