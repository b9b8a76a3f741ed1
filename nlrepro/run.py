"""A run of the video task is one value: a spec, a profile and a seed, and the folders of its files. Imports no torch."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from nlrepro import record as records
from nlrepro.config import Profile, Recipe
from nlrepro.record import Record
from nlrepro.spec import RunSpec
from nlrepro.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Run(Trial[Record]):
    """One training of a video net, and its test."""

    spec: RunSpec
    profile: Profile = field(hash=False)

    @property
    def parent(self) -> "Run | None":
        return replace(self, spec=self.spec.parent) if self.spec.parent else None

    @property
    def recipe(self) -> Recipe:
        """The profile's, before it is scaled to the devices that are there."""
        return self.profile.recipes[self.spec.clip]

    @property
    def fingerprint(self) -> str:
        return records.fingerprint(self.spec, self.profile)

    @property
    def videos(self) -> str | None:
        """The digest of the videos that this run, and those it starts from, see; None where they cannot be read."""
        from nlrepro.data.identity import videos_seen  # imports torch

        return videos_seen(self.spec, self.profile, self.folders.data)

    def read(self, path: Path) -> Record:
        return records.read(path)

    def has_settings_of(self, record: Record) -> bool:
        """Whether the record was made with the settings that this run has now, of whatever videos."""
        return record.fingerprint == self.fingerprint

    def is_fresh(self, record: Record) -> bool:
        return self.has_settings_of(record) and (record.videos is None or self.videos in (None, record.videos))

    def damaged_net(self) -> str | None:
        from nlrepro.train.intact import flaw_of_net  # imports torch

        wrong = flaw_of_net(self.weights, self.spec, self.profile) if self.weights.exists() else None
        return f"the net {self.weights} is damaged: {wrong}; `sweep` makes it anew" if wrong else None
