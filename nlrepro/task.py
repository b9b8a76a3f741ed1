"""The three tasks: what a run of each depends on, what it starts from, and its data.

Lists and reports need no more of a task than this. It imports torch, which takes seconds, where it is needed;
the Lightning modules are in nlrepro/learners.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, get_args

from nlrepro.config import (
    PROFILES,
    Actions,
    Detection,
    Profile,
    Real,
    Recipe,
    as_json,
    load_profile,
    split_start,
)
from nlrepro.files import BadInput, file_digest
from nlrepro.pretrained import detector_digest, pretrained_digest
from nlrepro.record import OWN, Cost, Weights, digest
from nlrepro.spec import BACKBONE_DEPTH, TRAINED, ActionSpec, Clip, DetectionSpec, PaperForm, Part, RunSpec

Parent = tuple["Task", Any, Profile, int]  # a run to start from: task, spec, profile, seed
UNRECORDED = {"accumulate", "prefix"}  # settings on which no result depends
LATER = {"new_lr": 1.0, "fold": 1}  # settings that records of before them do not name, and what these had
PARENT_SEED = 0  # of Table 4: as in the paper, all seeds fine-tune one net of Kinetics a row


class Task(ABC):
    """One task. Its profiles are named `<prefix><name>`: "coco-mini" is the `mini` of Tables 5 and 6."""

    prefix: ClassVar[str] = ""
    part: ClassVar[str] = ""  # of a profile, that the task needs
    items: ClassVar[str] = "videos"  # that a run is tested on
    untested: ClassVar[tuple[str, ...]] = ()  # settings that a test of given weights does not depend on

    def profile(self, name: str, steps: int | None = None) -> Profile:
        """The task's own profile of that name, or any TOML file by path; with `steps` that of a dry run.

        Raises:
            BadInput: there is none, or it lacks the task's part.
        """
        if self.prefix and not name.startswith(self.prefix) and not split_start(name)[0].endswith(".toml"):
            name = self.prefix + name
        profile = load_profile(name)
        if self.part and getattr(profile, self.part) is None:
            raise BadInput(
                f"the profile {profile.name} has no [{self.part}], which this table needs; see {PROFILES}"
            )
        return profile.dry(steps) if steps else profile

    def can(self, spec: Any, profile: Profile) -> bool:
        """Whether the profile can build the spec's net."""
        return True

    @abstractmethod
    def settings(self, spec: Any, profile: Profile) -> dict[str, Any]:
        """All that a result depends on besides seed and data, as JSON gives it back."""

    def test_settings(self, spec: Any, profile: Profile, weights: Weights) -> dict[str, Any]:
        """All that a test of given weights depends on besides the data."""
        own = {
            name: value for name, value in self.settings(spec, profile).items() if name not in self.untested
        }
        return own | {"weights": [weights.source, weights.variant, weights.state]}

    @abstractmethod
    def cost(self, spec: Any, profile: Profile) -> Cost:
        """Parameters, and multiply-adds of a clip or image, counted on the meta device."""

    def parent(self, spec: Any, profile: Profile, seed: int) -> Parent | None:
        """The run whose weights a run of this seed starts from."""
        return None

    def root(self, spec: Any, profile: Profile, data: Path) -> Path:
        """The folder of its data below the folder of all."""
        return data / profile.data.root

    @abstractmethod
    def data_digest(self, spec: Any, profile: Profile, data: Path) -> str | None:
        """The digest of what it is trained and tested on; None where that cannot be read."""

    @abstractmethod
    def prepare(self, specs: Sequence[Any], profile: Profile, data: Path, processes: int) -> None:
        """Make, decode or check the data of these specs, below their one `root`, before runs would wait."""

    @abstractmethod
    def check(self, specs: Sequence[Any], profile: Profile, data: Path, processes: int) -> None:
        """Read every file of these specs below their one `root`; print which cannot be used and why.

        Raises:
            BadInput: a split is missing, has no usable file, or has an unusable generated one.
        """


