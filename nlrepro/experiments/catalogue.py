"""All runs of the chosen tables: who shares them, what they cost, what is recorded."""

import argparse
from collections.abc import Iterable
from fnmatch import fnmatchcase

import pandas as pd

from ablations import TABLES, Ablation
from nlrepro.errors import BadInput
from nlrepro.nets.cost import cost
from nlrepro.profile import Profile
from nlrepro.spec import RunSpec
from nlrepro.sweep.jobs import Job, with_parents
from nlrepro.train.paths import Place


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
    return Place(data=arguments.data, results=arguments.results, imagenet=tuple(getattr(arguments, "imagenet", ())))


def tables_of(spec: RunSpec) -> tuple[str, ...]:
    """The tables that show this run."""
    return tuple(name for name, axis in TABLES.items() if any(axis.spec(**row.value) == spec for row in axis.rows))


def jobs(axes: Iterable[type[Ablation]], seeds: Iterable[int], only: str = "*") -> list[Job]:
    """Every run of the tables' rows, each once, seed by seed so that a first seed is complete early.

    Raises:
        BadInput: no key matches `only`, a pattern such as "r50-*".
    """
    unique = {axis.spec(**row.value): axis for axis in reversed(list(axes)) for row in reversed(axis.rows)}
    found = {spec: axis for spec, axis in reversed(unique.items()) if fnmatchcase(spec.key, only)}
    if not found:
        raise BadInput(f"no run key matches {only!r}; the keys of these tables are {', '.join(spec.key for spec in unique)}")
    return [Job(spec, seed, axis, tables_of(spec)) for seed in seeds for spec, axis in found.items()]


def complete(axes: Iterable[type[Ablation]], seeds: Iterable[int], only: str = "*") -> list[Job]:
    """`jobs` and all that they start from, parents before children."""
    return with_parents(jobs(axes, seeds, only), tables_of)


def specs(axes: Iterable[type[Ablation]]) -> list[RunSpec]:
    """The runs of the tables' rows, each once."""
    return [job.spec for job in jobs(axes, [0])]


def job(key: str, seed: int) -> Job:
    """One run by its key.

    Raises:
        BadInput: no table has such a run.
    """
    known = {job.spec.key: job for job in complete(TABLES.values(), [seed])}
    if key not in known:
        raise BadInput(f"unknown run key {key!r}; `python -m nlrepro list` shows all, such as {', '.join(list(known)[:3])}")
    return known[key]


def spec(key: str) -> RunSpec:
    """What to run by its key.

    Raises:
        BadInput: no table has such a run.
    """
    return job(key, seed=0).spec


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
        base = cost(axis.spec(**axis.rows[0].value), profile)
        for row in axis.rows:
            spec = axis.spec(**row.value)
            here = cost(spec, profile)
            lines.append(
                {
                    "table": axis.table,
                    "row": row.label,
                    "depth": f"R{spec.net.depth}",
                    "params": f"{here.params:,}",
                    "multiply-adds": f"{here.macs:,}",
                    "params ratio": f"{here.params / base.params:.3f}",
                    "multiply-adds ratio": f"{here.macs / base.macs:.3f}",
                }
            )
    return str(pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True))
