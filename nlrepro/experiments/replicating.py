"""The records of another machine or person, taken in as a replication: each is checked, and lies beside the published ones.

They go to `results/replications/<name>/records`, in the layout of all results; local reports show them, published ones do not.
Tests of given weights (nlrepro/evaluation.py) are not taken in.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nlrepro import profiles
from nlrepro import record as records
from nlrepro.errors import BadInput
from nlrepro.experiments import findings
from nlrepro.experiments.catalogue import Catalogue
from nlrepro.experiments.misfits import misfit
from nlrepro.profile import Profile
from nlrepro.record import Record, record_path
from nlrepro.spec import RunSpec
from nlrepro.trial import Folders

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
RESERVED = ("published", "local", "paper", "yours", "here")  # of the other numbers of a table
PLACES = ("records/*/*/seed*.json", "*/*/seed*.json", "*/seed*.json")  # below a folder of results, its records, a profile's
NO_NAME = ("results", "records", "replications")  # what such folders are called, whoever they are of


def import_records(catalogue: Catalogue, folder: Path, name: str | None, profile: Profile, folders: Folders) -> None:
    """Check the records in `folder`, keep those that fit as the replication `name`, and tell what was done with each other one.

    `profile` is known besides the shipped ones; `name` is taken from the folder, or else from the device.

    Raises:
        BadInput: there are none, none fits, or the name is no name.
    """
    found = {path: attempt(path) for path in paths(folder)}
    good = [record for record in found.values() if isinstance(record, Record)]
    home = findings.REPLICATIONS / checked(default_name(folder, good) if name is None else name)
    gate = Gate.of(catalogue, profile, folders, home, {record.profile for record in good})
    taken, same, left = 0, 0, []
    for path, record in found.items():
        wrong = record if isinstance(record, str) else gate.objection(record)
        if wrong:
            left.append(f"{'/'.join(path.parts[-3:])}: {wrong}")
        elif isinstance(record, Record) and gate.keep(record):
            taken += 1
        else:
            same += 1
    for line in left + not_runs(found):
        print(f"not taken: {line}")
    if not taken + same:
        raise BadInput(f"none of the {len(found)} records in {folder} is taken; why is said of each above, nothing was written")
    counts = f"{taken} taken, {same} there already, {len(left)} not taken"
    print(f"replication {home.name}: {counts}; `report` shows what is in {home}")


def paths(folder: Path) -> list[Path]:
    """Where records lie in a folder of results, in its `records`, or in a profile's folder of these.

    Raises:
        BadInput: there are none.
    """
    for place in PLACES:
        if found := [path for path in sorted(folder.resolve().glob(place)) if records.seed_of(path) is not None]:
            return found
    what = "a results/local, the records in it, or a profile's folder in these"
    raise BadInput(f"no records in {folder}; give {what}: PROFILE/KEY/seed0.json and so on")


def attempt(path: Path) -> Record | str:
    """The record, or what is wrong with it."""
    try:
        return records.read(path, advice="ask for it again")
    except BadInput as error:
        return str(error)


def not_runs(found: Iterable[Path]) -> list[str]:
    """A line for the tests of given weights that lie among the records."""
    tests = [test for profile in {path.parents[1] for path in found} for test in profile.glob("*/weights-*.json")]
    return [f"{len(tests)} tests of given weights (weights-*.json): only runs are replicated"] * bool(tests)


def default_name(folder: Path, found: Sequence[Record]) -> str:
    """From the last part of the folder's path that is a name, else from the device of the first record."""
    nameless = {*NO_NAME, *RESERVED, *(record.profile for record in found)}
    words = [part for part in reversed(folder.parts) if part not in nameless] + [record.made.device for record in found[:1]]
    names = (re.sub(r"[^A-Za-z0-9]+", "-", word).strip("-") for word in words)
    return next(filter(None, names), "replication")


def checked(name: str) -> str:
    """
    Raises:
        BadInput: it is no name of a replication.
    """
    if not NAME.fullmatch(name) or name in RESERVED:
        raise BadInput(f"--name: letters, digits and dashes between them, but none of {', '.join(RESERVED)}; got {name!r}")
    return name


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What records are held against: the runs that there are, and the records that lie here already, by path."""

    home: Path  # of the replication
    specs: Mapping[str, RunSpec]
    profiles: Mapping[str, Profile]
    known: dict[Path, Record]

    @classmethod
    def of(cls, catalogue: Catalogue, profile: Profile, folders: Folders, home: Path, names: Iterable[str]) -> "Gate":
        places = (findings.PUBLISHED, folders.results, *findings.replications())
        lying = [(at, record) for at in places for name in sorted(names) for record in records.read_all(at, name)]
        return cls(
            home=home,
            specs={job.run.key: job.run.spec for job in catalogue.complete(catalogue.values(), [0], profile, folders)},
            profiles={name: profiles.load(name) for name in profiles.names()} | {profile.name: profile},
            known={record_path(at, record.profile, record.key, record.seed): record for at, record in lying},
        )

    def place(self, record: Record) -> Path:
        return record_path(self.home, record.profile, record.key, record.seed)

    def objection(self, record: Record) -> str | None:
        """Why a record is not taken; None if it is, or lies in its place already."""
        if record.profile not in self.profiles:
            return f"unknown profile {record.profile!r}; give its TOML file as --profile"
        if record.key not in self.specs:
            return f"unknown run key {record.key!r}, which no table here has"
        profile = self.profiles[record.profile]
        return misfit(record, self.specs[record.key], profile) or self.of_other_videos(record, profile) or self.doubled(record)

    def of_other_videos(self, record: Record, profile: Profile) -> str | None:
        """Generated videos are the same everywhere; of real ones each has their own, the same in all of a replication."""
        place = (record.profile, record.spec.clip)
        alike = {path: other for path, other in self.known.items() if (other.profile, other.spec.clip) == place}
        own = [other for path, other in alike.items() if path.is_relative_to(self.home)]
        others = own or (list(alike.values()) if profile.generator else [])
        if not others or any(same_videos(record, other) for other in others):
            return None
        here, there = (f"{r.metrics.videos} test videos, digest {r.videos}" for r in (others[0], record))
        return f"other videos: {here} here, {there} there"

    def doubled(self, record: Record) -> str | None:
        """Whether it is a copy of what is elsewhere, or its place holds another one."""
        place, content = self.place(record), (record.key, record.metrics, record.made)
        twins = [path for path, other in self.known.items() if (other.key, other.metrics, other.made) == content]
        if twins and place not in twins:
            return f"a copy of {twins[0]}, no replication"
        if place.exists() and not twins:
            return f"{place} is another record of this run; give another --name, or remove that"
        return None

    def keep(self, record: Record) -> bool:
        """Write the record to its place; False if it is there."""
        place = self.place(record)
        if place in self.known:
            return False
        self.known[records.write(record, self.home)] = record
        return True


def same_videos(one: Record, other: Record) -> bool:
    """As far as the two tell: which ones they have seen was not always kept."""
    return one.metrics.videos == other.metrics.videos and (None in (one.videos, other.videos) or one.videos == other.videos)
