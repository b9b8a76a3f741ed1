"""The verbs of the command line, each a function of the catalogue and the parsed words.

What takes long to import is imported where it is needed.
"""

import argparse
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tabulate import tabulate

from nlrepro.files import BadInput
from nlrepro.record import damaged_records, digest, read_records, seed_of
from nlrepro.run import QUEUED, Folders, Run, by_root, slurm_queue
from nlrepro.spec import RunSpec
from nlrepro.table import Catalogue

Words = argparse.Namespace


def folders(words: Words) -> Folders:
    return Folders(data=words.data, results=words.results, imagenet=tuple(getattr(words, "imagenet", ())))


def check_data(runs: Sequence[Run]) -> None:
    """
    Raises:
        BadInput: a folder of real data is missing.
    """
    for run in runs:
        if run.profile.real and not run.root.is_dir():
            raise BadInput(
                f"no folder {run.root}; give the one that holds the data as --data (DATA= of make)"
            )


def print_damage(runs: Sequence[Run], results: Path) -> None:
    """A line for each record of the runs' profiles that cannot be read."""
    for name in dict.fromkeys(run.profile.name for run in runs):
        for damage in damaged_records(results, name):
            print(damage, flush=True)


def list_runs(catalogue: Catalogue, words: Words) -> None:
    """A line a run: key, tables, parent, its seeds that are recorded or under way, tests of given weights."""
    runs = catalogue.complete(catalogue.runs(words.tables, [0], words.profile, folders(words)))
    submitted = any(any(run.folder.parent.glob(f"seed*/{QUEUED}")) for run in runs)
    queue = slurm_queue() if submitted else {}
    tests = tested_weights(runs, words.results)
    lines, states, again = [], Counter[str](), []
    for run in runs:
        seeds = []
        for each in begun(run):
            state, why = each.status(queue)
            states[state] += 1
            if state != "missing":
                seeds.append(str(each.seed) if state == "done" else f"{each.seed} ({state})")
            if state in ("stale", "failed"):
                again.append(": ".join(filter(None, [state, each.name, why])))
        parent = run.parent.key if run.parent else ""
        line = {"key": run.key, "tables": " ".join(run.tables), "parent": parent, "seeds": ", ".join(seeds)}
        line |= {"weights": ", ".join(tests.get(run.key, []))} if tests else {}
        lines.append({name: cell or "--" for name, cell in line.items()})
    print(tabulate(lines, "keys", tablefmt="plain", disable_numparse=True))
    counted = ("done", "running", "queued", "stopped", "failed", "stale")
    print("", ", ".join(f"{states[state]} {state}" for state in counted), *again, sep="\n")
    if again:
        print("`sweep` makes these again")
    print_damage(runs, words.results)


def begun(run: Run) -> list[Run]:
    """The run with each seed that has a record or a folder."""
    paths = (*run.record_path.parent.glob("seed*.json"), *run.folder.parent.glob("seed*"))
    seeds = {seed for path in paths if (seed := seed_of(path)) is not None}
    return [replace(run, seed=seed) for seed in sorted(seeds)]


def tested_weights(runs: Sequence[Run], results: Path) -> dict[str, list[str]]:
    """The tests of given weights, by key."""
    by_key = {run.key: run for run in runs}
    tests: dict[str, list[str]] = {}
    for name in dict.fromkeys(run.profile.name for run in runs):
        for record in read_records(results, name):
            run = by_key.get(record.key)
            if record.weights and run:
                settings = run.task.test_settings(run.spec, run.profile, record.weights)
                stale = "" if digest(settings) == record.fingerprint else " (stale)"
                label = f"{record.weights.name} {record.weights.state[:8]}{stale}"
                tests.setdefault(record.key, []).append(label)
    return tests


def run(catalogue: Catalogue, words: Words) -> None:
    from nlrepro.sweep.local import prepare_data, run_bar
    from nlrepro.train.loop import Machine, rank, train

    chosen = catalogue.run(words.key, words.seed, words.profile, folders(words), words.steps)
    check_data([chosen])
    (chosen,) = catalogue.trained([chosen])
    if not chosen.finished() and rank() == 0:
        prepare_data([chosen], 1)
    with run_bar(chosen) as report:
        record = train(chosen, Machine(devices=words.devices, nodes=words.nodes), report)
    if rank() == 0:
        print(f"{chosen.name}: {record.headline}, tested on {record.tested} {chosen.task.items}")


