"""What `list` shows: how far every run of the chosen tables is, at each seed that was begun."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from ablations import Ablation
from nlrepro import evaluation as evaluations
from nlrepro.experiments.catalogue import complete, tables_of
from nlrepro.profile import Profile
from nlrepro.spec import RunSpec
from nlrepro.sweep.marks import QUEUED
from nlrepro.sweep.slurm import queue as slurm_queue
from nlrepro.sweep.status import State, state
from nlrepro.train.paths import Place
from nlrepro.unknown import unknown

Found = dict[tuple[str, int], State]


def listing(axes: Iterable[type[Ablation]], profile: Profile, place: Place) -> list[str]:
    """A line a run: key, tables, parent, its seeds, recorded or under way, evaluated weights if there are any.

    Then the numbers of seeds, what is stale, what failed and what is of unknown forms.
    """
    specs = [job.spec for job in complete(axes, [0])]
    queue = slurm_queue() if any(marks_of(place, profile, specs)) else {}
    found = {
        (spec.key, seed): state(spec, seed, profile, place, queue) for spec in specs for seed in seeds_of(place, profile, spec)
    }
    frame = pd.DataFrame(
        {
            "key": [spec.key for spec in specs],
            "tables": [" ".join(tables_of(spec)) for spec in specs],
            "parent": [parent.key if (parent := spec.parent) else "--" for spec in specs],
            "seeds": [", ".join(labels(spec.key, found)) or "--" for spec in specs],
        }
    )
    if given := weights_of(specs, profile, place):
        frame["weights"] = [", ".join(given.get(spec.key, [])) or "--" for spec in specs]
    lines = str(frame.to_markdown(index=False, tablefmt="plain")).splitlines()
    return [*lines, "", *totals(found), *unknown(place.results, profile.name)]


def seeds_of(place: Place, profile: Profile, spec: RunSpec) -> list[int]:
    """The seeds that have a record, or a folder of a run that has none yet."""
    recorded = (place.results / "records" / profile.name / spec.key).glob("seed*.json")
    begun = (place.results / "runs" / profile.name / spec.key).glob("seed*")
    return sorted({int(path.stem.removeprefix("seed")) for path in (*recorded, *begun)})


def marks_of(place: Place, profile: Profile, specs: Iterable[RunSpec]) -> Iterator[Path]:
    """Of runs that were submitted to SLURM."""
    return (mark for spec in specs for mark in (place.results / "runs" / profile.name / spec.key).glob(f"seed*/{QUEUED}"))


def weights_of(specs: Iterable[RunSpec], profile: Profile, place: Place) -> dict[str, list[str]]:
    """The tests of given weights, by key."""
    by_key = {spec.key: spec for spec in specs}
    given: dict[str, list[str]] = {}
    for test in evaluations.read_all(place.results, profile.name):
        stale = "" if evaluations.is_fresh(test, by_key.get(test.key, test.spec), profile) else " (stale)"
        given.setdefault(test.key, []).append(f"{test.weights.name} {test.weights.state[:8]}{stale}")
    return given


def labels(key: str, found: Found) -> list[str]:
    """ "0, 1 (running)"; a seed that is done stands alone."""
    shown = {seed: state.name for (of, seed), state in found.items() if of == key and state.name != "missing"}
    return [str(seed) if name == "done" else f"{seed} ({name})" for seed, name in shown.items()]


def totals(found: Found) -> list[str]:
    numbers = Counter(state.name for state in found.values())
    lines = [", ".join(f"{numbers[name]} {name}" for name in ("done", "running", "queued", "stopped", "failed", "stale"))]
    if stale := [f"{key} seed {seed}" for (key, seed), state in found.items() if state.name == "stale"]:
        lines.append(f"{counted(len(stale), 'record')} stale: {', '.join(stale)}; `sweep` makes them anew")
    failed = {f"{key} seed {seed}": state.why for (key, seed), state in found.items() if state.name == "failed"}
    return lines + [f"failed: {name}: {why}" for name, why in failed.items()] + ["`sweep` tries them again"] * bool(failed)


def counted(number: int, noun: str) -> str:
    """ "1 record is", "3 records are"."""
    return f"{number} {noun} is" if number == 1 else f"{number} {noun}s are"
