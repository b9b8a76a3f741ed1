"""The three tasks: what a run of each depends on, what it starts from, and its data. Imports no torch.

The Lightning module of a task (nlrepro/learners) takes seconds to import, which lists and reports do without.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from nlrepro.config import PROFILES, Actions, Detection, Profile, as_json, load_profile
from nlrepro.files import BadInput, file_digest
from nlrepro.pretrained import detector_digest, pretrained_digest
from nlrepro.record import OWN, Weights, digest
from nlrepro.spec import BACKBONE_DEPTH, TRAINED, ActionSpec, DetectionSpec, PaperForm, RunSpec

if TYPE_CHECKING:
    from nlrepro.learners.learner import Learner
    from nlrepro.run import Run

PARENT_SEED = 0  # of Table 4: as in the paper, all seeds fine-tune one net of Kinetics a row


class Task(ABC):
    """One task. Its profiles are named `<prefix><name>`: "coco-mini" is the `mini` of Tables 5 and 6."""

    prefix: ClassVar[str] = ""
    items: ClassVar[str] = "videos"  # that a run is tested on

    def profile(self, name: str) -> Profile:
        """The task's own profile of that name, or any TOML file by path.

        Raises:
            BadInput: there is none, or it lacks the task's part.
        """
        if self.prefix and not name.startswith(self.prefix) and not name.endswith(".toml"):
            name = self.prefix + name
        profile = load_profile(name)
        if part := self.lacking(profile):
            raise BadInput(
                f"the profile {profile.name} has no [{part}], which this table needs; see {PROFILES}"
            )
        return profile

    def lacking(self, profile: Profile) -> str:
        """The part that the task needs and the profile has not."""
        return ""

    def can(self, spec: Any, profile: Profile) -> bool:
        """Whether the profile can build the spec's net."""
        return True

    @abstractmethod
    def recipe(self, spec: Any) -> Any:
        """The name of the recipe that trains it."""

    @abstractmethod
    def settings(self, spec: Any, profile: Profile) -> dict[str, Any]:
        """All that a result depends on besides seed and data, as JSON gives it back."""

    @abstractmethod
    def test_settings(self, spec: Any, profile: Profile, weights: Weights) -> dict[str, Any]:
        """All that a test of given weights depends on besides the data."""

    def parent(self, run: "Run") -> "Run | None":
        """The run whose weights this one starts from."""
        return None

    @abstractmethod
    def data_digest(self, run: "Run") -> str | None:
        """The digest of what it is trained and tested on; None where that cannot be read."""

    def root(self, run: "Run") -> Path:
        """The folder of its data."""
        return run.folders.data / run.profile.data.root

    @abstractmethod
    def shares(self, run: "Run") -> Hashable:
        """Of runs with the same one, the data are prepared once."""

    @abstractmethod
    def prepare(self, run: "Run", processes: int) -> None:
        """Make, decode or check the data in so many processes, before runs would each wait for it."""

    @abstractmethod
    def check(self, run: "Run", processes: int) -> None:
        """Read every file below `root`, and print which cannot be used and why.

        Raises:
            BadInput: a split is missing, has no usable file, or has an unusable generated one.
        """

    @abstractmethod
    def learner(self) -> "type[Learner]":
        """The Lightning module that trains it."""


