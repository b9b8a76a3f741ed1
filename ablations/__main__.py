"""`python -m ablations VERB`, also installed as `nlrepro`: the command line over all tables."""

import sys
from collections.abc import Sequence

from ablations.registry import TABLES
from nlrepro import cli


def main(words: Sequence[str] | None = None) -> int:
    return cli.main(TABLES, words)


if __name__ == "__main__":
    sys.exit(main())
