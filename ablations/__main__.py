"""`python -m ablations VERB`, also installed as `nlrepro`: the command line over the seven experiments."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nlrepro import cli

if TYPE_CHECKING:
    from nlrepro.experiments.catalogue import Catalogue


def tables() -> "Catalogue":
    from ablations.registry import TABLES  # takes seconds, which `--help` does without

    return TABLES


def main(words: Sequence[str] | None = None) -> int:
    return cli.main(tables, words)


if __name__ == "__main__":
    sys.exit(main())
