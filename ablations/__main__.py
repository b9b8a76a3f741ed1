"""The command line; `--help` lists its verbs, and each has --help with an example."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ablations import attend, dashboards, slurm, weights
from nlrepro import profile as profiles
from nlrepro.errors import BadInput
from nlrepro.profile import Profile
from nlrepro.spec import DEPTHS


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


def do_list(arguments: argparse.Namespace, profile: Profile) -> None:
    from ablations import catalogue
    from ablations.listing import listing

    for line in listing(catalogue.chosen(arguments.tables), profile, catalogue.place(arguments)):
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
    from nlrepro.unknown import unknown

    jobs = catalogue.complete(catalogue.chosen(arguments.tables), arguments.seeds, profile, arguments.only)
    for line in unknown(arguments.results, profile.name):
        print(line, flush=True)
    sweep(jobs, profile, catalogue.place(arguments), arguments.jobs, slurm.cluster(arguments, profile))


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

    axes = catalogue.chosen(arguments.tables)
    print(catalogue.costs(axes, profile))
    if profile.real:
        print("\n" + catalogue.labour(axes, profile, arguments.teraflops))


def do_data(arguments: argparse.Namespace, profile: Profile) -> None:
    root = arguments.data / profile.data.root
    if profile.generator is None:
        from nlrepro.data.survey import survey

        survey(profile, root, arguments.data / "cache", arguments.jobs)
    elif arguments.action == "make":
        from nlrepro.data.generate import make

        make(profile.generator, root, arguments.jobs)
    else:
        from nlrepro.data.check import check

        check(profile, root, arguments.jobs)


def do_pretrain(arguments: argparse.Namespace, profile: Profile) -> None:
    from tqdm import tqdm

    from nlrepro.pretrained import net_path
    from nlrepro.runs.pretraining import pretrain

    out = net_path(profile.pretrained, arguments.depth)
    with tqdm(total=profile.pretraining.steps if profile.pretraining else 0, desc=f"{out.name}", unit=" steps") as bar:

        def show(step: int) -> None:
            bar.update(step - bar.n)

        found = pretrain(arguments.depth, profile, out, show)
    print(f"{out}: {found['tags']:.1f} % of the tags right, {found['stills']:.1f} % of the stills")


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
    slurm.add_options(many, positive)
    tables(verb("report", do_report, "tables, figures and verdicts from the records that exist; trains nothing", "2a"))
    public = verb(
        "publish", do_publish, "move complete, fresh local records to results/published and report from them", "2a --seeds 0,1,2"
    )
    tables(public)
    public.add_argument("--seeds", type=seeds, default=(0, 1, 2), help="seeds that every row must have (default: 0,1,2)")
    for sub in (one, many):
        sub.add_argument("--steps", type=positive, help="a dry run of so many steps of two clips, which no table shows")
        imagenet = "torchvision's ResNet-50 or -101 to start from, where its cache lacks them; may be given twice"
        sub.add_argument("--imagenet", type=Path, action="append", default=[], metavar="FILE", help=imagenet)
    for sub in (many, public):
        sub.add_argument("--only", default="*", metavar="PATTERN", help="runs whose key matches, such as 'r50-*' (default: all)")
    costs = verb("cost", do_cost, "parameters and multiply-adds of each row; trains nothing", "2e", profile="paper")
    tables(costs)
    costs.add_argument("--teraflops", type=positive, default=50, help="a second that a GPU sustains, for GPU-hours (default: 50)")
    data = verb("data", do_data, "make the generated videos, or check a tree of videos; of real ones both check", "make --jobs 2")
    data.add_argument("action", choices=("make", "check"))
    for sub in (many, data):
        sub.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, help="processes at once (default: one a core)")
    nets = verb(
        "pretrain", do_pretrain, "maintainers: a net that runs on generated videos start from, and its note", "--depth 50"
    )
    nets.add_argument("--depth", type=int, choices=DEPTHS, required=True)
    weights.add_verbs(verb, positive)
    attend.add_verbs(verb, positive)
    dashboards.add_verbs(verb)
    return main


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
