"""What a run that has no record yet leaves in its folder: why it failed, or which job of a cluster will make it."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nlrepro.errors import BadInput
from nlrepro.files import write_whole

FAILED, QUEUED = "failed.txt", "slurm.json"


def mark_failed(folder: Path, reason: str) -> None:
    """Once a try: what fails after the first process of several is only its echo. A full disk cannot hold even this."""
    if not (folder / FAILED).is_file():
        with suppress(BadInput):
            write_whole(folder / FAILED, f"{reason}\n{datetime.now(UTC).isoformat(timespec='seconds')}\n")


def reason(error: BaseException) -> str:
    """What went wrong, in one line."""
    words = str(error) if isinstance(error, BadInput) else f"{type(error).__name__}: {error}"
    return " ".join(words.split())[:500]


def failure(folder: Path) -> str | None:
    """Why the last try failed."""
    path = folder / FAILED
    return path.read_text().partition("\n")[0] if path.is_file() else None


def forget_failure(folder: Path) -> None:
    (folder / FAILED).unlink(missing_ok=True)


@dataclass(frozen=True)
class Queued:
    """A job of SLURM's that will make, or makes, the run, and the settings that it was submitted with."""

    job: str
    fingerprint: str


def mark_queued(folder: Path, queued: Queued) -> None:
    write_whole(folder / QUEUED, json.dumps(queued.__dict__) + "\n")


def queued(folder: Path) -> Queued | None:
    path = folder / QUEUED
    return Queued(**json.loads(path.read_text())) if path.is_file() else None


def forget_queued(folder: Path) -> None:
    (folder / QUEUED).unlink(missing_ok=True)
