"""The verbs of wandb: `dashboard` shows the local runs in the terminal, `sync` uploads them."""

import argparse
from typing import TYPE_CHECKING

from nlrepro.cli.verbs import Verbs

if TYPE_CHECKING:
    from nlrepro.config import Profile


def do_dashboard(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.tracking.logs import look

    look(arguments.results)


def do_sync(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.tracking.logs import upload

    upload(arguments.results, arguments.entity)


def add_verbs(verbs: Verbs) -> None:
    verbs.add(
        "dashboard", do_dashboard, "wandb's dashboard of the local runs in the terminal; needs no key", "--results results/local"
    )
    sync = verbs.add("sync", do_sync, "upload the offline runs to wandb", "--entity me")
    sync.add_argument("--entity", help="whose project nonlocal-table2 (default: your own)")
