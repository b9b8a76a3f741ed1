"""Bars for what is counted, such as videos. In a terminal tqdm's; in a file or a pipe, where a bar cannot move, whole lines."""

import os
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

MINUTE = 60.0


def on_terminal() -> bool:
    """Whether a person sees stderr as it is written, and lines of it can be painted over."""
    return bool(sys.stderr) and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class WholeLines:
    """A file for tqdm that makes a line of stderr of each state of a bar."""

    def write(self, text: str) -> None:
        if state := text.strip():
            print(state, file=sys.stderr, flush=True)

    def flush(self) -> None: ...


def progress_bar(items: Iterable[Any] | None = None, **options: Any) -> "tqdm[Any]":
    """tqdm with a state a second in a terminal; else with the first, the last and about one a minute between."""
    how: dict[str, Any] = {"mininterval": 1.0}
    if not on_terminal():
        how = {"mininterval": MINUTE, "maxinterval": MINUTE, "file": WholeLines(), "ncols": 100}
    return tqdm(items, **options, **how)
