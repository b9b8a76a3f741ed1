"""One training of Tables 5 and 6 -> one record. It goes on where it was cut off."""

from copy import deepcopy
from dataclasses import asdict

import torch
from torch import nn

from nlrepro.beyond.outcome import Outcome
from nlrepro.beyond.training import fit
from nlrepro.coco.counting import counted
from nlrepro.coco.evaluation import MEASURES
from nlrepro.coco.module import Detector, Seen
from nlrepro.coco.narrow import narrow_net
from nlrepro.coco.nets import detector
from nlrepro.coco.splits import Splits
from nlrepro.coco.trial import DetectionJob, DetectionTrial
from nlrepro.record import Cost
from nlrepro.spec import Target
from nlrepro.train.learner import Learner
from nlrepro.train.machine import Machine
from nlrepro.train.progress import Report
from nlrepro.train.provenance import tell
from nlrepro.train.runner import prepare


def train(job: DetectionJob, machine: Machine, report: Report) -> Outcome:
    """Go on from where an earlier try was cut off, test, and write the record.

    Raises:
        BadInput: the images, or the weights to start from, are missing or damaged.
    """
    run = job.run
    tell(run.damaged_record(), run.damaged_net())
    job.prepare(1)
    generated = bool(run.profile.scenes)
    prepare(run.seed, generated)
    recipe = run.profile.recipe(run.spec.kind, machine.world_size)
    net, start = build(run)
    trained = fit(
        run,
        Detector(net, recipe),
        lambda first: Splits(run, recipe, first),
        tables=job.tables,
        config=asdict(run.spec),
        machine=machine,
        report=report,
        exact=not torch.cuda.is_available(),
    )
    trained.lightning.test(trained.learner, datamodule=trained.splits, verbose=False)
    seen = tested(trained.learner)
    metrics, notes = measured(seen, run.spec.kind), (*trained.splits.notes, *seen.notes)
    costs = cost(net, run.profile.sides[run.spec.kind][-1])
    record = trained.record(metrics=metrics, tested=len(seen.images), notes=notes, cost=costs, start={"start": start})
    return trained.keep(record, {f"test_{name}": value for name, value in metrics.items()})


def tested(learner: Learner) -> Seen:
    """What the net has said of the test images, in all processes."""
    assert isinstance(learner, Detector)
    assert learner.seen
    return learner.seen.gathered()


def build(run: DetectionTrial) -> tuple[nn.Module, str]:
    """The net of a run before its first step, and what to call the weights that it starts from."""
    sides = run.profile.sides[run.spec.kind]
    if run.profile.narrow:
        return narrow_net(run.spec, run.profile.narrow, sides)
    return detector(run.spec, sides, run.folders.imagenet)


def measured(seen: Seen, kind: Target) -> dict[str, float]:
    """Percent by the names of the paper's columns; what the images cannot tell is left out."""
    return {
        f"{measure}_{name}": round(value, 4)
        for measure in MEASURES[kind]
        for name, value in asdict(seen.precision(measure)).items()
        if value is not None
    }


def cost(net: nn.Module, side: int) -> Cost:
    """Of one square image of this side: multiply-adds of trunk and feature pyramid; the heads' depend on what is found."""
    backbone: nn.Module = deepcopy(net.get_submodule("backbone")).to("meta").eval()
    with torch.no_grad():
        macs = counted(backbone, torch.empty(1, 3, side, side, device="meta"))[1]
    return Cost(params=sum(p.numel() for p in net.parameters()), macs=macs)
