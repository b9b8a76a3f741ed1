"""wandb's logs of local runs, which lie in the folder of each run: all at once in the terminal, or all to the service."""

import os
import subprocess
import sys
from pathlib import Path

from nlrepro.files import BadInput, make_folder

NONE = "no wandb log lies below {}; run a sweep first, without WANDB_MODE=disabled"
NO_KEY = (
    "no wandb key is configured, so nothing was uploaded; run `.venv/bin/wandb login` or set WANDB_API_KEY, and leave WANDB_MODE"
    " unset; `make dashboard` shows the runs without a key"
)


def logs(results: Path) -> list[Path]:
    """The folders of all logs below `results/runs`, the oldest first.

    Raises:
        BadInput: there is none.
    """
    found = [log.parent for log in (results / "runs").glob("*/*/*/wandb/*run-*/run-*.wandb") if not log.parent.is_symlink()]
    if not found:
        raise BadInput(NONE.format(results / "runs"))
    return sorted(found, key=lambda folder: folder.name.removeprefix("offline-"))


def together(results: Path) -> Path:
    """A folder with a link to each log, as `wandb leet` wants them: `results/runs/wandb`."""
    folder = results / "runs" / "wandb"
    make_folder(folder)
    for old in folder.iterdir():
        if old.is_symlink():
            old.unlink()
    for log in logs(results):
        (folder / log.name).symlink_to(os.path.relpath(log, folder))
    return folder


def look(results: Path) -> None:
    """Open wandb's terminal dashboard on all local runs, until the reader closes it."""
    wandb("leet", str(together(results)))


def upload(results: Path, entity: str | None) -> None:
    """Upload the offline runs that were not uploaded yet.

    Raises:
        BadInput: no key is configured, it is refused, or wandb could not upload.
    """
    import wandb as service

    try:
        known = service.login(prompt=False)
    except service.errors.AuthenticationError as error:
        raise BadInput(f"wandb refuses the key that is configured ({error}); run `.venv/bin/wandb login --relogin`") from None
    if not known:
        raise BadInput(NO_KEY)
    offline = [str(log) for log in logs(results) if log.name.startswith("offline-")]
    if offline and wandb("sync", "--yes", *(["--entity", entity] if entity else []), *offline):
        raise BadInput("wandb could not upload all runs (above it says why); the same command goes on with those that are left")


def wandb(*words: str) -> int:
    """wandb's own command line; its exit status."""
    return subprocess.call([sys.executable, "-m", "wandb", *words])
