"""From local results to published ones: records and evaluations, what is reported of them, and the READMEs' tables."""

from collections.abc import Sequence
from pathlib import Path

from nlrepro import evaluation as evaluations
from nlrepro import record as records
from nlrepro.config import Profile, load_profile
from nlrepro.evaluation import damaged, unknown
from nlrepro.experiments import findings
from nlrepro.experiments.catalogue import Catalogue
from nlrepro.experiments.findings import evaluated, fresh
from nlrepro.experiments.reporting import report
from nlrepro.files import BadInput, write_atomic
from nlrepro.report.queries import QUERIES, csv_path, read_queries, summary, write_queries
from nlrepro.report.readme import durations, paste, variants_table, verdict_table, without_heading
from nlrepro.trial import Folders

READMES = (Path("README.md"), Path("results/README.md"), Path("nlrepro/attention/README.md"))
VARIANTS = ("mini", "mini-start1", "mini-start2", "mini-600-steps")  # Table 2a from other pretrained nets, and trained longer
SEEDS = 3  # that `make table2a` trains


def publish(
    catalogue: Catalogue, names: Sequence[str], profile: Profile, folders: Folders, seeds: Sequence[int], only: str = "*"
) -> None:
    """Copy all fresh records of the tables' rows to `results/published`, drop stale ones there, and report.

    Raises:
        BadInput: a record is damaged, or a run whose key matches `only` has no fresh one of one of `seeds`.
    """
    axes, public = catalogue.chosen(names), Folders(results=findings.PUBLISHED)
    if bad := [line for at in (folders, public) for line in damaged(at.results, profile.name)]:
        raise BadInput(f"not published: {'; '.join(bad)}")
    good = {(record.key, record.seed) for record in fresh(catalogue, axes, profile, folders)[0]}
    wanted = [(job.run.key, job.run.seed) for job in catalogue.jobs(axes, seeds, profile, folders, only)]
    missing = [f"{key} seed {seed}" for key, seed in wanted if (key, seed) not in good]
    if missing:
        raise BadInput(f"not published: no fresh record of {', '.join(missing)}; run the sweep first")
    for line in unknown(folders.results, profile.name):
        print(line)
    for key, seed in good:
        source, target = (records.record_path(at.results, profile.name, key, seed) for at in (folders, public))
        write_atomic(target, source.read_bytes())
    for found in evaluated(catalogue, profile, folders.results)[0]:
        evaluations.write(found, public.results)
    for path in fresh(catalogue, axes, profile, public)[1] + evaluated(catalogue, profile, public.results)[1]:
        path.unlink()
    write_measured()
    report(catalogue, names, profile, public)
    if profile.name in VARIANTS:
        write_readmes(catalogue)


def show(catalogue: Catalogue) -> None:
    """The published page and the READMEs' parts anew, after tables of other tasks have been published."""
    tables = findings.PUBLISHED / "tables" / "mini"
    names = [name for name in catalogue if (tables / f"table{name}.csv").is_file()]
    if names:
        report(catalogue, names, load_profile("mini"), Folders(results=findings.PUBLISHED))
    write_readmes(catalogue)


def bodies(catalogue: Catalogue) -> dict[str, str]:
    """What stands between the marks of the READMEs, by mark, from the published records; nothing before those of mini are."""
    public = Folders(results=findings.PUBLISHED)
    published = [name for name in VARIANTS if (findings.PUBLISHED / "records" / name).is_dir()]
    found = {name: findings.gather(catalogue, load_profile(name), public) for name in published}
    if "mini" not in found:
        return {}
    measured = csv_path(findings.PUBLISHED, "mini")
    tables = {f"table{name}": findings.PUBLISHED / "tables" / "mini" / f"table{name}.md" for name in catalogue}
    return {
        "verdicts": verdict_table(found["mini"].verdicts),
        "durations": durations(found["mini"].records, "2a", SEEDS),
        "variants": variants_table({name: variant.tables["2a"] for name, variant in found.items()}),
        **{name: without_heading(path.read_text()) for name, path in (tables | others(catalogue)).items() if path.is_file()},
        **({"queries": summary(read_queries(measured))} if measured.is_file() else {}),
    }


def others(catalogue: Catalogue) -> dict[str, Path]:
    """The published tables of other tasks by mark: of their `mini`, "table5", and of a variant, "table5-mini-1000-steps"."""
    found = {}
    for each in catalogue.beyond.values():
        name = f"table{each.table}"
        for profile, mark in {"mini": name, **{variant: f"{name}-{variant}" for variant in each.variants}}.items():
            found[mark] = findings.PUBLISHED / "tables" / (each.folder(profile) or "") / f"{name}.md"
    return found


def write_measured() -> None:
    """The tables and the pictures of all that was measured of maps."""
    for path in sorted(findings.PUBLISHED.glob(f"attention/*/{QUERIES}")):
        write_queries(read_queries(path), path)


def write_readmes(catalogue: Catalogue) -> None:
    for mark, body in bodies(catalogue).items():
        for readme in READMES:
            paste(readme, mark, body)
