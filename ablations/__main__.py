"""The command line: list | run | sweep | report | publish | cost | data | weights; each has --help with an example."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nlrepro import profile as profiles
from nlrepro.errors import BadInput
from nlrepro.nets.released.names import SOURCES
from nlrepro.profile import Profile

if TYPE_CHECKING:
    from nlrepro.runs.slurm import Cluster


def seeds(text: str) -> tuple[int, ...]:
    """ "0,1,2" -> (0, 1, 2)."""
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"seeds are whole numbers with commas between them, such as 0,1,2; got {text!r}"
        ) from None


def positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1, got {text!r}")
    return int(text)


def whole(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a whole number, got {text!r}")
    return int(text)


def option(text: str) -> tuple[str, str]:
    """ "account=vision" -> ("account", "vision")."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"NAME=VALUE, such as account=vision; got {text!r}")
    return name, value


def do_list(arguments: argparse.Namespace, profile: Profile) -> None:
    from ablations import catalogue

    for line in catalogue.listing(catalogue.chosen(arguments.tables), profile, catalogue.place(arguments)):
        print(line)


def do_run(arguments: argparse.Namespace, profile: Profile) -> None:
    from tqdm import tqdm

    from ablations import catalogue
    from nlrepro.runs.place import Machine, rank
    from nlrepro.runs.runner import run

    job = catalogue.job(arguments.key, arguments.seed, profile)
    with tqdm(total=profile.recipes[job.spec.clip].steps, desc=job.name, unit=" steps", disable=rank() > 0) as bar:

        def show(step: int) -> None:
            bar.update(step - bar.n)

        record = run(
            job.module,
            job.spec,
            job.seed,
            profile,
            tables=job.tables,
            place=catalogue.place(arguments),
            machine=Machine(devices=arguments.devices, nodes=arguments.nodes),
            report=show,
        )
    if rank() == 0:
        print(
            f"{job.name}: top-1 {record.metrics.top1:.1f} %, top-5 {record.metrics.top5:.1f} % on {record.metrics.videos} videos"
        )


def do_sweep(arguments: argparse.Namespace, profile: Profile) -> None:
    from ablations import catalogue
    from nlrepro.runs.sweep import sweep

    jobs = catalogue.jobs(catalogue.chosen(arguments.tables), arguments.seeds, arguments.only)
    sweep(jobs, profile, catalogue.place(arguments), arguments.jobs, cluster(arguments, profile))


def cluster(arguments: argparse.Namespace, profile: Profile) -> "Cluster | None":
    """What SLURM is asked for, if it is to run the sweep; a GPU for real videos unless another number is given."""
    from nlrepro.runs.slurm import Cluster

    if arguments.launcher == "local":
        return None
    gpus = arguments.gpus if arguments.gpus is not None else int(profile.real is not None)
    options = dict(arguments.slurm)
    return Cluster(partition=arguments.partition, gpus=gpus, nodes=arguments.nodes, minutes=arguments.time, options=options)


def do_report(arguments: argparse.Namespace, profile: Profile) -> None:
    from ablations import catalogue
    from ablations.reporting import report

    report(catalogue.chosen(arguments.tables), profile, catalogue.place(arguments))


def do_publish(arguments: argparse.Namespace, profile: Profile) -> None:
    from ablations import catalogue
    from ablations.reporting import publish

    publish(catalogue.chosen(arguments.tables), profile, catalogue.place(arguments), arguments.seeds, arguments.only)


def do_cost(arguments: argparse.Namespace, profile: Profile) -> None:
    from ablations import catalogue

    print(catalogue.costs(catalogue.chosen(arguments.tables), profile))


def do_data(arguments: argparse.Namespace, profile: Profile) -> None:
    root = arguments.data / profile.data.root
    if profile.generator is None:
        from nlrepro.data.survey import survey

        survey(profile, root, arguments.data / "cache", arguments.jobs)
    elif arguments.action == "make":
        from nlrepro.data.synthetic import make

        make(profile.generator, root, arguments.jobs)
    else:
        from nlrepro.data.check import check

        check(profile, root, arguments.jobs)


def do_weights(arguments: argparse.Namespace, profile: Profile) -> None:
    from ablations import catalogue
    from nlrepro.runs.released import import_weights

    spec = catalogue.spec(arguments.key)
    adopted = import_weights(arguments.file, arguments.source, spec, profile, arguments.out)
    print(f"{arguments.out}: {spec.key} of {len(adopted.used)} blobs of {arguments.file.name}; {len(adopted.left)} left over")
    for name in adopted.left:
        print(f"  left over: {name}")


