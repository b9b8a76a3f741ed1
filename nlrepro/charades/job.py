"""What trains and tests a run of Table 4; a sweep asks it as it asks the jobs of Table 2 (nlrepro/sweep/jobs.py)."""

from collections.abc import Callable, Hashable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl

from nlrepro.beyond.outcome import Outcome
from nlrepro.beyond.training import fit
from nlrepro.charades.making import make
from nlrepro.charades.module import ActionClassifier
from nlrepro.charades.precision import Floats, mean_average_precision
from nlrepro.charades.splits import ActionSplits
from nlrepro.charades.trial import ActionTrial, digest
from nlrepro.charades.videos import opened
from nlrepro.files import BadInput, write_atomic
from nlrepro.nets.cost import cost
from nlrepro.nets.reading import tensors
from nlrepro.nets.transfer import start_from
from nlrepro.tracking.dashboard import config
from nlrepro.train.datamodule import WORKERS
from nlrepro.train.machine import Machine
from nlrepro.train.progress import Report
from nlrepro.train.provenance import tell
from nlrepro.train.runner import prepare
from nlrepro.train.start import from_parent

Build = Callable[..., ActionClassifier]  # spec, profile, devices -> the module of a run


@dataclass(frozen=True)
class ActionJob:
    """A run to be made, the tables that show it, and the class that trains it, which changes nothing."""

    run: ActionTrial
    tables: tuple[str, ...] = ()
    build: Build = ActionClassifier

    @property
    def steps(self) -> int:
        return self.run.profile.as_table2.recipe(self.run.spec.parent, 1).steps

    @property
    def needs(self) -> Hashable:
        return "charades", self.run.profile.root(self.run.folders.data), self.run.spec.split

    def prepare(self, processes: int) -> None:
        """Make the generated videos and decode them, or look at the real ones, before runs ask for it."""
        profile, data = self.run.profile, self.run.folders.data
        if profile.films:
            make(profile.films, profile.root(data), processes)
        for part in sorted({"train", self.run.spec.tested} - {"val"}):  # train and val share a folder
            opened(profile, part, data, processes)

    def train(self, machine: Machine, report: Report) -> Outcome:
        """Go on from where an earlier try was cut off, test, and write the record."""
        return train(self, machine, report)


def train(job: ActionJob, machine: Machine, report: Report) -> Outcome:
    """Go on from where an earlier try was cut off, test, and write the record.

    Raises:
        BadInput: the videos, or the weights to start from, are missing or damaged.
    """
    run = job.run
    tell(run.damaged_record(), run.damaged_net())
    job.prepare(WORKERS if run.profile.real else 1)
    prepare(run.seed, exact=run.profile.real is None)
    classifier = job.build(run.spec, run.profile, devices=machine.world_size)
    started = warm_start(classifier, run)
    trained = fit(
        run,
        classifier,
        lambda first: ActionSplits(run.spec, run.profile, run.folders.data, classifier.recipe, run.seed, first),
        tables=job.tables,
        config=config(run.as_run),
        machine=machine,
        report=report,
    )
    metrics, tested = test(classifier, trained.lightning, trained.splits, run)
    notes = (*trained.splits.notes, *(() if metrics else (held_back(run),)))
    costs = cost(run.spec.parent, run.profile.as_table2)
    record = trained.record(metrics=metrics, tested=tested, notes=notes, cost=costs, start=started)
    return trained.keep(record, {"test": metrics["map"]} if metrics else {})


def warm_start(classifier: ActionClassifier, run: ActionTrial) -> dict[str, str]:
    """Copy the weights that a run starts from, all but the last layer, whose classes are others; returns what a record notes.

    Raises:
        BadInput: the parent has not been trained, or weights are missing, damaged or do not fit.
    """
    net = classifier.net
    last = deepcopy(net.fc.state_dict())
    started: dict[str, str] = {}
    if run.parent:
        from_parent(net, run.key, run.parent)
    else:
        state = tensors(run.start)
        try:
            start_from(net, state)
        except ValueError as error:
            raise BadInput(f"{run.start} does not fit {run.key}: {error}") from None
        started = {"start": f"{run.start.name} (sha256 {digest(run.start)[:12]})"}
    net.fc.load_state_dict(last)
    return started


def test(
    classifier: ActionClassifier, tester: pl.Trainer, splits: ActionSplits, run: ActionTrial
) -> tuple[dict[str, float], int]:
    """The measures, {} where labels are held back, and the number of videos; the scores of each video are written to a file."""
    tester.test(classifier, datamodule=splits, verbose=False)
    scores, truth = classifier.all_seen()
    videos = splits.dataset([run.spec.tested])
    if tester.is_global_zero:
        write_scores(run.scores, videos.ids, scores)
    return {} if videos.held_back else {"map": mean_average_precision(scores, truth)}, len(scores)


def write_scores(path: Path, videos: Iterable[str], scores: Floats) -> None:
    """As Charades' own evaluation reads them: "YSKX3 0.012 0.4 ...", a score a class."""
    lines = [" ".join([video, *(f"{score:.9g}" for score in row)]) for video, row in zip(videos, scores, strict=True)]
    write_atomic(path, "\n".join(lines) + "\n")


def held_back(run: ActionTrial) -> str:
    """Why there is no measure."""
    return f"the labels of the test are held back, so there is no mAP; the scores for the challenge's server are in {run.scores}"