class VideoTask(Task):
    """Table 2: one class a video."""

    def recipe(self, spec: RunSpec) -> Any:
        return spec.clip

    def settings(self, spec: RunSpec, profile: Profile) -> dict[str, Any]:
        parent = spec.parent
        return net_settings(spec, profile) | as_json(
            {
                "recipe": asdict(profile.recipes[spec.clip]),
                "real": asdict(profile.real) if profile.real else None,
                "start": None if parent else pretrained_digest(profile, spec.net.depth),
                "parent": self.settings(parent, profile) if parent else None,
            }
        )

    def test_settings(self, spec: RunSpec, profile: Profile, weights: Weights) -> dict[str, Any]:
        """Without the recipe; source and variant of released weights give the clips of their test."""
        real, own = profile.real, weights.source == OWN
        return net_settings(spec, profile) | {
            "weights": [weights.source, weights.variant, weights.state],
            "side": real.test_side if real else None,
            "sampling": [real.sampling, real.averaged] if real and own else weights.source,
        }

    def parent(self, run: "Run") -> "Run | None":
        return replace(run, spec=run.spec.parent, tables=(), module=None) if run.spec.parent else None

    def data_digest(self, run: "Run") -> str | None:
        from nlrepro.data.kinetics import videos_seen  # imports torch

        return videos_seen(run.spec, run.profile, run.folders.data)

    def shares(self, run: "Run") -> Hashable:
        return run.profile.name, run.spec.clip

    def prepare(self, run: "Run", processes: int) -> None:
        from nlrepro.data.clips import Tree, decoded
        from nlrepro.data.synthetic.write import card_video_set, write_dataset

        profile, data = run.profile, run.folders.data
        if profile.generator:
            limits = {split: limit for split in profile.generator.videos if (limit := profile.limit(split))}
            write_dataset(card_video_set(profile.generator), self.root(run), processes, limits)
        clips = profile.clips[run.spec.clip]
        for split in sorted({clips.train, clips.val, clips.test}) if profile.data.cached else ():
            tree = Tree.scan(self.root(run) / split, clips.classes, profile.generator, profile.limit(split))
            decoded(tree, profile.data, data / "cache", processes)

    def check(self, run: "Run", processes: int) -> None:
        from nlrepro.data.kinetics import check_generated, check_real

        if run.profile.real:
            check_real(run.profile, self.root(run), run.folders.data / "cache", processes)
        else:
            check_generated(run.profile, self.root(run), processes)

    def learner(self) -> "type[Learner]":
        from nlrepro.learners.classifier import VideoClassifier

        return VideoClassifier


class CharadesTask(Task):
    """Table 4: several actions a video; nets of Table 2g are fine-tuned."""

    prefix = "charades-"

    def lacking(self, profile: Profile) -> str:
        return "" if profile.actions else "actions"

    def recipe(self, spec: ActionSpec) -> Any:
        return "long"

    def settings(self, spec: ActionSpec, profile: Profile) -> dict[str, Any]:
        actions = actions_of(profile)
        own: dict[str, Any] = {
            "spec": asdict(spec),
            "form": source_of(spec.net.form),
            "net": asdict(profile.geometry),
            "data": asdict(profile.data),
            "clips": asdict(profile.clips["long"]),
            "recipe": asdict(profile.recipes["long"]),
            "over_views": actions.over_views,
            "films": asdict(actions.generator) if actions.generator else None,
            "real": asdict(profile.real) if profile.real else None,
            "start": file_digest(given_start(spec, profile)) if actions.start else None,
            "parent": None
            if actions.start
            else digest(VIDEO.settings(spec.parent, parents_profile(profile))),
        }
        return as_json(own)

    def test_settings(self, spec: ActionSpec, profile: Profile, weights: Weights) -> dict[str, Any]:
        unused = ("recipe", "start", "parent")
        own = {name: value for name, value in self.settings(spec, profile).items() if name not in unused}
        return own | {"weights": [weights.source, weights.variant, weights.state]}

    def parent(self, run: "Run") -> "Run | None":
        if actions_of(run.profile).start:
            return None
        profile, spec = parents_profile(run.profile), run.spec.parent
        return replace(run, task=VIDEO, spec=spec, profile=profile, seed=PARENT_SEED, tables=(), module=None)

    def data_digest(self, run: "Run") -> str | None:
        from nlrepro.data.charades import parts_digest

        parts = sorted({*TRAINED[run.spec.split], "val", run.spec.tested})
        parent = self.parent(run)
        return parts_digest(
            self.root(run), parts, run.profile.clips["long"].classes, parent.data if parent else None
        )

    def shares(self, run: "Run") -> Hashable:
        return run.profile.name, run.spec.split

    def prepare(self, run: "Run", processes: int) -> None:
        from nlrepro.data.charades import load_videos
        from nlrepro.data.synthetic.write import action_video_set, write_dataset

        profile, data = run.profile, run.folders.data
        if generator := actions_of(profile).generator:
            write_dataset(action_video_set(generator), self.root(run), processes)
        for part in sorted({"train", run.spec.tested} - {"val"}):  # train and val share a folder
            load_videos(profile, part, data, processes)

    def check(self, run: "Run", processes: int) -> None:
        from nlrepro.data.charades import load_videos

        for part in sorted({*TRAINED[run.spec.split], "val", run.spec.tested}):
            videos = load_videos(run.profile, part, run.folders.data, processes)
            print(f"{part}: {len(videos.usable(part)):,} videos can be used")
            print(*(f"  {note}" for note in videos.notes(part)), sep="\n")

    def learner(self) -> "type[Learner]":
        from nlrepro.learners.action_classifier import ActionClassifier

        return ActionClassifier