class VideoTask(Task):
    """Table 2: one class a video."""

    untested = ("recipe", "real", "start", "parent")

    def can(self, spec: RunSpec, profile: Profile) -> bool:
        """With a folder to start from: whether it has the net that begins the chain of parents."""
        first = spec.parent or spec
        return not profile.start or given_start(first, profile).is_file()

    def settings(self, spec: RunSpec, profile: Profile) -> dict[str, Any]:
        parent = spec.parent
        own: dict[str, Any] = {
            **net_settings(spec, profile, spec.clip),
            "generator": asdict(profile.generator) if profile.generator else None,
            "recipe": recorded(profile.recipes[spec.clip]),
            "real": recorded(profile.real) if profile.real else None,
            "start": None if parent else start_digest(spec, profile),
            "parent": self.settings(parent, profile) if parent else None,
        }
        return as_json(own)

    def test_settings(self, spec: RunSpec, profile: Profile, weights: Weights) -> dict[str, Any]:
        """Source and variant of released weights give the clips of their test."""
        real, own = profile.real, weights.source == OWN
        return super().test_settings(spec, profile, weights) | {
            "side": real.test_side if real else None,
            "sampling": [real.sampling, real.averaged] if real and own else weights.source,
        }

    def cost(self, spec: RunSpec, profile: Profile) -> Cost:
        from nlrepro.nets.resnet import cost

        return cost(spec, profile)

    def parent(self, spec: RunSpec, profile: Profile, seed: int) -> Parent | None:
        return (self, spec.parent, profile, seed) if spec.parent else None

    def data_digest(self, spec: RunSpec, profile: Profile, data: Path) -> str | None:
        from nlrepro.data.splits import videos_seen

        return videos_seen(spec, profile, data)

    def prepare(self, specs: Sequence[RunSpec], profile: Profile, data: Path, processes: int) -> None:
        from nlrepro.data.clips import Tree, decoded
        from nlrepro.data.splits import splits
        from nlrepro.data.synthetic.write import card_video_set, write_dataset

        root = self.root(specs[0], profile, data)
        if profile.generator:
            write_dataset(card_video_set(profile.generator), root, processes)
        for split, classes in splits(profile).items() if profile.data.cached else ():
            tree = Tree.scan(root / split, classes, profile.generator)
            decoded(tree, profile.data, data / "cache", processes)

    def check(self, specs: Sequence[RunSpec], profile: Profile, data: Path, processes: int) -> None:
        from nlrepro.data.splits import check_videos

        check_videos(profile, self.root(specs[0], profile, data), data / "cache", processes)


class CharadesTask(Task):
    """Table 4: several actions a video; nets of Table 2g are fine-tuned."""

    prefix, part = "charades-", "actions"
    untested = ("recipe", "start", "parent")

    def settings(self, spec: ActionSpec, profile: Profile) -> dict[str, Any]:
        actions = actions_of(profile)
        parent = None if profile.start else digest(VIDEO.settings(spec.parent, parents_profile(profile)))
        own: dict[str, Any] = {
            **net_settings(spec, profile, "long"),
            "recipe": recorded(profile.recipes["long"]),
            "over_views": actions.over_views,
            "films": asdict(actions.generator) if actions.generator else None,
            "real": recorded(profile.real) if profile.real else None,
            "start": file_digest(given_start(spec.parent, profile)) if profile.start else None,
            "parent": parent,
        }
        return as_json(own)

    def cost(self, spec: ActionSpec, profile: Profile) -> Cost:
        return VIDEO.cost(spec.parent, profile)

    def parent(self, spec: ActionSpec, profile: Profile, seed: int) -> Parent | None:
        if profile.start:
            return None
        return VIDEO, spec.parent, parents_profile(profile), PARENT_SEED

    def data_digest(self, spec: ActionSpec, profile: Profile, data: Path) -> str | None:
        from nlrepro.data.charades import parts_digest

        classes = profile.clips["long"].classes
        before = None if profile.start else VIDEO.data_digest(spec.parent, parents_profile(profile), data)
        return parts_digest(self.root(spec, profile, data), parts_of(spec), classes, before)

    def prepare(self, specs: Sequence[ActionSpec], profile: Profile, data: Path, processes: int) -> None:
        from nlrepro.data.charades import load_videos
        from nlrepro.data.synthetic.write import action_video_set, write_dataset

        if generator := actions_of(profile).generator:
            write_dataset(action_video_set(generator), self.root(specs[0], profile, data), processes)
        tested = dict.fromkeys(spec.tested for spec in specs if spec.tested != "val")
        for part in ("train", *tested):  # train and val share a folder
            load_videos(profile, part, data, processes)

    def check(self, specs: Sequence[ActionSpec], profile: Profile, data: Path, processes: int) -> None:
        from nlrepro.data.charades import load_videos

        for part in dict.fromkeys(part for spec in specs for part in parts_of(spec)):
            videos = load_videos(profile, part, data, processes)
            usable = f"{part}: {len(videos.usable(part)):,} videos can be used"
            print(usable, *videos.notes(part), sep="\n  ")


