"""One training of Tables 5 and 6: a spec, a profile and a seed, and the job that makes it. Imports no torch."""

from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from nlrepro import pretrained
from nlrepro.beyond.trials import Measured
from nlrepro.coco import profile as detection_profiles
from nlrepro.coco.profile import DetectionProfile
from nlrepro.coco.start import digest_of
from nlrepro.config import load_profile
from nlrepro.files import BadInput
from nlrepro.spec import BACKBONE_DEPTH, DetectionSpec
from nlrepro.sweep.jobs import Work
from nlrepro.train.machine import Machine
from nlrepro.train.progress import Report
from nlrepro.trial import Folders

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class DetectionTrial(Measured):
    spec: DetectionSpec
    profile: DetectionProfile = field(hash=False)

    @property
    def root(self) -> Path:
        """The folder of annotations and images."""
        return self.folders.data / self.profile.roots[self.spec.kind]

    @property
    def settings(self) -> dict[str, Any]:
        profile, kind = self.profile, self.spec.kind
        narrow = profile.narrow
        base = load_profile(narrow.base) if narrow else None
        return {
            "spec": asdict(self.spec),
            "recipe": asdict(profile.recipes[kind]),
            "sides": profile.sides[kind],
            "flip": profile.flip,
            "test": profile.test,
            "devices": profile.devices,
            "narrow": asdict(narrow) if narrow else None,
            "start": digest_of(narrow.start, self.spec) if narrow and narrow.start else None,
            "trunk": [asdict(base.geometry), pretrained.digest(base, BACKBONE_DEPTH[self.spec.backbone])] if base else "imagenet",
            "scenes": asdict(profile.scenes[kind]) if kind in profile.scenes else None,
        }

    @property
    def data(self) -> str | None:
        """Of the annotations, which name the images."""
        folder = self.root / "annotations"
        files = sorted(folder.glob("*.json")) if folder.is_dir() else []
        return sha256(b"".join(sha256(file.read_bytes()).digest() for file in files)).hexdigest()[:16] if files else None


@dataclass(frozen=True)
class DetectionJob:
    """A trial to be made, and the tables that show it."""

    run: DetectionTrial
    tables: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        return self.run.profile.recipes[self.run.spec.kind].steps

    @property
    def needs(self) -> str:
        return str(self.run.root)

    def prepare(self, processes: int) -> None:
        """Make the generated images, or what of them is missing."""
        from nlrepro.coco.making import make

        scenes = self.run.profile.scenes.get(self.run.spec.kind)
        if scenes:
            make(scenes, self.run.root, processes)

    def train(self, machine: Machine, report: Report) -> Any:
        from nlrepro.coco.train import train

        return train(self, machine, report)


class Detection:
    """The task of Tables 5 and 6."""

    def load(self, profile: str) -> DetectionProfile:
        return detection_load_profile(profile)

    def dry(self, profile: DetectionProfile, steps: int) -> DetectionProfile:
        return detection_profiles.dry(profile, steps)

    def can(self, spec: DetectionSpec, profile: DetectionProfile) -> bool:
        return spec.backbone in profile.backbones

    def trial(self, spec: DetectionSpec, profile: DetectionProfile, seed: int, folders: Folders) -> DetectionTrial:
        """
        Raises:
            BadInput: the profile cannot build the spec's backbone.
        """
        if not self.can(spec, profile):
            allowed = ", ".join(profile.backbones)
            raise BadInput(f"{profile.name} has no {spec.backbone}; its backbones are {allowed}; `paper` has all")
        return DetectionTrial(spec=spec, profile=profile, seed=seed, folders=folders)

    def jobs(self, trial: DetectionTrial, tables: tuple[str, ...]) -> list[Work]:
        return [DetectionJob(trial, tables)]
