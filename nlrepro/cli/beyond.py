"""What the verbs do for Tables 4 to 6, whose tasks have profiles of their own under the names of Table 2's."""

import argparse
from typing import TYPE_CHECKING

from nlrepro.cli.verbs import BEYOND, folders

if TYPE_CHECKING:
    from nlrepro.beyond.experiment import Experiment
    from nlrepro.sweep.jobs import Work


def only_beyond(arguments: argparse.Namespace) -> bool:
    """Whether all tables, or the key, that were asked for are of other tasks, so that Table 2's profile is not needed."""
    tables, key = getattr(arguments, "tables", []), getattr(arguments, "key", None)
    return set(tables) <= set(BEYOND) if tables else key is not None and arguments.catalogue().other(key) is not None


def jobs(experiment: "Experiment", arguments: argparse.Namespace) -> "list[Work]":
    """Those of the chosen seeds, and what they start from.

    Raises:
        BadInput: no key matches --only.
    """
    return experiment.work(arguments.profile, arguments.seeds, folders(arguments), arguments.only, arguments.steps)


def sweep(experiment: "Experiment", arguments: argparse.Namespace) -> None:
    from nlrepro.cli.slurm import cluster
    from nlrepro.sweep.launch import sweep as make

    make(
        jobs(experiment, arguments),
        arguments.jobs,
        cluster(arguments, arguments.profile not in ("mini", "smoke", *experiment.variants)),
    )


def run(experiment: "Experiment", arguments: argparse.Namespace) -> None:
    """The run of a key, if what it starts from is there."""
    from nlrepro.sweep.board import watched
    from nlrepro.train.machine import Machine, rank
    from nlrepro.train.runner import execute

    job = experiment.work(arguments.profile, [arguments.seed], folders(arguments), arguments.key, arguments.steps)[-1]
    with watched(job.run.name) as report:
        record = execute(job, machine=Machine(devices=arguments.devices, nodes=arguments.nodes), report=report)
    if rank() == 0:
        print(f"{job.run.name}: {record.headline}")


def listing(experiment: "Experiment", arguments: argparse.Namespace) -> None:
    """A line a run, with the state of each seed that was begun."""
    from nlrepro.experiments.listing import begun, labels
    from nlrepro.sweep.slurm import queue
    from nlrepro.sweep.status import state

    alive = queue()
    for job in experiment.work(arguments.profile, [0], folders(arguments)):
        seeds = {run: state(run, alive) for run in begun(job.run)}
        print(f"{job.run.key}  {experiment.table}  {', '.join(labels(job.run.key, seeds)) or '--'}")
