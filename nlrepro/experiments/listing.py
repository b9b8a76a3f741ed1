"""What `list` shows: how far every run of the chosen tables is, at each seed that was begun."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import pandas as pd

from nlrepro import evaluation as evaluations
from nlrepro.config import Profile
from nlrepro.evaluation import left_out
from nlrepro.experiments.catalogue import Axes, Catalogue
from nlrepro.record import seed_of
from nlrepro.run import Run
from nlrepro.sweep.slurm import queue as slurm_queue
from nlrepro.sweep.status import QUEUED, State, state
from nlrepro.trial import Folders, Trial

T = TypeVar("T", bound=Trial[Any])
Found = Mapping[Any, State]  # by run


def listing(tables: Catalogue, axes: Axes, profile: Profile, folders: Folders) -> list[str]:
    """A line a run: key, tables, parent, its seeds that are recorded or under way, and evaluated weights if there are any.

    Below stand totals, what is stale, what failed, and records that are damaged or of unknown forms.
    """
    runs = [job.run for job in tables.complete(axes, [0], profile, folders)]
    queue = slurm_queue() if any(map(was_submitted, runs)) else {}
    found = {run: state(run, queue) for first in runs for run in begun(first)}
    frame = pd.DataFrame(
        {
            "key": [run.key for run in runs],
            "tables": [" ".join(tables.tables_of(run.spec)) for run in runs],
            "parent": [parent.key if (parent := run.parent) else "--" for run in runs],
            "seeds": [", ".join(labels(run.key, found)) or "--" for run in runs],
        }
    )
    if given := weights_of(runs, profile, folders):
        frame["weights"] = [", ".join(given.get(run.key, [])) or "--" for run in runs]
    lines = str(frame.to_markdown(index=False, tablefmt="plain")).splitlines()
    return [*lines, "", *totals(found), *left_out(folders.results, profile.name)]


def begun(run: T) -> list[T]:
    """The run with each seed that has a record, or a folder and no record yet."""
    seeds = {seed_of(path) for path in (*run.record_path.parent.glob("seed*.json"), *run.folder.parent.glob("seed*"))}
    return [replace(run, seed=seed) for seed in sorted(seed for seed in seeds if seed is not None)]


def was_submitted(run: Run) -> bool:
    """Whether SLURM has been given the run, with any seed, and it is not done yet."""
    return any(run.folder.parent.glob(f"seed*/{QUEUED}"))


def weights_of(runs: Iterable[Run], profile: Profile, folders: Folders) -> dict[str, list[str]]:
    """The tests of given weights, by key."""
    by_key = {run.key: run.spec for run in runs}
    given: dict[str, list[str]] = {}
    for test in evaluations.read_all(folders.results, profile.name):
        stale = "" if evaluations.is_fresh(test, by_key.get(test.key, test.spec), profile) else " (stale)"
        given.setdefault(test.key, []).append(f"{test.weights.name} {test.weights.state[:8]}{stale}")
    return given


def labels(key: str, found: Found) -> list[str]:
    """ "0, 1 (running)"; a seed that is done stands alone."""
    shown = {run.seed: state.name for run, state in found.items() if run.key == key and state.name != "missing"}
    return [str(seed) if name == "done" else f"{seed} ({name})" for seed, name in shown.items()]


def totals(found: Found) -> list[str]:
    numbers = Counter(state.name for state in found.values())
    lines = [", ".join(f"{numbers[name]} {name}" for name in ("done", "running", "queued", "stopped", "failed", "stale"))]
    if stale := [run.name for run, state in found.items() if state.name == "stale"]:
        lines.append(f"{counted(len(stale), 'record')} stale: {', '.join(stale)}; `sweep` makes them anew")
    failed = {run.name: state.why for run, state in found.items() if state.name == "failed"}
    return lines + [f"failed: {name}: {why}" for name, why in failed.items()] + ["`sweep` tries them again"] * bool(failed)


def counted(number: int, noun: str) -> str:
    """ "1 record is", "3 records are"."""
    return f"{number} {noun} is" if number == 1 else f"{number} {noun}s are"
