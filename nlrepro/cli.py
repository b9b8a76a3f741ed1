"""The command line: its verbs, their options, and what these accept. `--help` imports nothing heavy.

verbs.py has what each verb does.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlrepro import verbs
from nlrepro.config import profile_names
from nlrepro.files import BadInput

if TYPE_CHECKING:
    from nlrepro.table import Catalogue

SEEDS = 2**32  # that NumPy's generator takes
SOURCES = ("caffe2", "pyslowfast", "mmaction2", "torchvision")  # of released weights


def main(catalogue: "Catalogue", words: Sequence[str] | None = None) -> int:
    """Run one verb over these tables; an error that a user can mend is printed in one line, with exit status 2."""
    arguments = parser().parse_args(joined(sys.argv[1:] if words is None else words))
    try:
        check(arguments)
        arguments.do(catalogue, arguments)
        sys.stdout.flush()
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still flushes when it ends
        return 141
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def check(arguments: argparse.Namespace) -> None:
    """Refuse what no verb could work with, before anything begins.

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


def joined(words: Sequence[str]) -> list[str]:
    """`--at -1,0,0` as `--at=-1,0,0`: argparse takes what begins with a minus for an option."""
    result: list[str] = []
    for word in words:
        if result and result[-1].startswith("--") and "=" not in result[-1] and re.match(r"-\d", word):
            result[-1] += f"={word}"
        else:
            result.append(word)
    return result


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs, each with an example and the options that all have."""
    root = argparse.ArgumentParser(
        prog="nlrepro", description="Reproduce Table 2 of 'Non-local Neural Networks' (CVPR 2018)."
    )
    subparsers = root.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, do: Any, text: str, example: str, profile: str = "mini") -> argparse.ArgumentParser:
        epilog = f"example: python -m ablations {name} {example}"
        added = subparsers.add_parser(name, help=text, description=text, epilog=epilog)
        added.set_defaults(do=do)
        names = ", ".join(name for name in profile_names() if "-" not in name)
        added.add_argument("--profile", default=profile, help=f"{names} ..., or a TOML file (default: {profile})")
        added.add_argument("--data", type=Path, default=Path("data"), help="folder of videos and images (default: data)")
        added.add_argument("--results", type=Path, default=Path("results/local"), help="default: results/local")
        return added

    add_runs(verb)
    add_reports(verb)
    add_weights(verb)
    add_wandb(verb)
    return root


def add_runs(verb: Callable[..., argparse.ArgumentParser]) -> None:
    tables(verb("list", verbs.list_runs, "every run key: its tables, its parent, and how far its seeds are", "2a"))

    one = verb("run", verbs.run, "one run -> one record; nothing if the record is fresh", "r50-c2d --seed 0")
    one.add_argument("key", metavar="KEY", help="a run key; `list` shows them")
    one.add_argument("--seed", type=seed, default=0)
    one.add_argument("--devices", type=positive, default=1, help="GPUs, or processes without one, a node (default: 1)")
    one.add_argument("--nodes", type=positive, default=1, help="machines (default: 1)")

    many = verb("sweep", verbs.sweep, "all runs that the tables need, each once", "2a --seeds 0,1 --jobs 2")
    for add in (tables, seeds_option, only, jobs_option):
        add(many)
    many.add_argument("--launcher", choices=("local", "slurm"), default="local", help="default: local")
    cluster = many.add_argument_group("with --launcher slurm, for each run")
    cluster.add_argument("--partition", help="default: SLURM's")
    cluster.add_argument("--gpus", type=non_negative, help="on each node (default: 1 for real data, else 0, the CPU)")
    cluster.add_argument("--processes", type=positive, default=1, help="on each node without GPUs (default: 1)")
    cluster.add_argument("--nodes", type=positive, default=1, help="default: 1")
    cluster.add_argument("--time", type=positive, default=24 * 60, help="minutes until it is queued again (default: 1440)")
    cluster.add_argument("--slurm", type=option, action="append", default=[], metavar="NAME=VALUE", help="for sbatch")
    for each in (one, many):
        each.add_argument("--steps", type=positive, help="a dry run of so many steps of two clips, which no table shows")
        imagenet = "torchvision's ResNet-50 or -101 to start from, where its cache lacks them; may be given twice"
        each.add_argument("--imagenet", type=Path, action="append", default=[], metavar="FILE", help=imagenet)

    data = verb("data", verbs.data, "make the generated data, or check that all can be read", "make 2a --jobs 2")
    data.add_argument("action", choices=("make", "check"))
    tables(data, default="2")
    jobs_option(data)


def add_reports(verb: Callable[..., argparse.ArgumentParser]) -> None:
    tables(verb("report", verbs.report, "tables, figures and verdicts from the records; trains nothing", "2a"))

    public = verb("publish", verbs.publish, "move complete, fresh local records to results/published", "2a --seeds 0,1")
    for add in (tables, seeds_option, only):
        add(public)

    text = "does all that is published follow from the committed records? with KEY: train that run again, and compare"
    again = verb("verify", verbs.verify, text, "r50-c2d --seed 0")
    again.add_argument("key", nargs="?", metavar="KEY", help="a published run to train again (default: none)")
    again.add_argument("--seed", type=seed, default=0)

    costs = verb("cost", verbs.cost, "parameters and multiply-adds of each row; trains nothing", "2e", profile="paper")
    tables(costs, default="2")
    costs.add_argument("--teraflops", type=positive, default=50, help="of a GPU, for GPU-hours (default: 50)")
    costs.add_argument("--csv", type=Path, help="maintainers: write key, params, macs to a file")


def add_weights(verb: Callable[..., argparse.ArgumentParser]) -> None:
    text = "released weights -> a state of this project's net, with a note of where it came from"
    example = "import i3d_nonlocal_32x2_IN_pretrain_400k.pkl --out nl-i3d.pt"
    released = verb("weights", verbs.weights, text, example, profile="paper")
    released.add_argument("action", choices=("import",))
    released.add_argument("file", type=Path, metavar="FILE", help="a released file: .pkl, .pyth or .pth")
    released.add_argument("--source", choices=SOURCES, help="default: that of the released file of this name")
    released.add_argument("--variant", help="the net's frames x stride, such as 8x8 (default: by the file's name)")
    released.add_argument("--key", help="the run key of the file's net (default: as --source)")
    released.add_argument("--out", type=Path, required=True, help="the state to write; OUT.json is the note")

    text = "the test of given weights -> a record that tables show apart from trained runs"
    example = "r50-i3d-3x1x1-nl-5-block-embedded-spacetime --weights nl-i3d.pt --data kinetics"
    test = verb("evaluate", verbs.evaluate, text, example, profile="paper")
    test.add_argument("key", metavar="KEY", help="the run key of the net")
    test.add_argument("--weights", required=True, help="a file of `weights import`, the net of a run, or torchvision")
    test.add_argument("--devices", type=positive, default=1, help="GPUs, or processes without one (default: 1)")
    test.add_argument("--items", type=positive, help="a dry run on so many videos or images, which no table shows")

    text = "the strongest x_j of one x_i of a non-local block, as arrows over the frames of a video"
    example = "data/mini/test/3/00178-far-later.mp4 --weights net.pt --out attention.png"
    attend = verb("attend", verbs.attend, text, example)
    attend.add_argument("video", type=Path, metavar="VIDEO")
    attend.add_argument("--weights", type=Path, required=True, help="a file of `weights import`, or the net of a run")
    attend.add_argument("--block", help="such as res3_3: after that residual block (default: the first)")
    at = "frame, row and column of x_i in the block's map (default: where the strongest x_j are farthest)"
    attend.add_argument("--at", type=position, metavar="T,Y,X", help=at)
    attend.add_argument("--strongest", type=positive, default=20, help="number of x_j (default: 20)")
    attend.add_argument("--where", type=fraction, default=0.5, help="of the clip in the video: 0 to 1 (default: 0.5)")
    attend.add_argument("--out", type=Path, default=Path("attention.png"), help=".png, .svg, .pdf or .gif")


def add_wandb(verb: Callable[..., argparse.ArgumentParser]) -> None:
    text = "wandb's dashboard of the local runs in the terminal; needs no key"
    verb("dashboard", verbs.dashboard, text, "--results results/local")
    sync = verb("sync", verbs.sync, "upload the offline runs to wandb", "--entity me")
    sync.add_argument("--entity", help="whose project nonlocal-table2 (default: your own)")


def tables(verb: argparse.ArgumentParser, default: str = "all") -> None:
    text = f"2a ..., 2 for all of Table 2, or all (default: {default})"
    verb.add_argument("tables", nargs="*", default=[default], metavar="TABLE", help=text)


def seeds_option(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--seeds", type=seeds, default=(0, 1), help="default: 0,1")


def only(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--only", default="*", metavar="PATTERN", help="keys such as 'r50-*' (default: all)")


def jobs_option(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, help="processes (default: one a core)")


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


def non_negative(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a whole number, got {text!r}")
    return int(text)


def positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1, got {text!r}")
    return int(text)


def fraction(text: str) -> float:
    try:
        if 0 <= float(text) <= 1:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"a number from 0 to 1, got {text!r}")


def position(text: str) -> tuple[int, int, int]:
    """ "2,3,5" -> (2, 3, 5)."""
    if not re.fullmatch(r"\d+,\d+,\d+", text):
        raise argparse.ArgumentTypeError(
            f"frame, row and column with commas between them, such as 2,3,5; got {text!r}"
        )
    t, y, x = map(int, text.split(","))
    return t, y, x


def option(text: str) -> tuple[str, str]:
    """ "account=vision" -> ("account", "vision")."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"NAME=VALUE, such as account=vision; got {text!r}")
    return name, value
