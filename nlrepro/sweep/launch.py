"""Many runs: what has no fresh record is made, on this machine or by SLURM, and what failed is told at the end."""

import shlex
import sys
from collections.abc import Sequence

from nlrepro.files import BadInput, make_folder
from nlrepro.sweep.jobs import Work
from nlrepro.sweep.local import Scheduler
from nlrepro.sweep.slurm import Cluster, submit
from nlrepro.sweep.status import forget_failure


def sweep(jobs: Sequence[Work], at_once: int, cluster: Cluster | None = None) -> None:
    """Make the runs that have no fresh record; with a cluster only submit them. `jobs` are those of `with_parents`.

    All are of one profile and share their folders.

    Raises:
        BadInput: some runs failed; the others are done and recorded.
    """
    waiting = []
    for job in jobs:
        if job.run.finished():
            forget_failure(job.run)  # another sweep may have marked it late
        else:
            waiting.append(job)
    how = "by SLURM" if cluster else f"{at_once} at a time"
    print(f"{len(jobs)} runs: {len(jobs) - len(waiting)} recorded, {len(waiting)} to do, {how}", flush=True)
    if not waiting:
        return
    for wrong in filter(None, (job.run.damaged_net() for job in waiting)):
        print(wrong, flush=True)
    for job in {job.needs: job for job in waiting}.values():
        job.prepare(at_once)
    make_folder(waiting[0].run.folders.results)
    if cluster:
        submit(waiting, cluster)
        return
    failures = Scheduler(waiting, at_once).go()
    if failures:
        listing = [f"{job.run.name}: {why}" for job, why in failures.items()]
        print("failed:\n  " + "\n  ".join(listing) + f"\nto retry: {shlex.join(sys.orig_argv)}", flush=True)
        raise BadInput(f"{len(failures)} of {len(waiting)} runs failed ({listing[0]}); the same command tries them again")
