"""How far a run is: what a try leaves in its folder until there is a record, and what SLURM says of it."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from nlrepro.files import BadInput, is_locked, write_atomic
from nlrepro.stored import read_as
from nlrepro.trial import Trial

FAILED, QUEUED = "failed.txt", "slurm.json"
Name = Literal["done", "stale", "running", "queued", "stopped", "failed", "damaged", "missing"]


def mark_failed(run: Trial[Any], reason: str) -> None:
    """Note why a try failed. The first note of a try stays: of several processes the others fail only after the first."""
    path = run.folder / FAILED
    if not path.is_file():
        with suppress(BadInput):  # a full disk cannot hold even this
            write_atomic(path, f"{reason}\n{datetime.now(UTC).isoformat(timespec='seconds')}\n")


def reason(error: BaseException) -> str:
    """What went wrong, in one line."""
    kind = [] if isinstance(error, BadInput) else [type(error).__name__]
    return ": ".join([*kind, *filter(None, [" ".join(str(error).split())])])[:500]


def failure(run: Trial[Any]) -> str | None:
    """Why the last try failed, in one line."""
    path = run.folder / FAILED
    if not path.is_file():
        return None
    words = path.read_text(errors="replace").partition("\n")[0].split()
    return " ".join(words) or f"its note {path} is empty"


def forget_failure(run: Trial[Any]) -> None:
    (run.folder / FAILED).unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class Queued:
    """A job of SLURM's that makes the run or will make it, and the settings that it was submitted with."""

    job: str
    fingerprint: str


def mark_queued(run: Trial[Any], job: str) -> None:
    queued = Queued(job=job, fingerprint=run.fingerprint)
    write_atomic(run.folder / QUEUED, json.dumps(asdict(queued)) + "\n")


def queued(run: Trial[Any]) -> Queued | None:
    """What was submitted; a damaged note counts as none: the lock keeps a second job of the run from training it again."""
    path = run.folder / QUEUED
    with suppress(BadInput):
        return read_as(Queued, path, "note", "remove it") if path.is_file() else None
    return None


def forget_queued(run: Trial[Any]) -> None:
    (run.folder / QUEUED).unlink(missing_ok=True)


@dataclass(frozen=True)
class State:
    """How far a run is; `why` says what went wrong in one that failed."""

    name: Name
    why: str = ""


def state(run: Trial[Any], queue: dict[str, str] | None) -> State:
    """How far a run is; `queue` is SLURM's, None where it does not answer."""
    found = run.recorded()
    if found and run.is_fresh(found):
        return State("done")
    mark, why = queued(run), failure(run)
    in_queue = queue.get(mark.job) if mark and queue is not None else None
    if is_locked(run.lock) or in_queue == "RUNNING":
        return State("running")
    if in_queue or (mark and queue is None):
        return State("queued")
    if why:
        return State("failed", why)
    if mark:
        log = f"its log, if it began, is in {run.folder}/slurm"
        return State("failed", f"SLURM's job {mark.job} left the queue without a record; {log}")
    if run.checkpoint.is_file():
        return State("stopped")
    if run.record_path.exists():
        return State("stale" if found else "damaged")
    return State("missing")