def sweep(catalogue: Catalogue, words: Words) -> None:
    """Make the runs; a table is printed as soon as a seed is complete for all of its rows."""
    given = (words.tables, words.seeds, words.profile, folders(words), words.only, words.steps)
    asked = catalogue.runs(*given)
    check_data(asked)
    runs = catalogue.trained(catalogue.complete(asked))
    print_damage(runs, words.results)
    if words.launcher == "slurm":
        from nlrepro.sweep.slurm import Cluster, submit

        real = any(each.profile.real for each in runs)
        cluster = Cluster(
            partition=words.partition,
            gpus=words.gpus if words.gpus is not None else int(real),
            processes=words.processes,
            nodes=words.nodes,
            minutes=words.time,
            options=dict(words.slurm),
        )
        submit(runs, cluster, words.jobs)
        return
    from nlrepro.sweep.local import sweep as make

    if words.steps:  # no table shows a dry run
        make(runs, words.jobs)
        return
    make(runs, words.jobs, early_tables(catalogue, asked, words))
    where = ("--profile", words.profile, "--data", str(words.data), "--results", str(words.results))
    report = shlex.join(["python", "-m", "ablations", "report", *words.tables, *where])
    print(f"to see the tables of what is recorded: {report}")


def early_tables(catalogue: Catalogue, asked: Sequence[Run], words: Words) -> Callable[[Run], None]:
    """To call after each run: prints a table that a seed is complete for, while other seeds are to come."""
    from nlrepro.report.gather import gather

    chosen = [table.name for table in catalogue.chosen(words.tables)] if words.only == "*" else []
    missing: dict[tuple[str, int], set[str]] = {}  # keys by table and seed
    for run in asked:
        for name in () if run.finished() else run.tables:
            if name in chosen:
                missing.setdefault((name, run.seed), set()).add(run.key)

    def print_completed(run: Run) -> None:
        for name, seed in [place for place in missing if place[1] == run.seed and place[0] in run.tables]:
            missing[name, seed].discard(run.key)
            if missing[name, seed]:
                continue
            del missing[name, seed]
            if any(table == name for table, _ in missing):
                for each in gather(catalogue, words.profile, folders(words)):
                    if name in each.tables:
                        print(f"\n{each.tables[name].summary([])}", flush=True)

    return print_completed


def data(catalogue: Catalogue, words: Words) -> None:
    """Make the generated data, or check that every file can be read; of real data both check."""
    runs = catalogue.complete(catalogue.runs(words.tables, [0], words.profile, folders(words)))
    check_data(runs)
    if words.action == "make":
        from nlrepro.sweep.local import prepare_data

        prepare_data([run for run in runs if not run.profile.real], words.jobs)
        runs = [run for run in runs if run.profile.real]
    for group in by_root(runs):
        specs = [run.spec for run in group]
        group[0].task.check(specs, group[0].profile, words.data, words.jobs)


def report(catalogue: Catalogue, words: Words) -> None:
    from nlrepro.report.publish import report as write

    write(catalogue, words.tables, words.profile, folders(words))


def publish(catalogue: Catalogue, words: Words) -> None:
    from nlrepro.report.publish import publish as move

    move(catalogue, words.tables, words.profile, folders(words), words.seeds, words.only)


def verify(catalogue: Catalogue, words: Words) -> None:
    from nlrepro.report.publish import rerun
    from nlrepro.report.publish import verify as remake

    if words.key is None:
        remake(catalogue)
    else:
        rerun(catalogue, words.key, words.seed, words.profile, words.data)


def cost(catalogue: Catalogue, words: Words) -> None:
    """A line a row, relative to the first row of its table; of real data also GPU-hours and memory."""
    import pandas as pd

    runs = {run.key: run for run in catalogue.runs(words.tables, [0], words.profile, folders(words))}
    costs = {key: run.task.cost(run.spec, run.profile) for key, run in runs.items()}
    lines = []
    for table in catalogue.chosen(words.tables):
        rows = [row for row in table.rows if row.key in costs and table.trains]
        for row in rows:
            own, base = costs[row.key], costs[rows[0].key]
            ratios = own.params / base.params, own.macs / base.macs
            counts = f"{own.params:,}", f"{own.macs:,}"
            lines.append(
                [table.name, row.label, f"R{row.depth}", *counts, *(f"{ratio:.3f}" for ratio in ratios)]
            )
    headers = ["table", "row", "depth", "params", "multiply-adds", "params ratio", "multiply-adds ratio"]
    print(tabulate(lines, headers, tablefmt="pipe", disable_numparse=True))
    if words.csv:
        frame = pd.DataFrame([(key, each.params, each.macs) for key, each in costs.items()])
        frame.to_csv(words.csv, index=False, header=["key", "params", "macs"])
    if all(run.profile.real for run in runs.values()):
        print(f"\n{gpu_hours(runs, costs, words.teraflops)}", *gpu_memory(runs), sep="\n")


