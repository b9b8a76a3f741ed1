"""The command line: its verbs, their options, and what these accept; verbs.py has what each verb does.

`--help` imports nothing heavy.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, TypeAdapter, ValidationError

from nlrepro import verbs
from nlrepro.config import Sampling, Seed, profile_names
from nlrepro.files import BadInput
from nlrepro.processes import detect_launcher, usable_cores
from nlrepro.table import Catalogue

Add = Callable[..., argparse.ArgumentParser]
LONGEST_TMPDIR = 75  # bytes; names of sockets have 108, and multiprocessing adds 32 to its folder's


def main(catalogue: Catalogue, words: Sequence[str] | None = None) -> int:
    """Run one verb over these tables. An error that a user can mend is one line, with exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # else an accent would end the program under LC_ALL=C
            stream.reconfigure(errors="backslashreplace")
    os.environ["MPLBACKEND"] = "agg"  # of all processes: figures go into files, whatever a notebook has set
    arguments = parser().parse_args(words)
    try:
        check(arguments)
        arguments.do(catalogue, arguments)
        sys.stdout.flush()
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except PermissionError as error:
        print(f"error: cannot open {error.filename}: {error.strerror}; check its owner", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 141
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def check(arguments: argparse.Namespace) -> None:
    """Refuse what no verb could work with, before anything begins, and settle processes and jobs.

    Raises:
        BadInput: the results are a file, there are fewer devices than asked for, or TMPDIR is too long.
    """
    if arguments.results.is_file():
        raise BadInput(f"--results {arguments.results} is a file; give a folder")
    if getattr(arguments, "jobs", 1) is None:
        arguments.jobs = usable_cores()
    asked = getattr(arguments, "devices", 1)
    launched = detect_launcher(asked * getattr(arguments, "nodes", 1) if "devices" in arguments else 1)
    if asked > 1:
        import torch

        gpus = torch.cuda.device_count()
        have, what = (gpus, "GPUs") if gpus else (usable_cores(), "processors")
        if asked > have and (gpus or not launched):  # srun may bind each process to a core of its own
            raise BadInput(f"--devices {asked}: this process may use {have} {what}; give at most {have}")
    folder = tempfile.gettempdir()
    if ("jobs" in arguments or asked > 1) and len(os.fsencode(folder)) > LONGEST_TMPDIR:
        raise BadInput(f"TMPDIR={folder} is too long for sockets; give one of at most {LONGEST_TMPDIR} bytes")


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs, each with an example and the options that all have."""
    text = "Reproduce Table 2 of 'Non-local Neural Networks' (CVPR 2018)."
    root = argparse.ArgumentParser(prog="nlrepro", description=text)
    subparsers = root.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(name: str, do: Any, text: str, example: str, profile: str = "mini") -> argparse.ArgumentParser:
        epilog = f"example: python -m ablations {name} {example}"
        verb = subparsers.add_parser(name, help=text, description=text, epilog=epilog)
        verb.set_defaults(do=do)
        names = ", ".join(name for name in profile_names() if "-" not in name)
        verb.add_argument(
            "--profile",
            default=profile,
            help=f"{names}, or a TOML file; NAME:FOLDER starts from nets in a folder (default: {profile})",
        )
        for option, folder in (("--data", Path("data")), ("--results", Path("results/local"))):
            verb.add_argument(option, type=Path, default=folder, help=f"folder (default: {folder})")
        return verb

    for group in (add_runs, add_reports, add_weights, add_wandb):
        group(add)
    return root


def add_runs(add: Add) -> None:
    text = "every run key: its tables, its parent, and how far its seeds are"
    tables(add("list", verbs.list_runs, text, "2a"))

    one = add("run", verbs.run, "one run -> one record; nothing if the record is fresh", "r50-c2d --seed 0")
    one.add_argument("key", metavar="KEY", help="a run key; `list` shows them")
    seed_option(one)
    number(one, "--devices", 1, "GPUs, or processes without one, a node (default: 1)", default=1)
    number(one, "--nodes", 1, "machines (default: 1)", default=1)

    many = add("sweep", verbs.sweep, "all runs that the tables need, each once", "2a --seeds 0,1 --jobs 2")
    for option in (tables, seeds_option, only, jobs):
        option(many)
    many.add_argument("--launcher", choices=("local", "slurm"), default="local", help="default: local")
    cluster = many.add_argument_group("with --launcher slurm, for each run")
    cluster.add_argument("--partition", help="default: SLURM's")
    number(cluster, "--gpus", 0, "on each node (default: 1 for real data, else 0, the CPU)")
    number(cluster, "--processes", 1, "on each node without GPUs (default: 1)", default=1)
    number(cluster, "--nodes", 1, "default: 1", default=1)
    number(cluster, "--time", 1, "minutes until it is queued again (default: 1440)", default=24 * 60)
    sbatch = "for sbatch, such as account=vision"
    cluster.add_argument("--slurm", type=name_and_value, action="append", default=[], help=sbatch)
    for each in (one, many):
        number(each, "--steps", 1, "a dry run of so many steps of two clips, which no table shows")
        imagenet = "torchvision's ResNet-50 or -101, where its cache lacks them; may be given twice"
        each.add_argument("--imagenet", type=Path, action="append", default=[], metavar="FILE", help=imagenet)

    text = "make the generated data, or check that all can be read"
    data = add("data", verbs.data, text, "make 2a --jobs 2")
    data.add_argument("action", choices=("make", "check"))
    tables(data, default="2")
    jobs(data)


def add_reports(add: Add) -> None:
    text = "tables, figures and verdicts from the records; trains nothing"
    tables(add("report", verbs.report, text, "2a"))

    text = "move complete, fresh local records to results/published"
    publish = add("publish", verbs.publish, text, "2a --seeds 0,1")
    for option in (tables, seeds_option, only):
        option(publish)

    text = (
        "does all that is published follow from the committed records? with KEY: train it again, and compare"
    )
    verify = add("verify", verbs.verify, text, "r50-c2d --seed 0")
    verify.add_argument(
        "key", nargs="?", metavar="KEY", help="a published run to train again (default: none)"
    )
    seed_option(verify)

    text = "parameters and multiply-adds of each row; trains nothing"
    cost = add("cost", verbs.cost, text, "2e", profile="paper")
    tables(cost, default="2")
    number(cost, "--teraflops", 1, "of a GPU, for GPU-hours (default: 50)", default=50)
    cost.add_argument("--csv", type=Path, help="maintainers: write key, params, macs to a file")


def add_weights(add: Add) -> None:
    text = "released weights -> a state of this project's net, with a note of where it came from"
    example = "import i3d_nonlocal_32x2_IN_pretrain_400k.pkl --out nl-i3d.pt"
    released = add("weights", verbs.weights, text, example, profile="paper")
    released.add_argument("action", choices=("import",))
    released.add_argument("file", type=Path, metavar="FILE", help="a released file: .pkl, .pyth or .pth")
    released.add_argument(
        "--source", choices=get_args(Sampling)[1:], help="default: that of the released file of this name"
    )
    released.add_argument(
        "--variant", help="the net's frames x stride, such as 8x8 (default: by the file's name)"
    )
    released.add_argument("--key", help="the run key of the file's net (default: as --source)")
    released.add_argument("--out", type=Path, required=True, help="the state to write; OUT.json is the note")

    text = "the test of given weights -> a record that tables show apart from trained runs"
    example = "r50-i3d-3x1x1-nl-5-block-embedded-spacetime --weights nl-i3d.pt --data kinetics"
    test = add("evaluate", verbs.evaluate, text, example, profile="paper")
    test.add_argument("key", metavar="KEY", help="the run key of the net")
    file = "a file of `weights import`, the net of a run, or torchvision"
    test.add_argument("--weights", required=True, help=file)
    number(test, "--devices", 1, "GPUs, or processes without one (default: 1)", default=1)
    number(test, "--items", 1, "a dry run on so many videos or images, which no table shows")

    text = "the strongest x_j of one x_i of a non-local block, as arrows over the frames of a video"
    example = "data/cards/test/2/00385-far-later.mp4 --weights net.pt --out attention.png"
    attend = add("attend", verbs.attend, text, example)
    attend.add_argument("video", type=Path, metavar="VIDEO")
    file = "a file of `weights import`, or the net of a run"
    attend.add_argument("--weights", type=Path, required=True, help=file)
    attend.add_argument("--block", help="such as res3_3: after that residual block (default: the first)")
    at = "frame, row and column of x_i in the block's map (default: where the strongest x_j are farthest)"
    attend.add_argument("--at", type=position, metavar="T,Y,X", help=at)
    number(attend, "--strongest", 1, "number of x_j (default: 20)", default=20)
    attend.add_argument("--where", type=fraction, default=0.5, help="of the clip in the video (default: 0.5)")
    attend.add_argument("--out", type=Path, default=Path("attention.png"), help=".png, .svg, .pdf or .gif")


def add_wandb(add: Add) -> None:
    text = "wandb's dashboard of the local runs in the terminal; needs no key"
    add("dashboard", verbs.dashboard, text, "--results results/local")
    sync = add("sync", verbs.sync, "upload the offline runs to wandb", "--entity me")
    sync.add_argument("--entity", help="whose project nonlocal-table2 (default: your own)")


def tables(verb: argparse.ArgumentParser, default: str = "all") -> None:
    text = f"2a ..., 2 for all of Table 2, or all (default: {default})"
    verb.add_argument("tables", nargs="*", default=[default], metavar="TABLE", help=text)


def seeds_option(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--seeds", type=seeds, default=(0, 1), help="default: 0,1")


def only(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--only", default="*", metavar="PATTERN", help="keys such as 'r50-*' (default: all)")


def jobs(verb: argparse.ArgumentParser) -> None:
    number(verb, "--jobs", 1, "processes (default: one for each core that this process may use)")


def number(
    verb: "argparse._ActionsContainer", name: str, least: int, text: str, default: int | None = None
) -> None:
    """Add an option of a whole number from `least` on."""
    kind = parsed(Annotated[int, Field(ge=least)], f"a whole number, at least {least}")
    verb.add_argument(name, type=kind, default=default, help=text)


def seed_option(verb: argparse.ArgumentParser) -> None:
    kind = parsed(Seed, "a whole number, 0 to 4294967295")
    verb.add_argument("--seed", type=kind, default=0, help="default: 0")


def parsed(kind: Any, expected: str) -> Callable[[str], Any]:
    """A type for argparse: what pydantic makes of a text; `expected` names in words what it takes."""
    adapter = TypeAdapter(kind)

    def parse(text: str) -> Any:
        try:
            return adapter.validate_python(text)
        except ValidationError:
            raise argparse.ArgumentTypeError(f"expected {expected}; got {text!r}") from None

    return parse


COMMAS = BeforeValidator(lambda text: text.split(","))
seeds = parsed(
    Annotated[tuple[Seed, ...], COMMAS, AfterValidator(lambda seeds: tuple(sorted({*seeds})))],
    "seeds such as 0,1,2, each 0 to 4294967295",
)
fraction = parsed(Annotated[float, Field(ge=0, le=1)], "a number from 0 to 1")
position = parsed(
    Annotated[tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt], COMMAS],
    "frame, row and column, such as 2,3,5",
)
name_and_value = parsed(
    Annotated[
        tuple[Annotated[str, Field(min_length=1)], str], BeforeValidator(lambda text: text.split("=", 1))
    ],
    "NAME=VALUE, such as account=vision",
)