class DetectionTask(Task):
    """Tables 5 and 6: boxes with masks, and keypoints."""

    prefix = "coco-"
    items = "images"

    def lacking(self, profile: Profile) -> str:
        return "" if profile.detection else "detection"

    def can(self, spec: DetectionSpec, profile: Profile) -> bool:
        return profile.detection is not None and spec.backbone in profile.detection.backbones

    def recipe(self, spec: DetectionSpec) -> Any:
        return spec.kind

    def settings(self, spec: DetectionSpec, profile: Profile) -> dict[str, Any]:
        """Published records call the small net `narrow`, and the profile of its trunk by its shipped nets."""
        detection = detection_of(profile)
        small, kind = detection.small, spec.kind
        trunk = small and [
            asdict(profile.geometry),
            pretrained_digest(profile, BACKBONE_DEPTH[spec.backbone]),
        ]
        own: dict[str, Any] = {
            "spec": asdict(spec),
            "recipe": asdict(detection.recipes[kind]),
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

    def test_settings(self, spec: DetectionSpec, profile: Profile, weights: Weights) -> dict[str, Any]:
        unused = ("recipe", "flip", "devices", "start", "trunk")
        own = {name: value for name, value in self.settings(spec, profile).items() if name not in unused}
        return own | {"weights": [weights.source, weights.variant, weights.state]}

    def data_digest(self, run: "Run") -> str | None:
        """Of the annotations, which name the images."""
        folder = self.root(run) / "annotations"
        files = sorted(folder.glob("*.json")) if folder.is_dir() else []
        return (
            sha256(b"".join(sha256(file.read_bytes()).digest() for file in files)).hexdigest()[:16]
            if files
            else None
        )

    def root(self, run: "Run") -> Path:
        return run.folders.data / detection_of(run.profile).roots[run.spec.kind]

    def shares(self, run: "Run") -> Hashable:
        return self.root(run)

    def prepare(self, run: "Run", processes: int) -> None:
        from nlrepro.data.synthetic.write import scene_set, write_dataset

        if scenes := detection_of(run.profile).scenes.get(run.spec.kind):
            write_dataset(scene_set(scenes), self.root(run), processes)

    def check(self, run: "Run", processes: int) -> None:
        from nlrepro.data.coco import check_images

        for split in dict.fromkeys(("train", "val", detection_of(run.profile).test)):
            check_images(self.root(run), split, run.spec.kind, processes)

    def learner(self) -> "type[Learner]":
        from nlrepro.learners.detector import Detector

        return Detector


VIDEO, CHARADES, DETECTION = VideoTask(), CharadesTask(), DetectionTask()


def net_settings(spec: RunSpec, profile: Profile) -> dict[str, Any]:
    """Net, clips and videos, without the recipe."""
    return as_json(
        {
            "spec": asdict(spec),
            "form": source_of(spec.net.form),
            "net": asdict(profile.geometry),
            "clips": asdict(profile.clips[spec.clip]),
            "data": asdict(profile.data),
            "generator": asdict(profile.generator) if profile.generator else None,
        }
    )


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


def parents_profile(profile: Profile) -> Profile:
    """The profile of the nets that a fine-tuning starts from."""
    parents = load_profile(actions_of(profile).parents)
    return parents.dry(profile.recipes["long"].steps) if profile.dry_run else parents


def given_start(spec: ActionSpec, profile: Profile) -> Path:
    """The weights that the profile gives to start from."""
    return Path(actions_of(profile).start) / f"{spec.parent.key}.pt"