def parser() -> argparse.ArgumentParser:
    """One subcommand a verb, each with an example."""
    main = argparse.ArgumentParser(prog="nlrepro", description="Reproduce Table 2 of 'Non-local Neural Networks' (CVPR 2018).")
    verbs = main.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(
        name: str, do: Callable[[argparse.Namespace, Profile], None], text: str, example: str, profile: str = "mini"
    ) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=text, epilog=f"example: python -m ablations {name} {example}")
        sub.set_defaults(do=do)
        named = f"{', '.join(profiles.names())}, or a TOML file (default: {profile})"
        sub.add_argument("--profile", default=profile, help=named)
        sub.add_argument("--data", type=Path, default=Path("data"), help="folder that holds the videos (default: data)")
        sub.add_argument("--results", type=Path, default=Path("results/local"), help="default: results/local")
        return sub

    def tables(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("tables", nargs="*", default=["all"], metavar="TABLE", help="2a ..., or all (default: all)")

    tables(verb("list", do_list, "every run key: its tables, its parent, and how far its seeds are", "2a"))
    one = verb("run", do_run, "one run -> one record; nothing if the record is fresh", "r50-c2d --seed 0")
    one.add_argument("key", metavar="KEY", help="a run key; `list` shows them")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--devices", type=positive, default=1, help="GPUs, or processes without one, on each node (default: 1)")
    one.add_argument("--nodes", type=positive, default=1, help="machines (default: 1)")
    many = verb("sweep", do_sweep, "all runs that the tables need, parents first, each once", "2a --seeds 0,1,2 --jobs 2")
    tables(many)
    many.add_argument("--seeds", type=seeds, default=(0, 1, 2), help="default: 0,1,2")
    many.add_argument("--launcher", choices=("local", "slurm"), default="local", help="default: local")
    add_slurm(many)
    tables(verb("report", do_report, "tables, figures and verdicts from the records that exist; trains nothing", "2a"))
    public = verb(
        "publish", do_publish, "move complete, fresh local records to results/published and report from them", "2a --seeds 0,1,2"
    )
    tables(public)
    public.add_argument("--seeds", type=seeds, default=(0, 1, 2), help="seeds that every row must have (default: 0,1,2)")
    for sub in (one, many):
        sub.add_argument("--steps", type=positive, help="a dry run of so many steps of two clips, which no table shows")
    for sub in (many, public):
        sub.add_argument("--only", default="*", metavar="PATTERN", help="runs whose key matches, such as 'r50-*' (default: all)")
    tables(verb("cost", do_cost, "parameters and multiply-adds of each row; trains nothing", "2e", profile="paper"))
    data = verb("data", do_data, "make the generated videos, or check a tree of videos; of real ones both check", "make --jobs 2")
    data.add_argument("action", choices=("make", "check"))
    for sub in (many, data):
        sub.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, help="processes at once (default: one a core)")
    released = verb(
        "weights",
        do_weights,
        "released weights -> a state of this project's net, with a note of where it came from",
        "import i3d_nonlocal_32x2_IN_pretrain_400k.pkl --source caffe2 --key r50-i3d-3x1x1-nl-5-block-embedded-spacetime "
        "--out nl-i3d.pt",
        profile="paper",
    )
    released.add_argument("action", choices=("import",))
    released.add_argument("file", type=Path, metavar="FILE", help="what the source released: .pkl, .pyth or .pth")
    released.add_argument("--source", choices=SOURCES, required=True)
    released.add_argument("--key", required=True, help="the run key of the file's net; `list` shows them")
    released.add_argument("--out", type=Path, required=True, help="the state to write; OUT.json is the note")
    return main


def add_slurm(sweep: argparse.ArgumentParser) -> None:
    group = sweep.add_argument_group("with --launcher slurm, for each run")
    group.add_argument("--partition", help="default: SLURM's")
    group.add_argument("--gpus", type=whole, help="on each node (default: 1 for real videos, else 0, the CPU)")
    group.add_argument("--nodes", type=positive, default=1, help="default: 1")
    group.add_argument("--time", type=positive, default=24 * 60, help="minutes until it is queued again (default: 1440)")
    group.add_argument("--slurm", type=option, action="append", default=[], metavar="NAME=VALUE", help="more for sbatch")


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb; what a user can mend is told in one line, with exit status 2."""
    arguments = parser().parse_args(words)
    try:
        profile = profiles.load(arguments.profile)
        steps = getattr(arguments, "steps", None)
        arguments.do(arguments, profiles.dry(profile, steps) if steps else profile)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
