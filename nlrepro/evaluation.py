"""What a test of given weights gave: one JSON file per (profile, key, weights), beside the records of the project's own runs.

An evaluation is no run: it has no seed, nobody trained here, and no mean or claim takes it in. Its file is
`records/<profile>/<key>/weights-<source>-<variant>-<first of the file's sha256>.json`.
"""

import json
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from nlrepro import record as records
from nlrepro.config import Pixel, Profile
from nlrepro.files import write_atomic
from nlrepro.record import Cost, Metrics, Provenance, digest, seen_in_test
from nlrepro.spec import RunSpec
from nlrepro.stored import Damaged, OfUnknownForm, again, demand_place, read_as, read_good

STRICT = ConfigDict(extra="forbid")
OWN = "run"  # the source of nets that this project has trained


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Weights:
    """Where weights come from: what `weights import` notes beside them, or a run's net."""

    source: str  # caffe2, pyslowfast, mmaction2, torchvision, or "run"
    variant: str | None  # frames x stride of the source's nets
    key: str
    file: str  # name of the released file
    sha256: str  # of the released file
    state: str  # sha256 of the imported one
    used: tuple[str, ...] = ()  # names in the released file that the net is made of
    left: tuple[str, ...] = ()  # and those that it has no use for

    @property
    def name(self) -> str:
        return f"{self.source} {self.variant}" if self.variant else self.source


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Evaluation:
    key: str
    profile: str
    tables: tuple[str, ...]
    spec: RunSpec
    fingerprint: str  # the digest of the settings
    settings: dict[str, Any] = field(default_factory=dict)  # it was made with; {} in evaluations from before that was kept
    weights: Weights
    frames: int  # of a clip, every `stride`-th of the video
    stride: int
    sampling: str = "paper"  # of these clips, what it was in evaluations from before that was kept
    mean: Pixel
    std: Pixel
    metrics: Metrics
    cost: Cost
    made: Provenance

    @property
    def released(self) -> bool:
        return self.weights.source != OWN

    @property
    def line(self) -> str:
        """What was measured on what, in one line."""
        found = self.metrics
        level = "video" if found.views > 1 else "clip"
        clips = "" if found.clip_top1 is None else f"; clip-level top-1 {found.clip_top1:.1f} %"
        views = f"(views a video: {found.views})"
        return f"{level}-level top-1 {found.top1:.1f} %, top-5 {found.top5:.1f} % {views}{clips}; {found.tested}"


def read_note(path: Path) -> Weights:
    """The note that `weights import` leaves beside the weights, with the errors of `read_as`."""
    return read_as(Weights, path, "note", "run `weights import` again")


def settings(spec: RunSpec, profile: Profile, weights: Weights) -> dict[str, Any]:
    """What the result depends on besides the videos: the weights, the spec and what the profile says of tests, but no recipe."""
    real, own = profile.real, weights.source == OWN  # the test of released weights follows from their source and variant
    return seen_in_test(spec, profile) | {
        "weights": [weights.source, weights.variant, weights.state],
        "side": real.test_side if real else None,
        "sampling": [real.sampling, real.averaged] if real and own else weights.source,
    }


def fingerprint(spec: RunSpec, profile: Profile, weights: Weights) -> str:
    """The digest of the settings."""
    return digest(settings(spec, profile, weights))


def evaluation_path(results: Path, evaluation: Evaluation) -> Path:
    weights = evaluation.weights
    name = "-".join(part for part in ("weights", weights.source, weights.variant, weights.state[:8]) if part)
    return results / "records" / evaluation.profile / evaluation.key / f"{name}.json"


def write(evaluation: Evaluation, results: Path) -> Path:
    path = evaluation_path(results, evaluation)
    write_atomic(path, json.dumps(asdict(evaluation), indent=1) + "\n")
    return path


def read(path: Path) -> Evaluation:
    """Read one evaluation, with the errors of `record.read`."""
    advice = "remove it and run `evaluate` again"
    found = read_as(Evaluation, path, "record", advice)
    demand_place(path, evaluation_path(Path(), found), advice)
    return found


def paths(results: Path, profile: str) -> list[Path]:
    """Where evaluations of a profile lie."""
    return sorted((results / "records" / profile).glob("*/weights-*.json"))


def read_all(results: Path, profile: str) -> list[Evaluation]:
    """All evaluations of a profile, the oldest first, but those of `left_out`."""
    return sorted(read_good(paths(results, profile), read), key=lambda evaluation: evaluation.made.date)


def is_fresh(evaluation: Evaluation, spec: RunSpec, profile: Profile) -> bool:
    """Whether a test of the same weights with `profile` as it is now would be the same."""
    return evaluation.fingerprint == fingerprint(spec, profile, evaluation.weights)


def left_out(results: Path, profile: str) -> list[str]:
    """A line for whatever is left out everywhere: damaged records and evaluations, and those of unknown forms."""
    return [*damaged(results, profile), *unknown(results, profile)]


def damaged(results: Path, profile: str) -> list[str]:
    """A line for each damaged record and evaluation."""
    return [str(error) for error in errors(results, profile) if isinstance(error, Damaged)]


def unknown(results: Path, profile: str) -> list[str]:
    """A line for each pairwise form that is not defined, such as your own that you have removed: its records and what to do."""
    found: dict[str, list[str]] = {}
    for error in errors(results, profile):
        if isinstance(error, OfUnknownForm):
            found.setdefault(error.form, []).append(str(error.path))
    return [
        f"unknown form {form!r}, records left out: {', '.join(paths)}; {again(form)}, or remove them"
        for form, paths in found.items()
    ]


def errors(results: Path, profile: str) -> list[Damaged | OfUnknownForm]:
    """Why records and evaluations cannot be read, by path."""
    found: list[Damaged | OfUnknownForm] = []
    for path in sorted(records.paths(results, profile) + paths(results, profile)):
        try:
            (read if path.name.startswith("weights-") else records.read)(path)
        except (Damaged, OfUnknownForm) as error:
            found.append(error)
    return found
