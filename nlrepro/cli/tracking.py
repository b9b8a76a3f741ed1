"""The verbs of wandb: `dashboard` shows the local runs in the terminal, `sync` uploads them and saves a workspace."""

import argparse
from typing import TYPE_CHECKING

from nlrepro.cli.verbs import Verbs

if TYPE_CHECKING:
    from nlrepro.profile import Profile


def do_dashboard(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.tracking.logs import look

    look(arguments.results)


def do_sync(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.errors import BadInput
    from nlrepro.experiments.findings import table_spec
    from nlrepro.tracking.logs import own_entity, upload

    upload(arguments.results, arguments.entity)
    try:
        from nlrepro.tracking.workspace import save
    except ModuleNotFoundError:
        raise BadInput("the runs are uploaded; for the workspace, `pip install 'nlrepro[workspace]'` first") from None
    entity = arguments.entity or own_entity()
    memory = arguments.results / "runs" / f"workspace-{entity}-{profile.name}.url"
    titles = {name: table_spec(axis).name for name, axis in arguments.catalogue().items()}
    print(f"workspace: {save(entity, profile.name, titles, memory)}")


def add_verbs(verbs: Verbs) -> None:
    verbs.add(
        "dashboard", do_dashboard, "wandb's dashboard of the local runs in the terminal; needs no key", "--results results/local"
    )
    sync = verbs.add(
        "sync", do_sync, "upload the offline runs to wandb and save a workspace with a section a table", "--entity me"
    )
    sync.add_argument("--entity", help="whose project nonlocal-table2 (default: your own)")
