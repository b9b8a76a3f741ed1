"""The verbs of given weights: `weights import` and `evaluate`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nlrepro.cli.verbs import Verbs, folders, positive
from nlrepro.released.names import SOURCES

if TYPE_CHECKING:
    from nlrepro.config import Profile

LEFT = 5  # left-over names that are printed


def do_weights(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.files import BadInput
    from nlrepro.released.importing import import_weights
    from nlrepro.released.known import demand_ours, known

    demand_ours(arguments.file.name)
    found = known(arguments.file.name)
    source, key = arguments.source or (found and found.source), arguments.key or (found and found.key)
    if not source or not key:
        raise BadInput(
            f"{arguments.file.name} is not the name of a released file; say --source, one of {', '.join(SOURCES)}, and --key"
        )
    spec = arguments.catalogue().spec(key)
    note = import_weights(arguments.file, source, spec, profile, arguments.out, arguments.variant)
    print(f"{arguments.out}: {spec.key}, {note.name}, of {len(note.used)} blobs; {len(note.left)} left over")
    for name in note.left[:LEFT]:
        print(f"  left over: {name}")
    if len(note.left) > LEFT:
        print(f"  and {len(note.left) - LEFT} more, all in {arguments.out}.json")
    if found:
        print(f"  {found.stated}")


def do_evaluate(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.config import dry
    from nlrepro.released.evaluate import evaluate
    from nlrepro.released.known import known
    from nlrepro.train.machine import Machine

    tables = arguments.catalogue()
    spec = tables.spec(arguments.key)
    found = evaluate(
        spec,
        arguments.weights,
        dry(profile, 1) if arguments.videos else profile,
        base=profile,
        tables=tables.tables_of(spec),
        folders=folders(arguments),
        machine=Machine(devices=arguments.devices),
        videos=arguments.videos,
    )
    print(f"{found.key}, {found.weights.name} {found.weights.file}: {found.line}")
    stated = known(found.weights.file)
    if stated and found.released:
        print(f"  {stated.stated}")


def add_verbs(verbs: Verbs) -> None:
    released = verbs.add(
        "weights",
        do_weights,
        "released weights -> a state of this project's net, with a note of where it came from",
        "import i3d_nonlocal_32x2_IN_pretrain_400k.pkl --out nl-i3d.pt",
        profile="paper",
    )
    released.add_argument("action", choices=("import",))
    released.add_argument("file", type=Path, metavar="FILE", help="what the source released: .pkl, .pyth or .pth")
    released.add_argument("--source", choices=SOURCES, help="default: that of the released file of this name")
    released.add_argument("--variant", help="the net's frames x stride, such as 8x8 (default: what the file's name tells)")
    released.add_argument("--key", help="the run key of the file's net (default: as --source)")
    released.add_argument("--out", type=Path, required=True, help="the state to write; OUT.json is the note")

    test = verbs.add(
        "evaluate",
        do_evaluate,
        "the many-view test on given weights -> a record that tables show apart from trained runs",
        "r50-i3d-3x1x1-nl-5-block-embedded-spacetime --weights nl-i3d.pt --data kinetics",
        profile="paper",
    )
    test.add_argument("key", metavar="KEY", help="the run key of the net")
    test.add_argument("--weights", type=Path, required=True, help="what `weights import` wrote, or the net of a run")
    test.add_argument("--devices", type=positive, default=1, help="GPUs, or processes without one (default: 1)")
    test.add_argument("--videos", type=positive, help="a dry run on so many videos, two clips of each, which no table shows")
