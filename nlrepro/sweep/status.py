"""Where a run stands, told from what lies in its folder and what SLURM says."""

from dataclasses import dataclass
from typing import Literal

from nlrepro import record as records
from nlrepro.profile import Profile
from nlrepro.spec import RunSpec
from nlrepro.sweep.lock import is_held
from nlrepro.sweep.marks import failure, queued
from nlrepro.train.paths import Place

Name = Literal["done", "stale", "running", "queued", "stopped", "failed", "missing"]


@dataclass(frozen=True)
class State:
    """`why` is said of what failed."""

    name: Name
    why: str = ""


def state(spec: RunSpec, seed: int, profile: Profile, place: Place, queue: dict[str, str] | None) -> State:
    """`queue` is SLURM's, None where it does not answer.

    Raises:
        BadInput: the record is damaged.
    """
    path, folder = records.record_path(place.results, profile.name, spec.key, seed), place.run(profile, spec, seed)
    found = records.read(path) if path.is_file() else None
    if found and records.is_fresh(found, spec, profile, place.videos(profile, spec)):
        return State("done")
    mark, why = queued(folder), failure(folder)
    in_queue = queue.get(mark.job) if mark and queue is not None else None
    if is_held(place.lock(profile, spec, seed)) or in_queue == "RUNNING":
        return State("running")
    if in_queue or (mark and queue is None):
        return State("queued")
    if why:
        return State("failed", why)
    if mark:
        return State(
            "failed", f"SLURM's job {mark.job} left the queue without a record; its log, if it began, is in {folder}/slurm"
        )
    if place.checkpoint(profile, spec, seed).is_file():
        return State("stopped")
    return State("stale" if found else "missing")
