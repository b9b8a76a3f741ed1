"""Many runs: what has no fresh record is made, on this machine or by SLURM, and what failed is told at the end."""

import shlex
import sys
from collections.abc import Sequence

from nlrepro.data.videos import Tree, decoded
from nlrepro.errors import BadInput
from nlrepro.files import make_folder
from nlrepro.run import Run
from nlrepro.sweep.jobs import Job
from nlrepro.sweep.local import Scheduler
from nlrepro.sweep.slurm import Cluster, submit
from nlrepro.sweep.status import forget_failure


def sweep(jobs: Sequence[Job], at_once: int, cluster: Cluster | None = None) -> None:
    """Make the runs that have no fresh record; with a cluster only submit them. `jobs` are those of `with_parents`.

    All runs are of one profile and share their folders.

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
    one_a_clip = {job.run.spec.clip: job.run for job in waiting}
    for clip in sorted(one_a_clip):
        decode_all(one_a_clip[clip], at_once)
    make_folder(waiting[0].run.folders.results)
    if cluster:
        submit(waiting, cluster)
        return
    failures = Scheduler(waiting, at_once).go()
    if failures:
        listing = [f"{job.run.name}: {why}" for job, why in failures.items()]
        print("failed:\n  " + "\n  ".join(listing) + f"\nto retry: {shlex.join(sys.orig_argv)}", flush=True)
        raise BadInput(f"{len(failures)} of {len(waiting)} runs failed ({listing[0]}); the same command tries them again")


def decode_all(run: Run, processes: int) -> None:
    """Fill the cache of decoded videos, if the profile has one, before runs of this kind of clip ask for it."""
    data, clips, folder = run.profile.data, run.profile.clips[run.spec.clip], run.folders.data
    if data.cached:
        for split in sorted({clips.train, clips.val, clips.test}):
            tree = Tree.complete(folder / data.root / split, clips.classes, run.profile.generator)
            decoded(tree, data, folder / "cache", processes)
