"""A test of given weights: the profile's many-view test, on the net and the clips that the weights are of."""

import time
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import cast

import pytorch_lightning as pl
from torch import Tensor

from nlrepro import evaluation as evaluations
from nlrepro.config import Profile
from nlrepro.evaluation import OWN, Evaluation, Weights, read_note
from nlrepro.files import BadInput
from nlrepro.nets.cost import cost_of
from nlrepro.nets.reading import by_name, checkpoint
from nlrepro.nets.resnet import VideoResNet
from nlrepro.released.adopt import demand_sane
from nlrepro.released.importing import net, note_path, suited
from nlrepro.released.names import Source
from nlrepro.run import Run
from nlrepro.spec import RunSpec
from nlrepro.train.machine import ONE, Machine
from nlrepro.train.module import VideoClassifier
from nlrepro.train.provenance import provenance
from nlrepro.train.runner import quiet, test
from nlrepro.trial import Folders


def identify(file: Path, spec: RunSpec, profile: Profile) -> Weights:
    """What the weights in a file are: its note says it, or, of a run's net, its name.

    Raises:
        BadInput: the weights are missing or of another key, or nothing tells what they are.
    """
    try:
        digest = sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise BadInput(f"cannot read the weights {file}: {error.strerror}; give what `weights import` or a run wrote") from None
    if not note_path(file).is_file():
        return of_run(file, digest, spec, profile)
    note = read_note(note_path(file))
    if note.key != spec.key:
        raise BadInput(f"{file} holds weights of {note.key} ({note.name}, {note.file}), not of {spec.key}; evaluate that key")
    if note.state != digest:
        raise BadInput(f"{file} is not what {note_path(file)} was written for; run `weights import` again")
    if note.source == "torchvision":
        raise BadInput(f"{file} holds torchvision's weights of still images: runs start from them, no video test is of them")
    return note


def of_run(file: Path, digest: str, spec: RunSpec, profile: Profile) -> Weights:
    """What the weights of a run's net are.

    Raises:
        BadInput: the name is not that of this run's net.
    """
    name = Run(spec=spec, profile=profile, seed=0).weights.name
    if file.name != name:
        raise BadInput(
            f"nothing tells whether {file} holds weights of {spec.key}: there is no note {note_path(file).name} of "
            f"`weights import`, and its name is not {name}, as runs of this key and profile write"
        )
    return Weights(source=OWN, variant=None, key=spec.key, file=file.name, sha256=digest, state=digest)


def of_weights(weights: Weights, spec: RunSpec, profile: Profile) -> tuple[Profile, VideoResNet]:
    """The profile with the clips and pixels that these weights want, and the net that they belong to."""
    if weights.source == OWN:
        return profile, VideoResNet(spec.net, profile.geometry, profile.clips[spec.clip].classes)
    source, name = cast(Source, weights.source), weights.variant or ""
    return suited(profile, spec, source, name), net(source, spec, profile, name)


def evaluate(
    spec: RunSpec,
    file: Path,
    profile: Profile,
    *,
    folders: Folders,
    base: Profile | None = None,
    tables: tuple[str, ...] = (),
    machine: Machine = ONE,
    videos: int | None = None,
) -> Evaluation:
    """Test the weights on all videos of the test split, or on so many, and write what came out.

    In a dry run `base` is the profile that `profile` was made of.

    Raises:
        BadInput: the weights or the videos are missing, damaged or do not fit.
    """
    if spec.clip not in profile.clips:
        raise BadInput(f"the profile {profile.name} has no {spec.clip} clips, of which {spec.key} is; choose another key")
    begun = time.monotonic()
    weights = identify(file, spec, base or profile)
    fitting, model = of_weights(weights, spec, profile)
    quiet()
    classifier = VideoClassifier(spec, fitting, machine.world_size)
    classifier.net = model
    load(classifier.net, by_name(checkpoint(file.read_bytes(), file), file), file)
    tester = pl.Trainer(
        **machine.options,
        precision=classifier.recipe.precision,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    run = Run(spec=spec, profile=fitting, seed=0, folders=folders)  # no test depends on the seed
    metrics = test(classifier, tester, run, videos)
    clips, data = fitting.clips[spec.clip], fitting.data
    found = Evaluation(
        key=spec.key,
        profile=profile.name,
        tables=tables,
        spec=spec,
        fingerprint=evaluations.fingerprint(spec, profile, weights),
        settings=evaluations.settings(spec, profile, weights),
        weights=weights,
        frames=clips.frames,
        stride=clips.stride,
        sampling=fitting.real.sampling if fitting.real else "paper",
        mean=data.mean,
        std=data.std,
        metrics=metrics,
        cost=cost_of(deepcopy(classifier.net).to("meta"), clips.frames, data.size),
        made=provenance(time.monotonic() - begun, tester.strategy.root_device),
    )
    if tester.is_global_zero:
        evaluations.write(found, folders.results)
    return found


def load(model: VideoResNet, state: dict[str, Tensor], file: Path) -> None:
    """Load a state that must fit the net exactly.

    Raises:
        BadInput: a tensor is missing, unknown, of another shape, or holds what no working net has.
    """
    wanted = model.state_dict()
    for name in sorted(wanted.keys() ^ state.keys()):
        what = "lacks" if name in wanted else "has"
        raise BadInput(
            f"{file} {what} {name}, which {model.spec.name} {'has' if what == 'lacks' else 'lacks'}; is it of this net?"
        )
    for name, tensor in wanted.items():
        if state[name].shape != tensor.shape:
            raise BadInput(f"{file}: {name} has the shape {tuple(state[name].shape)}, this profile's has {tuple(tensor.shape)}")
        demand_sane(name, state[name], f"{file}: {name}")
    model.load_state_dict(state)
