"""Many runs on a cluster: one SLURM job a run, through submitit; a child waits for its parent's job
(afterok).

A job that reaches its time limit, or is preempted, is queued again and goes on from its last checkpoint.
Where a run has several processes, SLURM starts them and sets their ranks. The number of its job lies in the
folder of each run, so that a run that is in the queue is not submitted again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from submitit import AutoExecutor
from submitit.core.utils import FailedJobError
from submitit.helpers import Checkpointable

from nlrepro.files import BadInput, exclusive
from nlrepro.run import Run, slurm_queue
from nlrepro.sweep.local import run_bar, unfinished
from nlrepro.train.loop import Machine, train

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
        """Submitit's parameters; SLURM takes the job out of the queue if that of its `parent` fails."""
        dependency = {"dependency": f"afterok:{parent}", "kill-on-invalid-dep": "yes"} if parent else {}
        return {
            "name": name,
            "timeout_min": self.minutes,
            "nodes": self.nodes,
            "tasks_per_node": self.machine.devices,
            "slurm_additional_parameters": {"requeue": True, **dependency, **self.options},
            "slurm_srun_args": ["--kill-on-bad-exit=1"],  # one process of several that fails ends the run
            **({"gpus_per_node": self.gpus} if self.gpus else {}),
            **({"slurm_partition": self.partition} if self.partition else {}),
        }


@dataclass(frozen=True)
class ClusterJob(Checkpointable):
    """The work of one SLURM job, which submitit can queue again."""

    run: Run
    machine: Machine

    def __call__(self) -> None:
        with run_bar(self.run) as report:
            train(self.run, self.machine, report)


def submit(runs: Sequence[Run], cluster: Cluster, jobs: int) -> None:
    """Queue each run that has no fresh record and is not in the queue already, given parents before children.

    Raises:
        BadInput: SLURM is not there, or refuses a job.
    """
    waiting = unfinished(runs, jobs, "by SLURM")
    if not waiting:
        return
    numbers: dict[Run, str] = {}
    with exclusive(waiting[0].folders.results / "submit.lock", "submits runs to SLURM"):
        alive = slurm_queue()
        if alive is None:
            raise BadInput("SLURM does not answer; `squeue` must work on this machine")
        for run in waiting:
            queued = run.queued()
            if queued and queued.job in alive and queued.fingerprint == run.fingerprint:
                number, note = queued.job, "in the queue already"
            else:
                parent = numbers.get(run.parent) if run.parent else None
                number, note = send(ClusterJob(run, cluster.machine), cluster, parent), ""
                run.forget_failure()
                run.mark_queued(number)
            numbers[run] = number
            print(f"{run.name}: job {number} {note}".rstrip(), flush=True)


def send(job: ClusterJob, cluster: Cluster, parent: str | None) -> str:
    """Submit a job that starts when that of number `parent` is done; returns its number.

    Raises:
        BadInput: SLURM refuses it.
    """
    executor = AutoExecutor(job.run.folder / "slurm", cluster="slurm", slurm_max_num_timeout=REQUEUES)
    executor.update_parameters(**cluster.parameters(job.run.key, parent))
    try:
        return str(executor.submit(job).job_id)
    except FailedJobError as error:
        raise BadInput(f"SLURM refused {job.run.name}: {str(error).strip().splitlines()[-1]}") from None