def gpu_hours(runs: Mapping[str, Run], costs: Mapping[str, Any], teraflops: int) -> str:
    """What one training of each run takes: a step is three forward passes, a multiply-add two operations."""
    import pandas as pd

    clips = {key: run.steps * run.profile.recipe(run.spec.recipe).batch for key, run in runs.items()}
    flops = pd.Series({key: 3 * 2.0 * costs[key].macs * number for key, number in clips.items()})
    hours = flops / (teraflops * 1e12) / 3600
    total = f"Training {len(flops)} runs once takes {flops.sum() / 1e18:,.2g} exaFLOPs"
    at = f"at {teraflops} TFLOP/s a GPU (an assumption, --teraflops) {hours.sum():,.1f} GPU-hours"
    least, most = f"{hours.min():,.1f} of {hours.idxmin()}", f"{hours.max():,.1f} of {hours.idxmax()}"
    return f"{total}; {at}, from {least} to {most}."


def gpu_memory(runs: Mapping[str, Run]) -> list[str]:
    """What a training step of the video nets takes on one GPU."""
    from nlrepro.nets.resnet import training_bytes

    gib = {
        key: training_bytes(run.spec, run.profile) / 2**30
        for key, run in runs.items()
        if isinstance(run.spec, RunSpec)
    }
    if not gib:
        return []
    least, most = min(gib, key=gib.__getitem__), max(gib, key=gib.__getitem__)
    counts = f"{gib[least]:.1f} GiB of {least} to {gib[most]:.1f} of {most}"
    return [f"Memory of a step on one GPU, counted without workspaces, some fifth more: from {counts}."]


def weights(catalogue: Catalogue, words: Words) -> None:
    from nlrepro.released.importing import import_weights
    from nlrepro.released.names import known_file

    known = known_file(words.file.name)
    source, key = words.source or (known and known.source), words.key or (known and known.key)
    if not source or not key:
        raise BadInput(f"{words.file.name} is not the name of a released file; give --source and --key")
    spec, profile = catalogue.spec(key), catalogue["2a"].task.profile(words.profile)
    note = import_weights(words.file, source, spec, profile, words.out, words.variant)
    print(f"{words.out}: {spec.key}, {note.name}, of {len(note.used)} blobs")
    print(f"  {len(note.left)} blobs are left over, named in {words.out}.json")
    if known:
        print(f"  {known.stated}")


def evaluate(catalogue: Catalogue, words: Words) -> None:
    from nlrepro.released.evaluate import evaluate as test
    from nlrepro.train.loop import Machine, rank

    chosen = catalogue.run(words.key, 0, words.profile, folders(words))
    check_data([chosen])
    record = test(chosen, words.weights, Machine(devices=words.devices), words.items)
    if rank() == 0:
        assert record.weights
        result = f"{record.key}, {record.weights.name} {record.weights.file}: {record.headline}"
        print(result, *record.notes, sep="\n  ")


def attend(catalogue: Catalogue, words: Words) -> None:
    from nlrepro.attention.compute import attend as compute
    from nlrepro.attention.draw import check_suffix, write

    check_suffix(words.out)
    attention = compute(
        words.video,
        words.weights,
        catalogue.spec(key_of(words.weights)),
        catalogue["2a"].task.profile(words.profile),
        block=words.block,
        at=words.at,
        strongest=words.strongest,
        where=words.where,
    )
    write(attention, words.out)
    print(f"{attention.key}, block {attention.block}. {attention.caption}\nwritten: {words.out}")


def key_of(file: Path) -> str:
    """The run key of a file of weights: in its note, or the name of the folder that runs of this key have.

    Raises:
        BadInput: neither is known.
    """
    from nlrepro.released.importing import note_path, read_note

    if not file.is_file():
        raise BadInput(f"no file {file}; give a file of `weights import` or the net of a run")
    if note_path(file).is_file():
        return read_note(note_path(file)).key
    key = file.resolve().parent.parent.name  # of runs/<profile>/<key>/seed<k>/net-<fingerprint>.pt
    if RunSpec.of_key(key) is None:
        note = f"there is no note {note_path(file).name} of `weights import`"
        raise BadInput(f"which net does {file} hold? {note}, and it lies in no run's folder <key>/seed<k>")
    return key


def dashboard(catalogue: Catalogue, words: Words) -> None:
    from nlrepro.tracking import dashboard as look

    look(words.results)


def sync(catalogue: Catalogue, words: Words) -> None:
    from nlrepro.tracking import upload

    upload(words.results, words.entity)
