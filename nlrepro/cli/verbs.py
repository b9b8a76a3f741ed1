"""The command line's parser, and what its options accept. Nothing heavy is imported here: `--help` answers at once."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlrepro.files import BadInput

if TYPE_CHECKING:
    from nlrepro.config import Profile
    from nlrepro.trial import Folders

BEYOND = ("4", "5", "6")  # tables of other tasks (ablations/registry.py)
SEEDS = 2**32  # that NumPy's generator takes
PROFILES = sorted(path.stem for path in (Path(__file__).parents[1] / "profiles").glob("*.toml"))
Do = Callable[[argparse.Namespace, Any], None]  # the parsed words, with `catalogue()` that gives the tables; the `Profile`


class Verbs:
    """A parser with one subcommand a verb, each with an example and the options that all have."""

    def __init__(self) -> None:
        self.parser = argparse.ArgumentParser(
            prog="nlrepro", description="Reproduce Table 2 of 'Non-local Neural Networks' (CVPR 2018)."
        )
        self._added = self.parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(
        self, name: str, do: Do, text: str, example: str, profile: str = "mini", data: str = "the videos"
    ) -> argparse.ArgumentParser:
        verb = self._added.add_parser(name, help=text, description=text, epilog=f"example: python -m ablations {name} {example}")
        verb.set_defaults(do=do)
        verb.add_argument("--profile", default=profile, help=f"{', '.join(PROFILES)}, or a TOML file (default: {profile})")
        verb.add_argument("--data", type=Path, default=Path("data"), help=f"folder that holds {data} (default: data)")
        verb.add_argument("--results", type=Path, default=Path("results/local"), help="default: results/local")
        return verb


def demand_videos(arguments: argparse.Namespace, profile: "Profile") -> None:
    """
    Raises:
        BadInput: real videos are not where they should be.
    """
    videos = arguments.data / profile.data.root
    if profile.real and not videos.is_dir():
        raise BadInput(f"no folder {videos}; give the one that holds the videos as --data (DATA= of make)")


def folders(arguments: argparse.Namespace) -> "Folders":
    from nlrepro.trial import Folders

    return Folders(data=arguments.data, results=arguments.results, imagenet=tuple(getattr(arguments, "imagenet", ())))


def add_tables(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("tables", nargs="*", default=["all"], metavar="TABLE", help="2a ..., or all (default: all)")


def add_seeds(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--seeds", type=seeds, default=(0, 1, 2), help="default: 0,1,2")


def add_only(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--only", default="*", metavar="PATTERN", help="runs whose key matches, such as 'r50-*' (default: all)")


def add_jobs(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, help="processes at once (default: one a core)")


def seeds(text: str) -> tuple[int, ...]:
    """ "0,1,2" -> (0, 1, 2)."""
    try:
        return tuple(sorted({seed(part) for part in text.split(",")}))
    except argparse.ArgumentTypeError:
        allowed = f"from 0 to {SEEDS - 1} with commas between them, such as 0,1,2"
        raise argparse.ArgumentTypeError(f"seeds are whole numbers {allowed}; got {text!r}") from None


def seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < SEEDS):
        raise argparse.ArgumentTypeError(f"a whole number from 0 to {SEEDS - 1}, got {text!r}")
    return int(text)


def whole(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a whole number, got {text!r}")
    return int(text)


def positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1, got {text!r}")
    return int(text)