class DetectionTask(Task):
    """Tables 5 and 6: boxes with masks, and keypoints."""

    prefix, part, items = "coco-", "detection", "images"
    untested = ("recipe", "flip", "devices", "start", "trunk")

    def can(self, spec: DetectionSpec, profile: Profile) -> bool:
        return profile.detection is not None and spec.backbone in profile.detection.backbones

    def settings(self, spec: DetectionSpec, profile: Profile) -> dict[str, Any]:
        """Published records call the small net `narrow`, and the profile of its trunk by its shipped nets."""
        detection, kind, depth = detection_of(profile), spec.kind, BACKBONE_DEPTH[spec.backbone]
        small = detection.small
        trunk = small and [asdict(profile.geometry), pretrained_digest(profile, depth)]
        own: dict[str, Any] = {
            "spec": asdict(spec),
            "recipe": recorded(detection.recipes[kind]),
            "sides": detection.sides[kind],
            "flip": detection.flip,
            "test": detection.test,
            "devices": profile.real.devices if profile.real else 1,
            "narrow": {"base": profile.pretrained, **asdict(small)} if small else None,
            "start": detector_digest(small.start, spec) if small and small.start else None,
            "trunk": trunk or "imagenet",
            "scenes": detection.scenes[kind].recorded if kind in detection.scenes else None,
        }
        return as_json(own)

    def cost(self, spec: DetectionSpec, profile: Profile) -> Cost:
        from nlrepro.nets.rcnn import detector_cost

        return detector_cost(spec, profile)

    def data_digest(self, spec: DetectionSpec, profile: Profile, data: Path) -> str | None:
        """Of the annotations, which name the images."""
        files = sorted(self.root(spec, profile, data).glob("annotations/*.json"))
        digests = [sha256(file.read_bytes()).digest() for file in files]
        return sha256(b"".join(digests)).hexdigest()[:16] if digests else None

    def root(self, spec: DetectionSpec, profile: Profile, data: Path) -> Path:
        return data / detection_of(profile).roots[spec.kind]

    def prepare(self, specs: Sequence[DetectionSpec], profile: Profile, data: Path, processes: int) -> None:
        from nlrepro.data.synthetic.write import scene_set, write_dataset

        if scenes := detection_of(profile).scenes.get(specs[0].kind):
            write_dataset(scene_set(scenes), self.root(specs[0], profile, data), processes)

    def check(self, specs: Sequence[DetectionSpec], profile: Profile, data: Path, processes: int) -> None:
        from nlrepro.data.coco import check_images

        root, splits = self.root(specs[0], profile, data), ("train", "val", detection_of(profile).test)
        for kind, split in product(dict.fromkeys(spec.kind for spec in specs), dict.fromkeys(splits)):
            check_images(root, split, kind, processes)


VIDEO, CHARADES, DETECTION = VideoTask(), CharadesTask(), DetectionTask()


def recorded(part: Recipe | Real) -> dict[str, Any]:
    """The settings of a recipe or of real data as records have them."""
    own = {name: value for name, value in asdict(part).items() if name not in UNRECORDED}
    return {name: value for name, value in own.items() if (name, value) not in LATER.items()}


def net_settings(spec: RunSpec | ActionSpec, profile: Profile, clip: Clip) -> dict[str, Any]:
    """Of a net and its clips."""
    return {
        "spec": asdict(spec),
        "form": source_of(spec.net.form),
        "net": asdict(profile.geometry),
        "clips": asdict(profile.clips[clip]),
        "data": asdict(profile.data),
    }


def source_of(form: str) -> str:
    """The source of a form of your own, so that an edit makes records stale; of the paper's forms ""."""
    if form in get_args(PaperForm):
        return ""
    from nlrepro.nets.nonlocal_block import form_source  # imports torch, which the paper's forms do without

    return form_source(form)


def actions_of(profile: Profile) -> Actions:
    """The part of Table 4, which its task has checked to be there."""
    assert profile.actions
    return profile.actions


def detection_of(profile: Profile) -> Detection:
    """The part of Tables 5 and 6, which their task has checked to be there."""
    assert profile.detection
    return profile.detection


def parts_of(spec: ActionSpec) -> list[Part]:
    """Of Charades, those that a run is trained, validated and tested on."""
    return sorted({*TRAINED[spec.split], "val", spec.tested})


def parents_profile(profile: Profile) -> Profile:
    """The profile of the nets that a fine-tuning starts from."""
    parents = load_profile(actions_of(profile).parents)
    return parents.dry(profile.recipes["long"].steps) if profile.dry_run else parents


def given_start(spec: RunSpec, profile: Profile) -> Path:
    """The weights of a net in the folder that the profile gives to start from."""
    return Path(profile.start) / f"{spec.key}.pt"


def start_digest(spec: RunSpec, profile: Profile) -> str:
    """Of the weights that a run without parent starts from."""
    if profile.start:
        return file_digest(given_start(spec, profile))
    return pretrained_digest(profile, spec.net.depth)
