"""A run as one value: task, spec, profile, seed, folders; its files and its status. Imports no torch."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nlrepro.config import Profile
from nlrepro.files import BadInput, file_digest, is_locked, write_atomic
from nlrepro.record import Record, digest, read_json, read_record
from nlrepro.task import Task

FAILED, QUEUED = "failed.txt", "slurm.json"
State = Literal["done", "stale", "running", "queued", "stopped", "failed", "damaged", "missing"]


class Status(NamedTuple):
    """How far a run is; `why` says what went wrong in one that failed."""

    state: State
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Where data come from, and where results go."""

    data: Path = Path("data")
    results: Path = Path("results/local")
    imagenet: tuple[Path, ...] = ()  # files of torchvision's weights; without any, its cache is read


@dataclass(frozen=True, kw_only=True)
class Queued:
    """SLURM's job that makes a run, and the settings that it was submitted with."""

    job: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training and its test. What comes out depends on spec, profile, seed and data, and on nothing else.

    Its files, below the folder of results:

        records/<profile>/<key>/seed<seed>.json        the record
        runs/<profile>/<key>/seed<seed>/               all else: lock, log, checkpoint, weights

    `module` is the Lightning module of the table that asked for it, which changes no result; None: the task's
    """

    task: Task = field(compare=False)
    spec: Any
    profile: Profile = field(hash=False)  # it holds dictionaries
    seed: int
    folders: Folders = field(default_factory=Folders)
    tables: tuple[str, ...] = field(default=(), compare=False)  # that show it
    module: type[Any] | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        return str(self.spec.key)

    @property
    def name(self) -> str:
        return f"{self.key} seed {self.seed}"

    @property
    def record_path(self) -> Path:
        return self.folders.results / "records" / self.profile.name / self.key / f"seed{self.seed}.json"

    @property
    def folder(self) -> Path:
        return self.folders.results / "runs" / self.profile.name / self.key / f"seed{self.seed}"

    @property
    def lock(self) -> Path:
        """Held by the process that trains."""
        return self.folder / "lock"

    @property
    def checkpoint(self) -> Path:
        """The state of a training that was cut off."""
        return self.folder / f"part-{self.fingerprint}.ckpt"

    @property
    def weights(self) -> Path:
        """The trained net of a finished one."""
        return self.folder / f"net-{self.fingerprint}.pt"

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All that the result depends on besides seed and data."""
        return self.task.settings(self.spec, self.profile)

    @cached_property
    def fingerprint(self) -> str:
        """The digest of the settings."""
        return digest(self.settings)

    @property
    def data(self) -> str | None:
        """The digest of what it is trained and tested on; None where that cannot be read."""
        return self.task.data_digest(self.spec, self.profile, self.folders.data)

    @property
    def root(self) -> Path:
        """The folder of its data."""
        return self.task.root(self.spec, self.profile, self.folders.data)

    @property
    def parent(self) -> "Run | None":
        """The run whose weights this one starts from."""
        parent = self.task.parent(self.spec, self.profile, self.seed)
        if parent is None:
            return None
        task, spec, profile, seed = parent
        return Run(task=task, spec=spec, profile=profile, seed=seed, folders=self.folders)

    @property
    def steps(self) -> int:
        """Of the training, on one device."""
        return self.profile.recipe(self.spec.recipe).steps

    def is_fresh(self, record: Record) -> bool:
        """Whether this run would give the record again: the same settings, and data where both are known."""
        if record.fingerprint != self.fingerprint:
            return False
        return record.data is None or self.data in (None, record.data)

    def record(self) -> Record | None:
        """The record, fresh or stale; None if there is none or it is damaged."""
        with suppress(BadInput):
            return read_record(self.record_path) if self.record_path.exists() else None
        return None

    def finished(self) -> Record | None:
        """The fresh record, if the trained net, which others may start from, is there and undamaged too."""
        record = self.record() if self.weights.is_file() else None
        return record if record and self.is_fresh(record) and self.has_net_of(record) else None

    def has_net_of(self, record: Record) -> bool:
        """Whether the file of the trained net is the one that the record was written with."""
        return record.net is None or file_digest(self.weights) == record.net

    def damage(self) -> str | None:
        """What is wrong with the record or the net, in one line; None if nothing is, or there is none."""
        try:
            record = read_record(self.record_path) if self.record_path.is_file() else None
        except BadInput as error:
            return str(error)
        if record and self.weights.is_file() and not self.has_net_of(record):
            return f"the net {self.weights} is damaged: its record names another sha256; it is made anew"
        return None

    def mark_failed(self, reason: str) -> None:
        """Note why a try failed. The first note stays: of several processes the others fail later."""
        path = self.folder / FAILED
        if not path.is_file():
            with suppress(BadInput):  # a full disk cannot hold even this
                write_atomic(path, f"{reason}\n{datetime.now(UTC).isoformat(timespec='seconds')}\n")

    def failure(self) -> str | None:
        """Why the last try failed, in one line."""
        path = self.folder / FAILED
        if not path.is_file():
            return None
        return path.read_text(errors="replace").partition("\n")[0].strip() or f"its note {path} is empty"

    def forget_failure(self) -> None:
        (self.folder / FAILED).unlink(missing_ok=True)

    def mark_queued(self, job: str) -> None:
        queued = Queued(job=job, fingerprint=self.fingerprint)
        write_atomic(self.folder / QUEUED, json.dumps(asdict(queued)) + "\n")

    def queued(self) -> Queued | None:
        """SLURM's job. A damaged note counts as none: the lock keeps a second job from training too."""
        path = self.folder / QUEUED
        with suppress(BadInput):
            return read_json(Queued, path, "note", "remove it") if path.is_file() else None
        return None

    def forget_queued(self) -> None:
        (self.folder / QUEUED).unlink(missing_ok=True)

    def status(self, queue: Mapping[str, str] | None) -> Status:
        """How far it is; `queue` is SLURM's (job -> state), None where it does not answer."""
        record = self.record()
        if record and self.is_fresh(record):
            return Status("done")
        queued, why = self.queued(), self.failure()
        job_state = queue.get(queued.job) if queued and queue is not None else None
        if is_locked(self.lock) or job_state == "RUNNING":
            return Status("running")
        if job_state or (queued and queue is None):
            return Status("queued")
        if why:
            return Status("failed", why)
        if queued:
            log = f"its log, if it began, is in {self.folder}/slurm"
            return Status("failed", f"SLURM's job {queued.job} left the queue without a record; {log}")
        if self.checkpoint.is_file():
            return Status("stopped")
        if self.record_path.exists():
            return Status("stale" if record else "damaged")
        return Status("missing")


def with_parents(runs: Iterable[Run]) -> list[Run]:
    """The runs and all that they start from, each once, parents before children, else in their order."""
    ordered: dict[Run, Run] = {}
    asked = {run: run for run in runs}

    def add(run: Run) -> None:
        if parent := run.parent:
            add(asked.get(parent, parent))
        ordered.setdefault(run, run)

    for run in asked:
        add(run)
    return list(ordered)


def by_root(runs: Iterable[Run]) -> list[list[Run]]:
    """The runs in groups, each with data in one folder."""
    groups: dict[tuple[Path, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.root, run.profile.name), []).append(run)
    return list(groups.values())


def slurm_queue() -> dict[str, str] | None:
    """The state of each job in SLURM's queue, such as {"12": "PENDING"}; None where SLURM does not answer."""
    try:
        words = ["squeue", "--noheader", "--format=%A %T"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return dict(line.split() for line in done.stdout.splitlines()) if done.returncode == 0 else None
