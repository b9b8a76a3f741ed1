"""Why a record that comes from elsewhere is none that a run of this project gives: other settings, or numbers that disagree."""

import json
import re
from math import isfinite
from typing import Any

from nlrepro.profile import Profile
from nlrepro.record import Metrics, Record, digest, settings
from nlrepro.report.statistics import correct
from nlrepro.spec import RunSpec

ROUNDED = 0.001  # records keep percentages with four decimals, counted in float32
TIED = 0.5  # points: in half precision classes may score the same, which the ranks count as right and top-1 may not
SHOWN = 40  # characters of a value


def misfit(record: Record, spec: RunSpec, profile: Profile) -> str | None:
    """The first thing that speaks against a record of this key and profile, in one line; None if nothing does."""
    exact = profile.recipes[spec.clip].precision == "32-true"
    return other_settings(record, spec, profile) or other_numbers(record.metrics, ROUNDED if exact else TIED)


def other_settings(record: Record, spec: RunSpec, profile: Profile) -> str | None:
    ours = settings(spec, profile)
    apart = difference(ours, record.settings) if record.settings else None
    if record.settings and digest(record.settings) != record.fingerprint:
        return f"its settings are not those of its fingerprint{f' ({apart})' if apart else ''}; it was changed by hand"
    if apart:
        return f"other settings: {apart}"
    if record.fingerprint != digest(ours):
        return f"other settings, which it does not keep: fingerprint {digest(ours)} here, {record.fingerprint} there"
    return None if record.spec == spec else "its spec is not that of its key; it was changed by hand"


def difference(here: Any, there: Any, path: str = "") -> str | None:
    """The first place where settings differ, as "recipe.steps: 300 here, 600 there"; None if they are the same."""
    if not (isinstance(here, dict) and isinstance(there, dict)):
        ours, theirs = (json.dumps(value, sort_keys=True) for value in (here, there))
        return None if ours == theirs else f"{path}: {ours[:SHOWN]} here, {theirs[:SHOWN]} there"
    for name in dict.fromkeys((*here, *there)):
        place = f"{path}.{name}" if path else name
        if name not in there or name not in here:
            return f"{place}: only {'here' if name in here else 'there'}"
        if found := difference(here[name], there[name], place):
            return found
    return None


def other_numbers(found: Metrics, below: float) -> str | None:
    """What does not follow from the ranks of the test videos; top-1 and top-5 may lie so many points `below` the ranks' share."""
    kinds = "".join(part.ranks for part in found.kinds.values())
    if not re.fullmatch("[0-9]+", found.ranks) or len(found.ranks) != found.videos:
        return f"metrics.ranks: {found.videos} digits expected, one a test video, got {len(found.ranks)} characters"
    if not isfinite(found.loss):
        return f"metrics.loss: {found.loss}, with which no run ends"
    if found.kinds and sorted(kinds) != sorted(found.ranks):
        return "metrics.kinds: their ranks are not those of all videos"
    told = [("top1", found.top1, found.ranks, 1, below), ("top5", found.top5, found.ranks, 5, below)]
    told += [(f"kinds.{kind}.top1", part.top1, part.ranks, 1, ROUNDED) for kind, part in found.kinds.items() if part.ranks]
    for name, percent, ranks, within, slack in told:
        share = float(correct(ranks, within).mean())
        if not share - slack <= percent <= share + ROUNDED:
            return f"metrics.{name}: {percent:.4f} there, its ranks give {share:.4f}"
    return None
