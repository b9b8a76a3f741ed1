"""All runs of the chosen tables: who shares them, what they cost, what is recorded."""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd

from ablations import TABLES, Ablation
from nlrepro.errors import BadInput
from nlrepro.nets.cost import cost
from nlrepro.profile import Profile
from nlrepro.runs.job import Job, with_parents
from nlrepro.runs.marks import QUEUED
from nlrepro.runs.place import Place
from nlrepro.runs.slurm import queue as slurm_queue
from nlrepro.runs.states import State, state
from nlrepro.spec import DEPTHS, NetSpec, RunSpec


def chosen(names: Iterable[str]) -> list[type[Ablation]]:
    """The axes by table name.

    Raises:
        BadInput: an unknown table.
    """
    names = list(names) or ["all"]
    for name in names:
        if name not in (*TABLES, "all"):
            raise BadInput(f"unknown table {name!r}; use one of {', '.join(TABLES)}, or all")
    return list(TABLES.values()) if "all" in names else [TABLES[name] for name in names]


def place(arguments: argparse.Namespace) -> Place:
    return Place(data=arguments.data, results=arguments.results)


def tables_of(spec: RunSpec) -> tuple[str, ...]:
    """The tables that show this run."""
    return tuple(name for name, axis in TABLES.items() if any(axis.spec(row) == spec for row in axis.rows))


def jobs(axes: Iterable[type[Ablation]], seeds: Iterable[int], only: str = "*") -> list[Job]:
    """Every run of the tables' rows, each once, seed by seed so that a first seed is complete early.

    Raises:
        BadInput: no key matches `only`, a pattern such as "r50-*".
    """
    unique = {axis.spec(row): axis for axis in reversed(list(axes)) for row in reversed(axis.rows)}
    found = {spec: axis for spec, axis in reversed(unique.items()) if fnmatchcase(spec.key, only)}
    if not found:
        raise BadInput(f"no run key matches {only!r}; the keys of these tables are {', '.join(spec.key for spec in unique)}")
    return [Job(spec, seed, axis, tables_of(spec)) for seed in seeds for spec, axis in found.items()]


def specs(axes: Iterable[type[Ablation]]) -> list[RunSpec]:
    """The runs of the tables' rows, each once."""
    return [job.spec for job in jobs(axes, [0])]


def job(key: str, seed: int, profile: Profile) -> Job:
    """One run by its key, warm starts included.

    Raises:
        BadInput: no table has such a run.
    """
    known = {job.spec.key: job for job in with_parents(jobs(TABLES.values(), [seed]), profile)}
    if key not in known:
        raise BadInput(f"unknown run key {key!r}; `python -m ablations list` shows all, such as {', '.join(list(known)[:3])}")
    return known[key]


def spec(key: str) -> RunSpec:
    """What to run by its key, stills included also where a profile does not train them.

    Raises:
        BadInput: no table has such a run.
    """
    stills = [RunSpec(net=NetSpec(depth=depth), clip="still") for depth in DEPTHS]
    known = {spec.key: spec for spec in (*specs(TABLES.values()), *stills)}
    if key not in known:
        raise BadInput(f"unknown run key {key!r}; `python -m ablations list` shows all, such as {', '.join(list(known)[:3])}")
    return known[key]


def listing(axes: Iterable[type[Ablation]], profile: Profile, place: Place) -> list[str]:
    """A line a run: key, tables, parent, and its seeds, recorded or under way; then their number, what is stale and what failed."""
    specs = [job.spec for job in with_parents(jobs(axes, [0]), profile)]
    queue = slurm_queue() if any(marks_of(place, profile, specs)) else {}
    found = {
        (spec.key, seed): state(spec, seed, profile, place, queue) for spec in specs for seed in seeds_of(place, profile, spec)
    }
    frame = pd.DataFrame(
        {
            "key": [spec.key for spec in specs],
            "tables": [" ".join(tables_of(spec)) or "warm start" for spec in specs],
            "parent": [parent.key if (parent := profile.parent(spec)) else "--" for spec in specs],
            "seeds": [", ".join(labels(spec.key, found)) or "--" for spec in specs],
        }
    )
    return [*str(frame.to_markdown(index=False, tablefmt="plain")).splitlines(), "", *totals(found)]


Found = dict[tuple[str, int], State]


def seeds_of(place: Place, profile: Profile, spec: RunSpec) -> list[int]:
    """The seeds that have a record, or a folder of a run that has none yet."""
    recorded = (place.results / "records" / profile.name / spec.key).glob("seed*.json")
    begun = (place.results / "runs" / profile.name / spec.key).glob("seed*")
    return sorted({int(path.stem.removeprefix("seed")) for path in (*recorded, *begun)})


def marks_of(place: Place, profile: Profile, specs: Iterable[RunSpec]) -> Iterator[Path]:
    """Of runs that were submitted to SLURM."""
    return (mark for spec in specs for mark in (place.results / "runs" / profile.name / spec.key).glob(f"seed*/{QUEUED}"))


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


def costs(axes: Iterable[type[Ablation]], profile: Profile) -> str:
    """Parameters and multiply-adds of each row, and relative to the first row of the same table."""
    lines = []
    for axis in axes:
        base = cost(axis.spec(axis.rows[0]), profile)
        for row in axis.rows:
            here = cost(axis.spec(row), profile)
            lines.append(
                {
                    "table": axis.table,
                    "row": row.label,
                    "depth": f"R{row.depth}",
                    "params": f"{here.params:,}",
                    "multiply-adds": f"{here.macs:,}",
                    "params ratio": f"{here.params / base.params:.3f}",
                    "multiply-adds ratio": f"{here.macs / base.macs:.3f}",
                }
            )
    return str(pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True))
