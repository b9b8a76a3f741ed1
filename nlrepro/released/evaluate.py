"""Tests of given weights of any task, as their source or the profile tests them; reports show them apart."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torchvision.models import WeightsEnum
from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights, MaskRCNN_ResNet50_FPN_Weights
from torchvision.ops import FrozenBatchNorm2d

from nlrepro.config import Profile
from nlrepro.files import BadInput, file_digest
from nlrepro.learners.classifier import VideoClassifier
from nlrepro.learners.learner import Learner
from nlrepro.nets.resnet import cost_of
from nlrepro.record import Cost, Record, Weights, digest, write_record
from nlrepro.released.importing import build_net, clips_of, identify, load_state
from nlrepro.released.names import known_file
from nlrepro.run import Run
from nlrepro.spec import DetectionSpec, RunSpec, Target
from nlrepro.train.loop import LEARNERS, ONE, Machine, provenance, quiet, usable_precision

TORCHVISION = "torchvision"
DETECTORS: dict[Target, WeightsEnum] = {
    "boxes": MaskRCNN_ResNet50_FPN_Weights.COCO_V1,
    "keypoints": KeypointRCNN_ResNet50_FPN_Weights.COCO_V1,
}
PLACES = {"paper": "the paper", "caffe2": "the authors' code", "pyslowfast": "PySlowFast"}


def evaluate(run: Run, weights: str, machine: Machine = ONE, items: int | None = None) -> Record:
    """Test weights on the test split of a run, and write the record.

    `weights` is a file of `weights import`, the net of a run, or "torchvision" for its detectors. With
    `items` it is a dry run on so many images, or on so many videos, two clips of each.

    Raises:
        BadInput: the weights or the data are missing, damaged or do not fit.
    """
    begun = time.monotonic()
    file, given = locate(weights, run)
    run = replace(run, profile=run.profile.dry(1)) if items else run
    learner, profile = prepare(run, file, given, machine.world_size)
    tester = pl.Trainer(
        **machine.trainer_options,
        precision=usable_precision(learner.recipe),
        logger=False,
        plugins=machine.plugins,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    data: Any = learner.data_module(replace(run, profile=profile), learner.recipe, at_most=items)
    data.folder = run.folder.with_name(f"weights-{given.state[:8]}")
    settings = run.task.test_settings(run.spec, run.profile, given)
    stated, price = notes(run, profile, given), cost(run, profile, given)
    tester.test(learner, datamodule=data, verbose=False)
    result = learner.result
    assert result
    record = Record(
        key=run.key,
        profile=run.profile.name,
        seed=None,
        tables=run.tables,
        spec=asdict(run.spec),
        fingerprint=digest(settings),
        settings=settings,
        **vars(replace(result, notes=(*stated, *result.notes))),
        cost=price,
        made=provenance(time.monotonic() - begun, tester.strategy.root_device),
        weights=given,
    )
    if tester.is_global_zero:
        try:
            write_record(record, run.folders.results)
        except BadInput as error:
            raise BadInput(f"{error}; the test gave {record.metrics}") from None
    return record


def locate(weights: str, run: Run) -> tuple[Path, Weights]:
    """The file that is meant, and where its weights come from.

    torchvision's detectors are known by their content: a file's name ends in the begin of its sha256.

    Raises:
        BadInput: it is missing, damaged, or not known to be of this run's net.
    """
    file, spec = Path(weights), run.spec
    if isinstance(spec, RunSpec):
        clips_of(spec, run.profile)
    if not isinstance(spec, DetectionSpec):
        return file, identify(file, run)
    url = str(DETECTORS[spec.kind].url)
    name = url.rpartition("/")[2]
    if weights == TORCHVISION:
        file = Path(torch.hub.get_dir()) / "checkpoints" / name
        if spec != DetectionSpec(kind=spec.kind, backbone="r50"):
            raise BadInput(f"torchvision has no weights of {run.key}, only of r50-boxes and r50-keypoints")
        if not file.is_file():
            where = f"give it as --weights FILE, or put it at {file} (TORCH_HOME moves that folder)"
            raise BadInput(f"torchvision's weights are not in its cache: download {url} and {where}")
    sha256 = file_digest(file)
    if sha256.startswith(Path(name).stem.rpartition("-")[2]):
        known = Weights(source=TORCHVISION, variant=None, key=run.key, file=name, sha256=sha256, state=sha256)
        return file, known
    if file.name == name:
        begin = f"its sha256 begins with {sha256[:8]}"
        raise BadInput(f"{file} is not what torchvision released: {begin}; download it again")
    return file, identify(file, run)


def prepare(run: Run, file: Path, given: Weights, devices: int) -> tuple[Learner, Profile]:
    """The module of a run with these weights, and the profile with the clips and pixels that they want."""
    quiet()
    if run.profile.real is None:
        torch.set_num_threads(1)  # as in training: more may add in another order
    if isinstance(run.spec, RunSpec):
        net, profile = build_net(given, run.spec, run.profile)
        learner: Learner = VideoClassifier(run.spec, profile, devices)
        learner.net = net
    else:
        learner, profile = LEARNERS[type(run.task)](run.spec, run.profile, devices), run.profile
    load_state(learner.net, file)
    if given.source == TORCHVISION:
        for module in learner.net.modules():
            if isinstance(module, FrozenBatchNorm2d):
                module.eps = 0.0  # with which it was trained (pytorch/vision#2933)
    return learner, profile


def cost(run: Run, profile: Profile, given: Weights) -> Cost:
    """Of the net that weights belong to, which is not always the run's."""
    if not isinstance(run.spec, RunSpec):
        return run.task.cost(run.spec, run.profile)
    with torch.device("meta"):
        net, _ = build_net(given, run.spec, run.profile)
    return cost_of(net, profile.clips[run.spec.clip].frames, profile.data.size)


def notes(run: Run, profile: Profile, given: Weights) -> tuple[str, ...]:
    """Which clips were tested, and the accuracy that the source states."""
    if isinstance(run.spec, DetectionSpec):
        stated = DETECTORS[run.spec.kind].meta["_metrics"]["COCO-val2017"]
        values = ", ".join(f"{name.removesuffix('_map')} AP {value:.1f}" for name, value in stated.items())
        return (f"torchvision states {values} on val2017",) if given.source == TORCHVISION else ()
    clips, known = profile.clips[run.spec.recipe], known_file(given.file)
    sampling = profile.real.sampling if profile.real else "paper"
    placed = f"clips of {clips.frames}x{clips.stride} frames, placed as in {PLACES.get(sampling, sampling)}"
    return (placed, *([known.stated] if known else []))
