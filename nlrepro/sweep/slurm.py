"""Many runs on a cluster: one SLURM job a run, through submitit; a child waits for its parent's job (afterok).

A job that reaches its time limit, or is preempted, is queued again and goes on from its last checkpoint. Where a run has several
processes, SLURM starts them and tells Lightning their ranks. The number of its job lies in the folder of each run, so that a run
that is in the queue is not submitted again.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nlrepro.files import BadInput, exclusive
from nlrepro.sweep.board import watched
from nlrepro.sweep.jobs import Work
from nlrepro.sweep.status import forget_failure, mark_queued, queued
from nlrepro.train.machine import Machine
from nlrepro.train.runner import execute
from nlrepro.trial import Trial

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
        """What submitit is given; SLURM takes the job out of the queue if that of its `parent` fails."""
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
    """What a job of SLURM's does; submitit calls `checkpoint` before it queues the job again."""

    job: Work
    machine: Machine

    def __call__(self) -> None:
        with watched(self.job.run.name) as report:
            execute(self.job, machine=self.machine, report=report)

    def checkpoint(self) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def submit(jobs: Sequence[Work], cluster: Cluster) -> None:
    """Queue each job that is not in the queue already; `jobs` has parents before children.

    Raises:
        BadInput: SLURM is not there, or refuses a job.
    """
    numbers: dict[Trial[Any], str] = {}
    with exclusive(jobs[0].run.folders.results / "submit.lock", "submits runs to SLURM"):
        alive = queue()
        if alive is None:
            raise BadInput("SLURM does not answer; `squeue` must work on this machine")
        for job in jobs:
            run, mark = job.run, queued(job.run)
            if mark and mark.job in alive and mark.fingerprint == run.fingerprint:
                number, how = mark.job, "in the queue already"
            else:
                parent = numbers.get(run.parent) if run.parent else None
                number, how = send(Task(job, cluster.machine), cluster, parent), ""
                forget_failure(run)
                mark_queued(run, number)
            numbers[run] = number
            print(f"{run.name}: job {number} {how}".rstrip(), flush=True)


def send(task: Task, cluster: Cluster, parent: str | None) -> str:
    """Submit a job that starts when that of number `parent` is done; returns its number.

    Raises:
        BadInput: SLURM refuses it.
    """
    from submitit import AutoExecutor
    from submitit.core.utils import FailedJobError

    run = task.job.run
    executor = AutoExecutor(run.folder / "slurm", cluster="slurm", slurm_max_num_timeout=REQUEUES)
    executor.update_parameters(**cluster.parameters(run.key, parent))
    try:
        return str(executor.submit(task).job_id)
    except FailedJobError as error:
        raise BadInput(f"SLURM refused {run.name}: {str(error).strip().splitlines()[-1]}") from None


def queue() -> dict[str, str] | None:
    """The state of each job in SLURM's queue, such as {"12": "PENDING"}; None where SLURM does not answer."""
    try:
        words = ["squeue", "--noheader", "--format=%A %T"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return dict(line.split() for line in done.stdout.splitlines()) if done.returncode == 0 else None
