"""The verbs of runs: `list`, `run` and `sweep`."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from nlrepro.cli import beyond, slurm
from nlrepro.cli.verbs import Verbs, add_jobs, add_only, add_seeds, add_tables, demand_videos, folders, positive, seed

if TYPE_CHECKING:
    from nlrepro.config import Profile


def do_list(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.experiments.listing import listing

    tables = arguments.catalogue()
    names, others = tables.parted(arguments.tables)
    for experiment in others:
        beyond.listing(experiment, arguments)
    if names:
        for line in listing(tables, tables.chosen(names), profile, folders(arguments)):
            print(line)


def do_run(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.sweep.board import watched
    from nlrepro.train.machine import Machine, rank
    from nlrepro.train.runner import execute

    tables = arguments.catalogue()
    if experiment := tables.other(arguments.key):
        beyond.run(experiment, arguments)
        return
    demand_videos(arguments, profile)
    job = tables.job(arguments.key, arguments.seed, profile, folders(arguments))
    with watched(job.run.name) as report:
        record = execute(job, machine=Machine(devices=arguments.devices, nodes=arguments.nodes), report=report)
    if rank() == 0:
        found = record.metrics
        print(f"{job.run.name}: top-1 {found.top1:.1f} %, top-5 {found.top5:.1f} % on {found.videos} videos")


def do_sweep(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.evaluation import left_out
    from nlrepro.sweep.launch import sweep

    tables = arguments.catalogue()
    names, others = tables.parted(arguments.tables)
    for experiment in others:
        beyond.sweep(experiment, arguments)
    if others and not names:
        return
    demand_videos(arguments, profile)
    axes = tables.chosen(names)
    jobs = tables.complete(axes, arguments.seeds, profile, folders(arguments), arguments.only)
    for line in left_out(arguments.results, profile.name):
        print(line, flush=True)
    sweep(jobs, arguments.jobs, slurm.cluster(arguments, profile.real is not None))
    if not profile.dry_run:
        print(f"to see the tables of what is recorded: {report_of(arguments)}")


def report_of(arguments: argparse.Namespace) -> str:
    """The command that shows what a sweep has made."""
    options = {"--profile": "mini", "--data": Path("data"), "--results": Path("results/local")}
    given = {option: getattr(arguments, option[2:]) for option in options}
    differing = [word for option, value in given.items() if value != options[option] for word in (option, str(value))]
    return shlex.join(["python", "-m", "ablations", "report", *arguments.tables, *differing])


def add_verbs(verbs: Verbs) -> None:
    every = verbs.add("list", do_list, "every run key: its tables, its parent, and how far its seeds are", "2a")
    add_tables(every)

    one = verbs.add("run", do_run, "one run -> one record; nothing if the record is fresh", "r50-c2d --seed 0")
    one.add_argument("key", metavar="KEY", help="a run key; `list` shows them")
    one.add_argument("--seed", type=seed, default=0)
    one.add_argument("--devices", type=positive, default=1, help="GPUs, or processes without one, on each node (default: 1)")
    one.add_argument("--nodes", type=positive, default=1, help="machines (default: 1)")

    many = verbs.add("sweep", do_sweep, "all runs that the tables need, parents first, each once", "2a --seeds 0,1,2 --jobs 2")
    add_tables(many)
    add_seeds(many)
    add_only(many)
    add_jobs(many)
    slurm.add_options(many)
    for verb in (one, many):
        verb.add_argument("--steps", type=positive, help="a dry run of so many steps of two clips, which no table shows")
        imagenet = "torchvision's ResNet-50 or -101 to start from, where its cache lacks them; may be given twice"
        verb.add_argument("--imagenet", type=Path, action="append", default=[], metavar="FILE", help=imagenet)
