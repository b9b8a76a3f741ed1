"""`python -m nlrepro VERB`."""

import sys

from nlrepro.cli import main

sys.exit(main())
