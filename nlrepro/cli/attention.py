"""The verb `attend`: what a position of a non-local block looks at, as a picture; `keep`: a net to look with; and `queries`: how
much what they look at depends on the position."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nlrepro.cli.verbs import Verbs, add_only, add_seeds, add_tables, folders, positive, seed
from nlrepro.files import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nlrepro.config import Profile
    from nlrepro.spec import RunSpec


def place_of(text: str) -> tuple[int, int, int]:
    """ "2,3,5" -> (2, 3, 5)."""
    if not re.fullmatch(r"\d+,\d+,\d+", text):
        raise argparse.ArgumentTypeError(f"frame, row and column with commas between them, such as 2,3,5; got {text!r}")
    t, y, x = map(int, text.split(","))
    return t, y, x


def part(text: str) -> float:
    try:
        if 0 <= float(text) <= 1:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"a number from 0 to 1, got {text!r}")


def key_of(file: Path, profile: "Profile", specs: "Iterable[RunSpec]") -> str:
    """The run key of a file of weights: what its note says, or whose record has the fingerprint that its name ends in.

    Raises:
        BadInput: nothing tells it.
    """
    from nlrepro.evaluation import read_note
    from nlrepro.released.importing import note_path
    from nlrepro.run import Run

    if not file.is_file():
        raise BadInput(f"no file {file}; give what `weights import`, `keep` or a run wrote")
    if note_path(file).is_file():
        return read_note(note_path(file)).key
    for spec in specs:
        if spec.clip in profile.clips and file.name == Run(spec=spec, profile=profile, seed=0).weights.name:
            return spec.key
    raise BadInput(
        f"nothing tells which net {file} holds: there is no note {note_path(file).name} of `weights import` or `keep`, and no "
        f"run of the profile {profile.name} writes a file of that name; is --profile right?"
    )


def do_attend(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.attention.attend import attend
    from nlrepro.attention.drawing import check_suffix, write

    check_suffix(arguments.out)
    tables = arguments.catalogue()
    found = attend(
        arguments.video,
        arguments.weights,
        tables.spec(key_of(arguments.weights, profile, tables.specs())),
        profile,
        block=arguments.block,
        at=arguments.at,
        strongest=arguments.strongest,
        where=arguments.where,
    )
    write(found, arguments.out)
    print(f"{found.key}, block {found.block}. {found.caption}\nwritten: {arguments.out}")


def do_keep(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.released.importing import keep

    run = arguments.catalogue().job(arguments.key, arguments.seed, profile, folders(arguments)).run
    note = keep(run, arguments.out)
    print(f"{arguments.out}: float16 of {note.file}")


def do_queries(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.attention.measuring import queries
    from nlrepro.experiments.findings import PUBLISHED
    from nlrepro.experiments.publishing import write_readmes

    target = PUBLISHED if arguments.publish else arguments.results
    tables, chosen = arguments.catalogue(), (arguments.tables, arguments.seeds, arguments.only)
    queries(tables, *chosen, profile, folders(arguments), arguments.videos, target)
    if arguments.publish:
        write_readmes(tables)


def add_verbs(verbs: Verbs) -> None:
    look = verbs.add(
        "attend",
        do_attend,
        "the strongest x_j of one x_i of a non-local block, as arrows over the frames of a video",
        "data/mini/test/3/00178-far-later.mp4 --weights net.pt --out attention.gif",
    )
    look.add_argument("video", type=Path, metavar="VIDEO")
    look.add_argument("--weights", type=Path, required=True, help="what `weights import` or `keep` wrote, or the net of a run")
    look.add_argument("--block", help="such as res3_3: after that residual block (default: the first)")
    at = "frame, row and column of x_i in the block's map (default: the position whose strongest x_j are farthest)"
    look.add_argument("--at", type=place_of, metavar="T,Y,X", help=at)
    look.add_argument("--strongest", type=positive, default=20, help="number of x_j (default: 20)")
    look.add_argument("--where", type=part, default=0.5, help="of the clip in the video: 0 its begin, 1 its end (default: 0.5)")
    look.add_argument("--out", type=Path, default=Path("attention.png"), help=".png, .svg, .pdf, .gif or .mp4")

    kept = verbs.add(
        "keep",
        do_keep,
        "a finished run's net as a small file, in float16, with a note of where it came from",
        "r50-c2d-nl-5-block-embedded-spacetime --seed 0 --out net.pt",
    )
    kept.add_argument("key", metavar="KEY", help="a run key; `list` shows them")
    kept.add_argument("--seed", type=seed, default=0)
    kept.add_argument("--out", type=Path, required=True, help="the file to write; OUT.json is the note")

    asked = verbs.add(
        "queries",
        do_queries,
        "do the maps of finished nets depend on the query? distances between positions of a clip, and between videos",
        "2a --seeds 0,1,2",
    )
    add_tables(asked)
    add_seeds(asked)
    add_only(asked)
    asked.add_argument("--videos", type=positive, default=500, help="at most so many test videos (default: 500)")
    asked.add_argument("--publish", action="store_true", help="write to results/published and the READMEs (maintainers)")
