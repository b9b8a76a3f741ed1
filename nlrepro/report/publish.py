"""Reports as files and as one page; from local results to published ones; and published ones made again."""

import re
import subprocess
from collections.abc import Sequence
from itertools import product
from math import isinf
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from nlrepro.files import BadInput, write_atomic
from nlrepro.record import Record, damaged_records, read_records, record_path, write_record
from nlrepro.report.gather import PUBLISHED, TableReport, gather, is_published
from nlrepro.report.page import Page, render
from nlrepro.report.text import column, durations, error_rates, number, to_text, verdict_line, verdict_table
from nlrepro.run import Folders
from nlrepro.stats.anova import one_more
from nlrepro.table import TABLE2, Catalogue

PAGES = ("mini", "paper")  # always on the page; another profile joins them when it is reported
READMES = (Path("README.md"), Path("results/README.md"))
SEEDS = 2  # that `make table2a` trains


def report(catalogue: Catalogue, names: Sequence[str], profile: str, folders: Folders) -> None:
    """Write tables, figures and verdicts of `folders.results` and one page of all; print the chosen ones.

    The published page is that of PAGES alone; other profiles leave it as it is.

    Raises:
        BadInput: an unknown table or profile, or one that a table which was asked for by name does not have.
    """
    results, chosen = folders.results, catalogue.chosen(names)
    reports = gather(catalogue, profile, folders)
    for table in chosen:
        catalogue.profile(table, names, profile)
    print(*(line + "\n" for each in reports for line in each.warnings()), sep="", end="")
    for each in reports:
        tables = [table for table in chosen if table.name in each.tables]
        named = [table.name for table in tables if table.trains or each.profile.real or table.name in names]
        if named:
            each.write(named, results)
    if is_published(results) and profile not in PAGES:
        return
    pages, path = {}, results / "report.html"
    for name in dict.fromkeys((*PAGES, profile)):
        own = reports if name == profile else gather(catalogue, name, folders)
        pages[own[0].name] = Page(name=own[0].name, reports=own, folder=results)
    write_atomic(path, render(list(pages.values()), reports[0].name))
    print(f"written: {path}")


def publish(
    catalogue: Catalogue,
    names: Sequence[str],
    profile: str,
    folders: Folders,
    seeds: Sequence[int],
    only: str = "*",
) -> None:
    """Copy the fresh records of the tables' runs to `results/published`, drop stale ones there, and report.

    Raises:
        BadInput: a record is damaged, or a run whose key matches `only` has no fresh one of one of `seeds`.
    """
    runs = catalogue.runs(names, seeds, profile, folders, only)
    profiles = {run.profile.name for run in runs}
    places = product((folders.results, PUBLISHED), profiles)
    if damaged := [line for place in places for line in damaged_records(*place)]:
        raise BadInput(f"not published: {'; '.join(damaged)}")
    complete = [run for run in catalogue.complete(runs) if run.profile.name in profiles]
    fresh = {run: record for run in complete if (record := run.record()) and run.is_fresh(record)}
    if missing := [run.name for run in runs if run not in fresh]:
        raise BadInput(f"not published: no fresh record of {', '.join(missing)}; run the sweep first")
    for run, record in fresh.items():
        write_atomic(record_path(PUBLISHED, record), run.record_path.read_bytes())
    for each in gather(catalogue, profile, folders):
        for test in each.sources[-1].tests:
            write_record(test, PUBLISHED)
    for each in gather(catalogue, profile, Folders(results=PUBLISHED)):
        for path in each.sources[-1].stale:
            path.unlink()
    report(catalogue, names, profile, Folders(results=PUBLISHED))
    write_readmes(catalogue)


def published(catalogue: Catalogue) -> dict[str, list[str]]:
    """The tables that are published, by profile: all of `mini`, and the variants of some."""
    names: dict[str, list[str]] = {"mini": [name for name, table in catalogue.items() if table.trains]}
    for table in catalogue.values():
        for variant in table.variants:
            names.setdefault(variant, []).append(table.name)
    return names


