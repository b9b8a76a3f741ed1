"""wandb: every run is logged offline, or online where a key is configured. No table needs it."""

import os
from dataclasses import asdict
from pathlib import Path

from pytorch_lightning.loggers import Logger, WandbLogger

from nlrepro.profile import Profile
from nlrepro.spec import RunSpec


def dashboard(spec: RunSpec, seed: int, profile: Profile, tables: tuple[str, ...], folder: Path) -> Logger | bool:
    """The logger of one run, with its files in `folder`; False with WANDB_MODE=disabled."""
    if os.environ.get("WANDB_MODE") == "disabled":
        return False
    import wandb

    online = os.environ.get("WANDB_MODE", "online") == "online" and wandb.login(prompt=False)
    return WandbLogger(
        name=spec.key,
        group=profile.name,
        tags=[f"table{table}" for table in tables],
        config={"key": spec.key, "seed": seed, "profile": profile.name, **asdict(spec.net), "clip": spec.clip},
        project="nonlocal-table2",
        save_dir=folder,
        mode="online" if online else "offline",  # `offline=` comes too late where wandb is imported already
        settings=wandb.Settings(silent=True, x_disable_stats=True, console="off"),
    )
