"""Many runs on a cluster: one SLURM job a run, through submitit; a child waits for its parent's job (afterok).

A job that reaches its time limit, or is preempted, is queued again and goes on from its last checkpoint. Several processes a run
are started by SLURM, and Lightning learns from it who is who. Each job's number lies in the run's folder, so that a run that is
in the queue is not submitted again.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlrepro import record as records
from nlrepro.errors import BadInput
from nlrepro.profile import Profile
from nlrepro.sweep.jobs import Job
from nlrepro.sweep.lock import sole
from nlrepro.sweep.marks import Queued, forget_failure, mark_queued, queued
from nlrepro.train.paths import Machine, Place
from nlrepro.train.runner import run

REQUEUES = 1000  # after so many time limits a job gives up


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What SLURM is asked for, for each run."""

    partition: str | None = None
    gpus: int = 0  # on each node; none: the CPU
    processes: int = 1  # on each node, where there are no GPUs
    nodes: int = 1
    minutes: int = 24 * 60
    options: dict[str, str] = field(default_factory=dict)  # more of sbatch, such as {"account": "vision"}

    @property
    def machine(self) -> Machine:
        return Machine(devices=self.gpus or self.processes, nodes=self.nodes)

    def parameters(self, name: str, parent: str | None) -> dict[str, Any]:
        """As submitit names them; the children of a parent that fails are taken out of the queue."""
        waits = {"dependency": f"afterok:{parent}", "kill-on-invalid-dep": "yes"} if parent else {}
        return {
            "name": name,
            "timeout_min": self.minutes,
            "nodes": self.nodes,
            "tasks_per_node": self.machine.devices,
            "slurm_additional_parameters": {"requeue": True, **waits, **self.options},
            "slurm_srun_args": ["--kill-on-bad-exit=1"],  # one process of several that fails ends the run
            **({"gpus_per_node": self.gpus} if self.gpus else {}),
            **({"slurm_partition": self.partition} if self.partition else {}),
        }


@dataclass(frozen=True)
class Task:
    """What a job does; submitit calls `checkpoint` before it queues the job again."""

    job: Job
    profile: Profile
    place: Place
    machine: Machine

    def __call__(self) -> None:
        job = self.job
        run(job.module, job.spec, job.seed, self.profile, tables=job.tables, place=self.place, machine=self.machine)

    def checkpoint(self) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def submit(jobs: Sequence[Job], profile: Profile, place: Place, cluster: Cluster) -> None:
    """Queue each job that is not in the queue already; `jobs` has parents before children.

    Raises:
        BadInput: SLURM is not there, or refuses a job.
    """
    numbers: dict[tuple[str, int], str] = {}
    with sole(place.results / "submit.lock", "submits runs to SLURM"):
        alive = queue()
        if alive is None:
            raise BadInput("SLURM does not answer; `squeue` must work on this machine")
        for job in jobs:
            folder, wanted = place.run(profile, job.spec, job.seed), records.fingerprint(job.spec, profile)
            mark, parent = queued(folder), job.spec.parent
            if mark and mark.job in alive and mark.fingerprint == wanted:
                number, how = mark.job, "in the queue already"
            else:
                task = Task(job, profile, place, cluster.machine)
                number, how = send(task, folder / "slurm", cluster, numbers.get((parent.key, job.seed)) if parent else None), ""
                forget_failure(folder)
                mark_queued(folder, Queued(number, wanted))
            numbers[job.spec.key, job.seed] = number
            print(f"{job.name}: job {number} {how}".rstrip(), flush=True)


def send(task: Task, folder: Path, cluster: Cluster, parent: str | None) -> str:
    """The number of the new job."""
    from submitit import AutoExecutor
    from submitit.core.utils import FailedJobError

    executor = AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=REQUEUES)
    executor.update_parameters(**cluster.parameters(task.job.spec.key, parent))
    try:
        return str(executor.submit(task).job_id)
    except FailedJobError as error:
        raise BadInput(f"SLURM refused {task.job.name}: {str(error).strip().splitlines()[-1]}") from None


def queue() -> dict[str, str] | None:
    """The state of each job in SLURM's queue, such as {"12": "PENDING"}; None where SLURM does not answer."""
    try:
        words = ["squeue", "--noheader", "--format=%A %T"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return dict(line.split() for line in done.stdout.splitlines()) if done.returncode == 0 else None
