"""One training of Tables 5 and 6 -> one record. It goes on where it was cut off."""

from copy import deepcopy
from dataclasses import asdict
from fractions import Fraction

import torch
from torch import nn

from nlrepro.beyond import outcome
from nlrepro.beyond.outcome import Outcome
from nlrepro.coco.costs import counted
from nlrepro.coco.evaluation import MEASURES
from nlrepro.coco.module import Detector, Seen
from nlrepro.coco.narrow import narrow_net
from nlrepro.coco.nets import detector
from nlrepro.coco.profile import DetectionProfile, DetectionRecipe
from nlrepro.coco.spec import Kind
from nlrepro.coco.splits import Splits
from nlrepro.coco.trial import DetectionJob, DetectionTrial
from nlrepro.record import Cost, as_read
from nlrepro.sweep.status import forget_queued
from nlrepro.tracking.dashboard import conclude, dashboard, id_path, resume
from nlrepro.train.checkpoint import Try, earlier, save_atomic
from nlrepro.train.machine import Machine
from nlrepro.train.progress import Report
from nlrepro.train.provenance import announce, provenance, tell
from nlrepro.train.runner import prepare, trainer


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
    recipe = scaled(run.profile, run.spec.kind, machine.world_size)
    net, start = build(run)
    learner, data = Detector(net, recipe), run.data
    attempt = Try(learner, report, machine.world_size, data)
    state = earlier(run.checkpoint, learner, machine.world_size, data)
    first = int(state["global_step"]) if state else 0
    announce(run, first, recipe.steps)
    log = dashboard(run, job.tables, asdict(run.spec))
    lightning = trainer(learner, run.checkpoint, log, attempt, machine, exact=not torch.cuda.is_available())
    if lightning.logger and lightning.is_global_zero:
        resume(lightning.logger, run.folder, learner.points(state["curve"]) if state else [])
    splits = Splits(run, recipe, first)
    lightning.fit(learner, datamodule=splits, ckpt_path=str(run.checkpoint) if state else None, weights_only=True)
    lightning.test(learner, datamodule=splits, verbose=False)
    assert learner.seen
    seen = learner.seen.gathered()
    metrics = measured(seen, run.spec.kind)
    record = Outcome(
        key=run.key,
        profile=run.profile.name,
        seed=run.seed,
        tables=job.tables,
        spec=asdict(run.spec),
        fingerprint=run.fingerprint,
        settings=as_read(run.settings),
        metrics=metrics,
        tested=len(seen.images),
        notes=(*splits.notes, *seen.notes),
        curve=tuple(learner.curve),
        cost=cost(net, run.profile.sides[run.spec.kind][-1]),
        made=provenance(attempt.seconds, lightning.strategy.root_device, {"start": start}),
        data=data,
    )
    if lightning.is_global_zero:
        if lightning.logger:
            conclude(lightning.logger, {f"test_{name}": value for name, value in metrics.items()})
        save_atomic(net.state_dict(), run.weights)
        outcome.write(record, run.folders.results)
        run.checkpoint.unlink(missing_ok=True)
        id_path(run).unlink(missing_ok=True)
        forget_queued(run)
    return record


def build(run: DetectionTrial) -> tuple[nn.Module, str]:
    """The net of a run before its first step, and what to call the weights that it starts from."""
    sides = run.profile.sides[run.spec.kind]
    if run.profile.narrow:
        return narrow_net(run.spec, run.profile.narrow, sides)
    return detector(run.spec, sides, run.folders.imagenet)


def scaled(profile: DetectionProfile, kind: Kind, devices: int) -> DetectionRecipe:
    """The recipe on so many devices: with fewer than it is made for, by the linear scaling rule."""
    recipe = profile.recipes[kind]
    return recipe if profile.scenes else recipe.scaled(Fraction(devices, profile.devices))


def measured(seen: Seen, kind: Kind) -> dict[str, float]:
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
