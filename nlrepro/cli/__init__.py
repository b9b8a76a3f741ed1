"""The command line, a file a group of verbs; `--help` lists them, and each has --help with an example."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nlrepro.cli import attention, coco, data, reports, tracking, training, weights
from nlrepro.cli.beyond import only_beyond
from nlrepro.cli.verbs import Verbs, demand_videos
from nlrepro.files import BadInput

if TYPE_CHECKING:
    from nlrepro.experiments.catalogue import Catalogue


def main(tables: "Callable[[], Catalogue]", words: Sequence[str] | None = None) -> int:
    """Run one verb over these tables; what a user can mend is told in one line, with exit status 2."""
    arguments = parser().parse_args(joined(sys.argv[1:] if words is None else words))
    arguments.catalogue = tables

    from nlrepro.config import dry, load_profile, profile_names

    try:
        profile = load_profile("mini" if only_beyond(arguments) else arguments.profile)
        check(arguments)
        if arguments.verb in ("data", "evaluate"):
            demand_videos(arguments, profile)
        steps = getattr(arguments, "steps", None)
        arguments.do(arguments, dry(profile, steps) if steps else profile)
        sys.stdout.flush()
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still flushes when it ends
        return 141
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    verbs = Verbs()
    for group in (training, reports, data, weights, attention, coco, tracking):
        group.add_verbs(verbs)
    return verbs.parser


def joined(words: Sequence[str]) -> list[str]:
    """`--at -1,0,0` as `--at=-1,0,0`: argparse takes what begins with a minus for an option and tells nothing of its value."""
    found: list[str] = []
    for word in words:
        if found and found[-1].startswith("--") and "=" not in found[-1] and re.match(r"-\d", word):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def check(arguments: argparse.Namespace) -> None:
    """What no verb could work with is told before anything begins.

    Raises:
        BadInput: the results are a file, or there are fewer devices than asked for.
    """
    if arguments.results.is_file():
        raise BadInput(f"--results {arguments.results} is a file; give a folder")
    asked = getattr(arguments, "devices", 1)
    if asked > 1:
        import torch

        gpus = torch.cuda.device_count()
        have, what = (gpus, "GPUs") if gpus else (os.cpu_count() or 1, "processors")
        if asked > have:
            raise BadInput(f"--devices {asked}: this machine has {have} {what}; give at most {have}")
