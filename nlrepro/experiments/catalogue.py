"""All runs of the chosen tables: who shares them, what they cost, what is recorded."""

import argparse
from collections.abc import Iterable
from fnmatch import fnmatchcase

import pandas as pd

from ablations import TABLES, Ablation
from nlrepro.errors import BadInput
from nlrepro.nets.cost import cost
from nlrepro.profile import Profile
from nlrepro.run import Folders, Run
from nlrepro.spec import RunSpec
from nlrepro.sweep.jobs import Job, with_parents


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


def folders(arguments: argparse.Namespace) -> Folders:
    return Folders(data=arguments.data, results=arguments.results, imagenet=tuple(getattr(arguments, "imagenet", ())))


def tables_of(spec: RunSpec) -> tuple[str, ...]:
    """The tables that show this run."""
    return tuple(name for name, axis in TABLES.items() if any(axis.spec(row) == spec for row in axis.rows))


def trained_by(axes: Iterable[type[Ablation]]) -> dict[RunSpec, type[Ablation]]:
    """The specs of the tables' rows, each at the place of its last row, and the first axis that has it."""
    found: dict[RunSpec, type[Ablation]] = {}
    for axis in axes:
        for row in axis.rows:
            spec = axis.spec(row)
            found[spec] = found.pop(spec, axis)
    return found


def specs(axes: Iterable[type[Ablation]]) -> list[RunSpec]:
    """The specs of the tables' rows, each once."""
    return list(trained_by(axes))


def jobs(axes: Iterable[type[Ablation]], seeds: Iterable[int], profile: Profile, folders: Folders, only: str = "*") -> list[Job]:
    """Every run of the tables' rows, each once, seed by seed so that a first seed is complete early.

    Raises:
        BadInput: no key matches `only`, a pattern such as "r50-*".
    """
    unique = trained_by(axes)
    found = {spec: axis for spec, axis in unique.items() if fnmatchcase(spec.key, only)}
    if not found:
        raise BadInput(f"no run key matches {only!r}; the keys of these tables are {', '.join(spec.key for spec in unique)}")
    return [
        Job(Run(spec=spec, profile=profile, seed=seed, folders=folders), axis, tables_of(spec))
        for seed in seeds
        for spec, axis in found.items()
    ]


def complete(
    axes: Iterable[type[Ablation]], seeds: Iterable[int], profile: Profile, folders: Folders, only: str = "*"
) -> list[Job]:
    """`jobs` and all that they start from, parents before children."""
    return with_parents(jobs(axes, seeds, profile, folders, only), tables_of)


def job(key: str, seed: int, profile: Profile, folders: Folders) -> Job:
    """One run by its key, with the errors of `spec`."""
    wanted = spec(key)
    return next(job for job in complete(TABLES.values(), [seed], profile, folders) if job.run.spec == wanted)


def spec(key: str) -> RunSpec:
    """The spec of a table's row, or of what it starts from, by its key.

    Raises:
        BadInput: no table has such a run.
    """
    known = {spec.key: spec for row in specs(TABLES.values()) for spec in (row.parent, row) if spec}
    if key not in known:
        raise BadInput(f"unknown run key {key!r}; `python -m nlrepro list` shows all, such as {', '.join(list(known)[:3])}")
    return known[key]


def labour(axes: Iterable[type[Ablation]], profile: Profile, teraflops: int) -> str:
    """What one training of each run takes, by its count: a step is three forward passes, a multiply-add two operations."""
    clips = {spec: profile.recipes[spec.clip].steps * profile.recipes[spec.clip].batch for spec in specs(axes)}
    work = {spec: 3 * 2 * cost(spec, profile).macs * count for spec, count in clips.items()}
    hours = {spec.key: flops / (teraflops * 1e12) / 3600 for spec, flops in work.items()}
    ends = [f"{hours[key]:,.0f} of {key}" for key in (min(hours, key=hours.__getitem__), max(hours, key=hours.__getitem__))]
    return (
        f"Training {len(work)} runs once takes {sum(work.values()) / 1e18:,.0f} exaFLOPs; at {teraflops} TFLOP/s a GPU"
        f" (an assumption, --teraflops) {sum(hours.values()):,.0f} GPU-hours, from {' to '.join(ends)}."
    )


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
