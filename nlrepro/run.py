"""A run is one value: a spec, a profile and a seed, and the folders in which its files lie. Imports no torch."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from nlrepro import record as records
from nlrepro.errors import BadInput
from nlrepro.profile import Profile, Recipe
from nlrepro.record import Record
from nlrepro.spec import RunSpec


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Where videos come from, and where results go."""

    data: Path = Path("data")
    results: Path = Path("results/local")
    imagenet: tuple[Path, ...] = ()  # files of torchvision's weights; without any, its cache is looked at


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training and its test. What comes out depends on spec, profile, seed and videos, and on nothing else.

    Its files, below the folder of results:

        records/<profile>/<key>/seed<seed>.json        the record
        runs/<profile>/<key>/seed<seed>/               all else: lock, log, checkpoint, weights
    """

    spec: RunSpec
    profile: Profile = field(hash=False)  # it holds dictionaries
    seed: int
    folders: Folders = field(default_factory=Folders)

    @property
    def key(self) -> str:
        return self.spec.key

    @property
    def name(self) -> str:
        return f"{self.key} seed {self.seed}"

    @property
    def parent(self) -> "Run | None":
        """The run of the same seed whose weights this one starts from."""
        return replace(self, spec=self.spec.parent) if self.spec.parent else None

    @property
    def recipe(self) -> Recipe:
        """The profile's, before it is scaled to the devices that are there."""
        return self.profile.recipes[self.spec.clip]

    @property
    def fingerprint(self) -> str:
        """The digest of all settings; names of files hold it, so that those of other settings are told apart."""
        return records.fingerprint(self.spec, self.profile)

    @property
    def videos(self) -> str | None:
        """The digest of the videos that this run, and those it starts from, see; None where they cannot be read."""
        from nlrepro.data.identity import videos_seen  # imports torch

        return videos_seen(self.spec, self.profile, self.folders.data)

    @property
    def record_path(self) -> Path:
        return records.record_path(self.folders.results, self.profile.name, self.key, self.seed)

    @property
    def folder(self) -> Path:
        return self.folders.results / "runs" / self.profile.name / self.key / f"seed{self.seed}"

    @property
    def lock(self) -> Path:
        """Held by the process that trains the run."""
        return self.folder / "lock"

    @property
    def checkpoint(self) -> Path:
        """The state of a run that was cut off."""
        return self.folder / f"part-{self.fingerprint}.ckpt"

    @property
    def weights(self) -> Path:
        """The trained net of a finished run."""
        return self.folder / f"net-{self.fingerprint}.pt"

    def has_settings_of(self, record: Record) -> bool:
        """Whether the record was made with the settings that this run has now, of whatever videos."""
        return record.fingerprint == self.fingerprint

    def is_fresh(self, record: Record) -> bool:
        """Whether this run would give the record again: its settings are the same, and its videos where both are known."""
        return self.has_settings_of(record) and (record.videos is None or self.videos in (None, record.videos))

    def recorded(self) -> Record | None:
        """The record, fresh or stale; None if there is none or it is damaged."""
        with suppress(BadInput):
            return records.read(self.record_path) if self.record_path.exists() else None
        return None

    def finished(self) -> Record | None:
        """The fresh record, if it and the weights that other runs may start from are there and whole."""
        record = self.recorded() if self.weights.is_file() else None
        return record if record and self.is_fresh(record) and not self.damaged_net() else None

    def damaged_record(self) -> str | None:
        """What is wrong with the record, and what to do; None if nothing is, or there is none."""
        try:
            if self.record_path.exists():
                records.read(self.record_path)
        except BadInput as error:
            return str(error)
        return None

    def damaged_net(self) -> str | None:
        """The same of the trained net."""
        from nlrepro.train.intact import flaw_of_net  # imports torch

        wrong = flaw_of_net(self.weights, self.spec, self.profile) if self.weights.exists() else None
        return f"the net {self.weights} is damaged: {wrong}; `sweep` makes it anew" if wrong else None