def verify(catalogue: Catalogue) -> None:
    """Make all that is published again from the records, in place, and compare it with what is committed.

    Raises:
        BadInput: nothing is published here, or something is not what the records give; each such file is
            named.
    """
    absent = [path for path in (PUBLISHED / "records", *READMES) if not path.exists()]
    if absent:
        raise BadInput(f"no {absent[0]} here; run `verify` in the project's own folder, as git clones it")
    for profile, tables in published(catalogue).items():
        report(catalogue, tables, profile, Folders(results=PUBLISHED))
    write_readmes(catalogue)
    status = ["git", "status", "--porcelain", "--untracked-files=all", "--"]
    paths = map(str, (PUBLISHED, *READMES))
    done = subprocess.run([*status, *paths], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadInput(f"`verify` compares with git: {done.stderr.strip()}")
    if changed := [line[3:] for line in done.stdout.splitlines()]:
        advice = "`git diff` shows the differences, commit or restore"
        raise BadInput(f"not what the committed records give: {', '.join(changed)}; {advice}")
    print("all that is published follows from the committed records")


def rerun(catalogue: Catalogue, key: str, seed: int, profile: str, data: Path) -> None:
    """Train a published run again, with what it starts from, in a temporary folder, and compare the two.

    Raises:
        BadInput: nothing of that name is published, or the result is not one that another seed could give.
    """
    from nlrepro.sweep.local import sweep  # imports Lightning

    run = catalogue.run(key, seed, profile, Folders(data=data, results=PUBLISHED))
    records = [each for each in read_records(PUBLISHED, run.profile.name) if each.key == key]
    by_seed = {record.seed: record for record in records if not record.weights}
    if seed not in by_seed:
        raise BadInput(f"no published record of {key} seed {seed} of the profile {run.profile.name}")
    with TemporaryDirectory() as folder:
        local = catalogue.run(key, seed, profile, Folders(data=data, results=Path(folder)))
        sweep(catalogue.trained(catalogue.complete([local])), jobs=1)
        now = local.record()
    assert now
    print(compared(by_seed[seed], now, list(by_seed.values())))


def compared(before: Record, now: Record, published: Sequence[Record]) -> str:
    """What came of a run that was made again; `published` are the records of its key.

    Raises:
        BadInput: the digits differ on the same kind of CPU, or the first measure lies outside of the 95 %
            interval of one more seed.
    """
    if (digits(now), now.ranks) == (digits(before), before.ranks):
        return f"the same digits: {now.headline}, in all that was tested"
    here, there = now.made.device, before.made.device
    words = f"{now.headline} on {here}, published {before.headline} on {there}"
    same_machine = (here, now.made.versions) == (there, before.made.versions)
    if same_machine and here.endswith("cores"):  # GPUs promise no digits
        why = "the same kind of processor and the same versions give the same digits"
        raise BadInput(f"not reproduced: {words}; {why}")
    measure, value = next(iter(now.metrics.items()))
    low, high = one_more([record.metrics[measure] for record in published])
    if isinf(high):
        return f"{words}; one published seed gives no interval"
    place = f"[{low:.1f}, {high:.1f}], where 95 % of further seeds would lie"
    if not low <= value <= high:
        raise BadInput(f"not reproduced: {words}; {value:.1f} is outside of {place}")
    return f"{words}; other digits, as on another kind of processor or with other versions, inside of {place}"


def digits(record: Record) -> dict[str, float]:
    """The metrics, without the loss: in older records a small last batch weighs as much as others."""
    return {name: value for name, value in record.metrics.items() if name != "loss"}


def write_readmes(catalogue: Catalogue) -> None:
    """Write what stands in READMEs between `<!-- NAME: ... -->` and `<!-- /NAME -->`, from the records."""
    for name, body in readme_parts(catalogue).items():
        for readme in READMES:
            if readme.is_file():
                write_atomic(readme, pasted(readme.read_text(), name, body))


def pasted(readme: str, name: str, body: str) -> str:
    """The README's text with the body between the marks of this name, if it has them."""
    marks = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return marks.sub(lambda match: f"{match[1]}\n{body}\n\n{match[2]}", readme)


def readme_parts(catalogue: Catalogue) -> dict[str, str]:
    """The generated parts by name: tables, verdicts, error rates, durations, and Table 2a's variants."""
    parts: dict[str, str] = {}
    variants: dict[str, TableReport] = {}
    for profile, names in published(catalogue).items():
        for each in gather(catalogue, profile, Folders(results=PUBLISHED)):
            for name in (name for name in names if name in each.tables):
                path = PUBLISHED / "tables" / each.name / f"table{name}.md"
                mark = f"table{name}" if profile == "mini" else f"table{name}-{profile}"
                if path.is_file():
                    parts[mark] = path.read_text().partition("\n\n")[2].strip()
            if "2a" in names and "2a" in each.tables:
                variants[profile] = each.tables["2a"]
            if profile == "mini" and "2a" in each.tables:
                of_table2 = [v for v in each.verdicts if v.claim.table.startswith(TABLE2)]
                parts["verdicts"] = verdict_table(of_table2)
                parts["errors"] = error_rates(each.verdicts)
                runs = [r for r in each.sources[-1].runs if any(name.startswith(TABLE2) for name in r.tables)]
                parts["durations"] = durations(runs, "2a", SEEDS)
    return parts | ({"variants": variants_table(variants)} if variants else {})


def variants_table(reports: dict[str, TableReport]) -> str:
    """One table in several variants of a profile: a column of top-1 and gains each, and the verdicts."""
    columns = {"row": [row.label for row in next(iter(reports.values())).table.rows]}
    for name, report in reports.items():
        gains = zip(report.last["delta"], column(report.last, "delta", sign=True), strict=True)
        texts = [f" ({text})" if gain else "" for gain, text in gains]
        columns[name] = [number(top1) + text for top1, text in zip(report.last["top1"], texts, strict=True)]
    verdicts = [f"- {name}: {verdict_line(v)}" for name, report in reports.items() for v in report.verdicts]
    return to_text(pd.DataFrame(columns)) + "\n\n" + "\n".join(verdicts)
