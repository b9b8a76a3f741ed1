"""A published run is trained again, with what it starts from: does it give its record?"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from nlrepro import record as records
from nlrepro.beyond import outcome
from nlrepro.beyond.experiment import Experiment
from nlrepro.beyond.outcome import Outcome
from nlrepro.config import Profile
from nlrepro.experiments import findings
from nlrepro.experiments.catalogue import Catalogue
from nlrepro.files import BadInput
from nlrepro.record import Record
from nlrepro.report.statistics import one_more
from nlrepro.sweep.board import watched
from nlrepro.sweep.jobs import Work, with_parents
from nlrepro.train.runner import execute
from nlrepro.trial import Folders

R = TypeVar("R", Record, Outcome)


def verify_run(catalogue: Catalogue, key: str, seed: int, profile: Profile, data: Path) -> None:
    """A run of Table 2, in a temporary folder.

    Raises:
        BadInput: nothing of that name is published, or what came out is nothing that another seed would give.
    """
    known = of_key(records.read_all(findings.PUBLISHED, profile.name), key, seed, profile.name)
    with TemporaryDirectory() as place:
        job = catalogue.job(key, seed, profile, Folders(data=data, results=Path(place)))
        now = trained(with_parents([job], catalogue.tables_of))
    print(compared(known[seed], now, lambda record: record.metrics.top1, list(known.values())))


def verify_other(experiment: Experiment, key: str, seed: int, profile: str, data: Path) -> None:
    """A run of Tables 4 to 6, with the errors of `verify_run`; the interval is that of the table's first measure."""
    name = str(experiment.task.load(profile).name)
    known = of_key(outcome.read_all(findings.PUBLISHED, name), key, seed, name)
    with TemporaryDirectory() as place:
        now = trained(experiment.work(profile, [seed], Folders(data=data, results=Path(place)), key))
    print(compared(known[seed], now, lambda record: record.metrics[experiment.main[0]], list(known.values())))


def of_key(published: Sequence[R], key: str, seed: int, profile: str) -> dict[int, R]:
    """The published records of a key by seed.

    Raises:
        BadInput: that of the seed is not among them.
    """
    known = {record.seed: record for record in published if record.key == key}
    if seed not in known:
        raise BadInput(f"no published record of {key} seed {seed} of the profile {profile}")
    return known


def trained(jobs: Iterable[Work]) -> Any:
    """The record of the last job."""
    for job in jobs:
        with watched(job.run.name) as report:
            found = execute(job, report=report)
    return found


def compared(before: R, now: R, value: Callable[[R], float], known: Sequence[R]) -> str:
    """What is said of a run that was made again; `known` are the published records of its key.

    Raises:
        BadInput: the digits differ on the same kind of CPU, or `value` lies outside of the 95 % interval of one more seed.
    """
    if now.metrics == before.metrics:
        return f"the same digits: {now.headline}, in all that was tested"
    here, there = now.made.device, before.made.device
    words = f"{now.headline} on {here}, published {before.headline} on {there}"
    if here.endswith("cores") and (here, now.made.versions) == (there, before.made.versions):  # GPUs promise no digits
        raise BadInput(f"not reproduced: {words}; the same kind of processor and the same versions give the same digits")
    ends = one_more([value(record) for record in known])
    if ends is None:
        return f"{words}; one published seed tells no interval"
    interval = f"[{ends[0]:.1f}, {ends[1]:.1f}], where 95 % of further seeds would lie"
    if not ends[0] <= value(now) <= ends[1]:
        raise BadInput(f"not reproduced: {words}; {value(now):.1f} is outside of {interval}")
    return f"{words}; other digits, as on another kind of processor or with other versions, inside of {interval}"
