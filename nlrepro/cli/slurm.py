"""The options of a sweep on a cluster."""

import argparse
from typing import TYPE_CHECKING

from nlrepro.cli.verbs import positive, whole

if TYPE_CHECKING:
    from nlrepro.sweep.slurm import Cluster


def option(text: str) -> tuple[str, str]:
    """ "account=vision" -> ("account", "vision")."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"NAME=VALUE, such as account=vision; got {text!r}")
    return name, value


def add_options(sweep: argparse.ArgumentParser) -> None:
    sweep.add_argument("--launcher", choices=("local", "slurm"), default="local", help="default: local")
    group = sweep.add_argument_group("with --launcher slurm, for each run")
    group.add_argument("--partition", help="default: SLURM's")
    group.add_argument("--gpus", type=whole, help="on each node (default: 1 for real videos, else 0, the CPU)")
    group.add_argument("--processes", type=positive, default=1, help="on each node, where there are no GPUs (default: 1)")
    group.add_argument("--nodes", type=positive, default=1, help="default: 1")
    group.add_argument("--time", type=positive, default=24 * 60, help="minutes until it is queued again (default: 1440)")
    group.add_argument("--slurm", type=option, action="append", default=[], metavar="NAME=VALUE", help="more for sbatch")


def cluster(arguments: argparse.Namespace, real: bool) -> "Cluster | None":
    """What SLURM is asked for, if it is to run the sweep; a GPU for real data unless another number is given."""
    if arguments.launcher == "local":
        return None
    from nlrepro.sweep.slurm import Cluster

    gpus = arguments.gpus if arguments.gpus is not None else int(real)
    options = dict(arguments.slurm)
    return Cluster(
        partition=arguments.partition,
        gpus=gpus,
        processes=arguments.processes,
        nodes=arguments.nodes,
        minutes=arguments.time,
        options=options,
    )
