"""Many runs: what has no fresh record is made, here or by SLURM; what failed is told at the end."""

import shlex
import sys
from collections.abc import Sequence

from nlrepro.data.videos import Tree, decoded
from nlrepro.errors import BadInput
from nlrepro.files import make_folder
from nlrepro.profile import Profile
from nlrepro.sweep.jobs import Job
from nlrepro.sweep.local import Scheduler
from nlrepro.sweep.slurm import Cluster, submit
from nlrepro.train.paths import Place, finished


def sweep(jobs: Sequence[Job], profile: Profile, place: Place, at_once: int, cluster: Cluster | None = None) -> None:
    """Run what has no fresh record; on a cluster, submit it and come back. `jobs` are those of `with_parents`.

    Raises:
        BadInput: some runs failed; the others are done and recorded.
    """
    waiting = [job for job in jobs if not finished(job.spec, job.seed, profile, place)]
    how = "by SLURM" if cluster else f"{at_once} at a time"
    print(f"{len(jobs)} runs: {len(jobs) - len(waiting)} recorded, {len(waiting)} to do, {how}", flush=True)
    if not waiting:
        return
    if profile.data.cached:
        decode_all(waiting, profile, place, at_once)
    make_folder(place.results)
    if cluster:
        submit(waiting, profile, place, cluster)
        return
    failures = Scheduler(waiting, profile, place, at_once).go()
    if failures:
        listing = [f"{job.name}: {why}" for job, why in failures.items()]
        print("failed:\n  " + "\n  ".join(listing) + f"\nto retry: {shlex.join(sys.orig_argv)}", flush=True)
        raise BadInput(f"{len(failures)} of {len(waiting)} runs failed ({listing[0]}); the same command tries them again")


def decode_all(jobs: Sequence[Job], profile: Profile, place: Place, at_once: int) -> None:
    """Fill the cache of decoded videos before the runs ask for it, with all processes."""
    for kind in sorted({job.spec.clip for job in jobs}):
        clips = profile.clips[kind]
        for split in sorted({clips.train, clips.val, clips.test}):
            decoded(
                Tree.index(place.data / profile.data.root / split, clips.classes), profile.data, place.data / "cache", at_once
            )
