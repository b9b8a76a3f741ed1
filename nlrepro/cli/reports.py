"""The verbs that read records or count: `report`, `publish`, `verify` and `cost`."""

import argparse
from typing import TYPE_CHECKING

from nlrepro.cli.verbs import Verbs, add_only, add_seeds, add_tables, folders, positive, seed

if TYPE_CHECKING:
    from nlrepro.config import Profile


def do_report(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.beyond.reporting import report as report_other
    from nlrepro.experiments.reporting import report

    tables = arguments.catalogue()
    names, others = tables.parted(arguments.tables)
    for experiment in others:
        report_other(experiment, arguments.profile, folders(arguments))
    if names:
        report(tables, names, profile, folders(arguments))


def do_publish(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.beyond.reporting import publish as publish_other
    from nlrepro.experiments.publishing import publish, show

    tables = arguments.catalogue()
    names, others = tables.parted(arguments.tables)
    for experiment in others:
        publish_other(experiment, arguments.profile, folders(arguments), arguments.seeds, arguments.only)
    if others:
        show(tables)
    if not names:
        return
    publish(tables, names, profile, folders(arguments), arguments.seeds, arguments.only)


def do_verify(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.experiments.again import verify_other, verify_run
    from nlrepro.experiments.verifying import verify

    tables, key = arguments.catalogue(), arguments.key
    if key is None:
        verify(tables)
    elif other := tables.other(key):
        verify_other(other, key, arguments.seed, arguments.profile, arguments.data)
    else:
        verify_run(tables, key, arguments.seed, profile, arguments.data)


def do_cost(arguments: argparse.Namespace, profile: "Profile") -> None:

    from nlrepro.experiments.costs import costs, labour

    axes = arguments.catalogue().chosen(arguments.tables)
    print(costs(axes, profile))
    if profile.real:
        print("\n" + labour(axes, profile, arguments.teraflops))


def add_verbs(verbs: Verbs) -> None:
    add_tables(verbs.add("report", do_report, "tables, figures and verdicts from the records that exist; trains nothing", "2a"))
    public = verbs.add(
        "publish", do_publish, "move complete, fresh local records to results/published and report from them", "2a --seeds 0,1,2"
    )
    add_tables(public)
    add_seeds(public)
    add_only(public)
    again = verbs.add(
        "verify",
        do_verify,
        "does all that is published follow from the committed records? trains nothing; with KEY: that run again, and compare",
        "r50-c2d --seed 0",
    )
    again.add_argument("key", nargs="?", metavar="KEY", help="a published run to train again (default: none)")
    again.add_argument("--seed", type=seed, default=0)
    costs = verbs.add("cost", do_cost, "parameters and multiply-adds of each row; trains nothing", "2e", profile="paper")
    add_tables(costs)
    costs.add_argument("--teraflops", type=positive, default=50, help="a second that a GPU sustains, for GPU-hours (default: 50)")
