"""The verbs of given weights: `weights import` and `evaluate`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nlrepro.cli.verbs import Verbs, folders, positive
from nlrepro.released.names import SOURCES

if TYPE_CHECKING:
    from nlrepro.profile import Profile


def do_weights(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.released.importing import import_weights

    spec = arguments.catalogue().spec(arguments.key)
    note = import_weights(arguments.file, arguments.source, spec, profile, arguments.out, arguments.variant)
    found = f"{len(note.used)} blobs of {arguments.file.name}; {len(note.left)} left over"
    print(f"{arguments.out}: {spec.key}, {note.name}, of {found}")
    for name in note.left:
        print(f"  left over: {name}")


def do_evaluate(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.profile import dry
    from nlrepro.released.evaluate import evaluate
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


def add_verbs(verbs: Verbs) -> None:
    released = verbs.add(
        "weights",
        do_weights,
        "released weights -> a state of this project's net, with a note of where it came from",
        "import i3d_nonlocal_32x2_IN_pretrain_400k.pkl --source caffe2 --key r50-i3d-3x1x1-nl-5-block-embedded-spacetime "
        "--out nl-i3d.pt",
        profile="paper",
    )
    released.add_argument("action", choices=("import",))
    released.add_argument("file", type=Path, metavar="FILE", help="what the source released: .pkl, .pyth or .pth")
    released.add_argument("--source", choices=SOURCES, required=True)
    released.add_argument("--variant", help="the net's frames x stride, such as 8x8 (default: what the file's name tells)")
    released.add_argument("--key", required=True, help="the run key of the file's net; `list` shows them")
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
