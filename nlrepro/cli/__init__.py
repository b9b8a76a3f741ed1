"""The command line, a file a group of verbs; `--help` lists them, and each has --help with an example."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nlrepro.cli import attention, data, reports, tracking, training, weights
from nlrepro.cli.verbs import Verbs
from nlrepro.errors import BadInput

if TYPE_CHECKING:
    from nlrepro.experiments.catalogue import Catalogue


def main(tables: "Callable[[], Catalogue]", words: Sequence[str] | None = None) -> int:
    """Run one verb over these tables; what a user can mend is told in one line, with exit status 2."""
    verbs = Verbs()
    for group in (training, reports, data, weights, attention, tracking):
        group.add_verbs(verbs)
    arguments = verbs.parser.parse_args(words)
    arguments.catalogue = tables

    from nlrepro import profiles
    from nlrepro.profile import dry

    try:
        profile = profiles.load(arguments.profile)
        steps = getattr(arguments, "steps", None)
        arguments.do(arguments, dry(profile, steps) if steps else profile)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0
