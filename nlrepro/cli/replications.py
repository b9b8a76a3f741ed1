"""The verb `import-records`: the records of another machine or person, as a replication."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nlrepro.cli.verbs import Verbs, folders

if TYPE_CHECKING:
    from nlrepro.profile import Profile


def do_import(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.experiments.replicating import import_records

    import_records(arguments.catalogue(), arguments.folder, arguments.name, profile, folders(arguments))


def add_verbs(verbs: Verbs) -> None:
    taken = verbs.add(
        "import-records",
        do_import,
        "check the records of another machine or person and show them in local reports, as a replication",
        "anna/results/local --name anna",
    )
    taken.add_argument("folder", type=Path, metavar="FOLDER", help="their results/local, its records, or a profile's in these")
    taken.add_argument("--name", help="of the replication: letters, digits, dashes (default: from the folder, or the device)")
