"""The verbs of the command line, each a function of the catalogue and the parsed words. Heavy imports stand where needed."""

import argparse
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlrepro.files import BadInput
from nlrepro.record import damaged_records, digest, read_records, seed_of
from nlrepro.run import QUEUED, Folders, Run, Status, slurm_queue
from nlrepro.table import Catalogue, Table

if TYPE_CHECKING:
    from nlrepro.sweep.slurm import Cluster

LEFT = 5  # left-over names of released weights that are printed


def folders(arguments: argparse.Namespace) -> Folders:
    imagenet = tuple(getattr(arguments, "imagenet", ()))
    return Folders(data=arguments.data, results=arguments.results, imagenet=imagenet)


def check_data(runs: Sequence[Run]) -> None:
    """
    Raises:
        BadInput: a folder of real data is missing.
    """
    for run in runs:
        root = run.task.root(run)
        if run.profile.real and not root.is_dir():
            raise BadInput(f"no folder {root}; give the one that holds the data as --data (DATA= of make)")


def list_runs(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    """A line a run: key, tables, parent, its seeds that are recorded or under way, and tests of given weights."""
    runs = catalogue.complete(catalogue.runs(arguments.tables, [0], arguments.profile, folders(arguments)))
    submitted = any(any(run.folder.parent.glob(f"seed*/{QUEUED}")) for run in runs)
    alive = slurm_queue() if submitted else {}
    status = {run: run.status(alive) for first in runs for run in begun(first)}
    tests = tested_weights(runs, arguments.results)
    columns = {
        "key": [run.key for run in runs],
        "tables": [" ".join(run.tables) for run in runs],
        "parent": [parent.key if (parent := run.parent) else "--" for run in runs],
        "seeds": [", ".join(seed_labels(run, status)) or "--" for run in runs],
        **({"weights": [", ".join(tests.get(run.key, [])) or "--" for run in runs]} if tests else {}),
    }
    widths = [max(map(len, [name, *cells])) for name, cells in columns.items()]
    for line in (columns.keys(), *zip(*columns.values(), strict=True)):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print("", *totals(status), sep="\n")
    for name in dict.fromkeys(run.profile.name for run in runs):
        for damage in damaged_records(arguments.results, name):
            print(damage)


def begun(run: Run) -> list[Run]:
    """The run with each seed that has a record, or a folder and no record yet."""
    paths = (*run.record_path.parent.glob("seed*.json"), *run.folder.parent.glob("seed*"))
    seeds = {seed for path in paths if (seed := seed_of(path)) is not None}
    return [replace(run, seed=seed) for seed in sorted(seeds)]


def tested_weights(runs: Sequence[Run], results: Path) -> dict[str, list[str]]:
    """The tests of given weights, by key."""
    by_key, tests = {run.key: run for run in runs}, {}
    for name in dict.fromkeys(run.profile.name for run in runs):
        for record in read_records(results, name):
            run = by_key.get(record.key)
            if record.weights and run:
                settings = run.task.test_settings(run.spec, run.profile, record.weights)
                stale = "" if digest(settings) == record.fingerprint else " (stale)"
                label = f"{record.weights.name} {record.weights.state[:8]}{stale}"
                tests.setdefault(record.key, []).append(label)
    return tests


def seed_labels(run: Run, status: Mapping[Run, Status]) -> list[str]:
    """ "0, 1 (running)"; a seed that is done stands alone."""
    mine = {each.seed: state for each, (state, _) in status.items() if each.key == run.key and state != "missing"}
    return [str(seed) if state == "done" else f"{seed} ({state})" for seed, state in mine.items()]


def totals(status: Mapping[Run, Status]) -> list[str]:
    """Counts by state, then what is stale and what failed."""
    numbers = Counter(state for state, _ in status.values())
    lines = [", ".join(f"{numbers[name]} {name}" for name in ("done", "running", "queued", "stopped", "failed", "stale"))]
    if stale := [run.name for run, (state, _) in status.items() if state == "stale"]:
        lines.append(f"stale: {', '.join(stale)}; `sweep` makes them anew")
    failed = [f"failed: {run.name}: {why}" for run, (state, why) in status.items() if state == "failed"]
    return lines + failed + ["`sweep` tries them again"] * bool(failed)


def run(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    from nlrepro.sweep.local import prepare_data, run_bar
    from nlrepro.train.loop import Machine, rank, train

    chosen = catalogue.run(arguments.key, arguments.seed, arguments.profile, folders(arguments), arguments.steps)
    check_data([chosen])
    (chosen,) = catalogue.trained([chosen])
    if not chosen.finished() and rank() == 0:
        prepare_data([chosen], 1)
    with run_bar(chosen) as report:
        record = train(chosen, Machine(devices=arguments.devices, nodes=arguments.nodes), report)
    if rank() == 0:
        print(f"{chosen.name}: {record.headline}, tested on {record.tested} {chosen.task.items}")


def sweep(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    """Make the runs; each table is printed as soon as a seed is complete for all of its rows."""
    given = (arguments.tables, arguments.seeds, arguments.profile, folders(arguments), arguments.only, arguments.steps)
    asked = catalogue.runs(*given)
    check_data(asked)
    runs = catalogue.trained(catalogue.complete(asked))
    for name in dict.fromkeys(each.profile.name for each in runs):
        for damage in damaged_records(arguments.results, name):
            print(damage, flush=True)
    if arguments.launcher == "slurm":
        from nlrepro.sweep.slurm import submit

        submit(runs, cluster(arguments, any(each.profile.real for each in runs)), arguments.jobs)
        return
    from nlrepro.sweep.local import sweep as make

    chosen = [table for table in catalogue.chosen(arguments.tables) if table.trains]
    dry = bool(arguments.steps)
    early = EarlyTables(catalogue, [] if dry or arguments.only != "*" else chosen, asked, arguments)
    make(runs, arguments.jobs, early.after)
    if not dry:
        print(f"to see the tables of what is recorded: {report_command(arguments)}")


class EarlyTables:
    """Prints a table when a seed is complete for all of its rows, while other seeds are still to come."""

    def __init__(
        self, catalogue: Catalogue, tables: Sequence[Table], asked: Sequence[Run], arguments: argparse.Namespace
    ) -> None:
        self.catalogue, self.arguments = catalogue, arguments
        self.open: dict[tuple[str, int], set[str]] = {}
        self.last = max((run.seed for run in asked), default=0)
        for table in tables:
            keys = {row.key for row in table.rows}
            for run in asked:
                if run.key in keys and not run.finished():
                    self.open.setdefault((table.name, run.seed), set()).add(run.key)

    def after(self, run: Run) -> None:
        from nlrepro.report.gather import gather

        for (name, seed), keys in list(self.open.items()):
            if seed != run.seed or run.key not in keys:
                continue
            keys.discard(run.key)
            if keys:
                continue
            del self.open[name, seed]
            if any(table == name for table, _ in self.open):
                for each in gather(self.catalogue, self.arguments.profile, folders(self.arguments)):
                    if name in each.tables:
                        print(f"\n{each.tables[name].summary([])}", flush=True)


def cluster(arguments: argparse.Namespace, real: bool) -> "Cluster":
    """What SLURM is asked for; a GPU for real data unless another number is given."""
    from nlrepro.sweep.slurm import Cluster

    return Cluster(
        partition=arguments.partition,
        gpus=arguments.gpus if arguments.gpus is not None else int(real),
        processes=arguments.processes,
        nodes=arguments.nodes,
        minutes=arguments.time,
        options=dict(arguments.slurm),
    )


def report_command(arguments: argparse.Namespace) -> str:
    """The command that prints what a sweep has made."""
    options = {"--profile": "mini", "--data": Path("data"), "--results": Path("results/local")}
    given = {option: getattr(arguments, option[2:]) for option in options}
    differing = [word for option, value in given.items() if value != options[option] for word in (option, str(value))]
    return shlex.join(["python", "-m", "ablations", "report", *arguments.tables, *differing])


def data(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    """Make the generated data of the tables, or check that every file can be read; of real data both check."""
    runs = catalogue.complete(catalogue.runs(arguments.tables, [0], arguments.profile, folders(arguments)))
    check_data(runs)
    make = arguments.action == "make"
    for run in {run.task.shares(run) if make else run.task.root(run): run for run in reversed(runs)}.values():
        if make and not run.profile.real:
            run.task.prepare(run, arguments.jobs)
        else:
            run.task.check(run, arguments.jobs)


def report(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    from nlrepro.report.publish import report as write

    write(catalogue, arguments.tables, arguments.profile, folders(arguments))


def publish(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    from nlrepro.report.publish import publish as move

    move(catalogue, arguments.tables, arguments.profile, folders(arguments), arguments.seeds, arguments.only)


def verify(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    from nlrepro.report.publish import rerun
    from nlrepro.report.publish import verify as remake

    if arguments.key is None:
        remake(catalogue)
    else:
        rerun(catalogue, arguments.key, arguments.seed, arguments.profile, arguments.data)


def cost(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    """A line a row, relative to the first row of its table; of real data also the GPU-hours of all runs."""
    import pandas as pd
    import torch

    runs = {run.key: run for run in catalogue.runs(arguments.tables, [0], arguments.profile, folders(arguments))}
    with torch.device("meta"):
        learners = {key: run.task.learner().build(run, 1) for key, run in runs.items()}
    costs = {key: learner.cost() for key, learner in learners.items()}
    lines = []
    for table in catalogue.chosen(arguments.tables):
        rows = [row for row in table.rows if row.key in costs and table.trains]
        for row in rows:
            own, base = costs[row.key], costs[rows[0].key]
            lines.append(
                {
                    "table": table.name,
                    "row": row.label,
                    "depth": f"R{row.depth}",
                    "params": f"{own.params:,}",
                    "multiply-adds": f"{own.macs:,}",
                    "params ratio": f"{own.params / base.params:.3f}",
                    "multiply-adds ratio": f"{own.macs / base.macs:.3f}",
                }
            )
    print(pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True))
    if arguments.csv:
        frame = pd.DataFrame([(key, each.params, each.macs) for key, each in costs.items()])
        frame.to_csv(arguments.csv, index=False, header=["key", "params", "macs"])
    if all(run.profile.real for run in runs.values()):
        print(f"\n{gpu_hours(runs, costs, arguments.teraflops)}")


def gpu_hours(runs: Mapping[str, Run], costs: Mapping[str, Any], teraflops: int) -> str:
    """What one training of each run takes: a step is three forward passes, a multiply-add two operations."""
    items = {key: run.steps * run.profile.recipe(run.task.recipe(run.spec)).batch for key, run in runs.items()}
    flops = {key: 3 * 2 * costs[key].macs * count for key, count in items.items()}
    hours = {key: each / (teraflops * 1e12) / 3600 for key, each in flops.items()}
    least, most = min(hours, key=hours.__getitem__), max(hours, key=hours.__getitem__)
    return (
        f"Training {len(flops)} runs once takes {sum(flops.values()) / 1e18:,.0f} exaFLOPs; at {teraflops} TFLOP/s a GPU"
        f" (an assumption, --teraflops) {sum(hours.values()):,.0f} GPU-hours, from {hours[least]:,.0f} of {least} to"
        f" {hours[most]:,.0f} of {most}."
    )


def weights(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    from nlrepro.released.importing import import_weights
    from nlrepro.released.names import known_file

    known = known_file(arguments.file.name)
    source, key = arguments.source or (known and known.source), arguments.key or (known and known.key)
    if not source or not key:
        raise BadInput(f"{arguments.file.name} is not the name of a released file; give --source and --key")
    spec, profile = catalogue.spec(key), catalogue["2a"].task.profile(arguments.profile)
    note = import_weights(arguments.file, source, spec, profile, arguments.out, arguments.variant)
    print(f"{arguments.out}: {spec.key}, {note.name}, of {len(note.used)} blobs; {len(note.left)} left over")
    for name in note.left[:LEFT]:
        print(f"  left over: {name}")
    if len(note.left) > LEFT:
        print(f"  and {len(note.left) - LEFT} more, all in {arguments.out}.json")
    if known:
        print(f"  {known.stated}")


def evaluate(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    from nlrepro.released.evaluate import evaluate as test
    from nlrepro.train.loop import Machine, rank

    chosen = catalogue.run(arguments.key, 0, arguments.profile, folders(arguments))
    check_data([chosen])
    record = test(chosen, arguments.weights, Machine(devices=arguments.devices), arguments.items)
    if rank() == 0:
        assert record.weights
        print(f"{record.key}, {record.weights.name} {record.weights.file}: {record.headline}")
        print(*(f"  {note}" for note in record.notes), sep="\n")


def attend(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    from nlrepro.attention.compute import attend as compute
    from nlrepro.attention.draw import check_suffix, write

    check_suffix(arguments.out)
    profile = catalogue["2a"].task.profile(arguments.profile)
    keys = (arguments.weights, profile, [row.spec for table in catalogue.chosen(["2"]) for row in table.rows])
    attention = compute(
        arguments.video,
        arguments.weights,
        catalogue.spec(key_of(*keys)),
        profile,
        block=arguments.block,
        at=arguments.at,
        strongest=arguments.strongest,
        where=arguments.where,
    )
    write(attention, arguments.out)
    print(f"{attention.key}, block {attention.block}. {attention.caption}\nwritten: {arguments.out}")


def key_of(file: Path, profile: Any, specs: Sequence[Any]) -> str:
    """The run key of a file of weights: that of its note, or of the run whose net has its name.

    Raises:
        BadInput: neither is known.
    """
    from nlrepro.released.importing import note_path, read_note
    from nlrepro.task import VIDEO

    if not file.is_file():
        raise BadInput(f"no file {file}; give a file of `weights import` or the net of a run")
    if note_path(file).is_file():
        return read_note(note_path(file)).key
    for spec in specs:
        if spec.clip in profile.clips and file.name == Run(task=VIDEO, spec=spec, profile=profile, seed=0).weights.name:
            return spec.key
    raise BadInput(
        f"which net does {file} hold? There is no note {note_path(file).name} of `weights import`, and no run of the profile"
        f" {profile.name} writes a file of that name; is --profile right?"
    )


def dashboard(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    from nlrepro.tracking import dashboard as look

    look(arguments.results)


def sync(catalogue: Catalogue, arguments: argparse.Namespace) -> None:
    from nlrepro.tracking import upload

    upload(arguments.results, arguments.entity)


