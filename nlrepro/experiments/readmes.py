"""What `publish` writes into the READMEs, between their marks."""

from pathlib import Path

from nlrepro import profiles
from nlrepro.experiments import findings
from nlrepro.experiments.catalogue import Catalogue
from nlrepro.report.readme import durations, paste, variants_table, verdict_table, without_heading
from nlrepro.run import Folders

READMES = (Path("README.md"), Path("results/README.md"))
VARIANTS = ("mini", "mini-start1", "mini-start2", "mini-600-steps")  # Table 2a from other pretrained nets, and trained longer
SEEDS = 3  # that `make table2a` trains


def bodies(catalogue: Catalogue) -> dict[str, str]:
    """What stands between the marks, by mark, from the published records; nothing while mini has none."""
    public = Folders(results=findings.PUBLISHED)
    published = [name for name in VARIANTS if (findings.PUBLISHED / "records" / name).is_dir()]
    found = {name: findings.gather(catalogue, profiles.load(name), public) for name in published}
    if "mini" not in found:
        return {}
    tables = {f"table{name}": findings.PUBLISHED / "tables" / "mini" / f"table{name}.md" for name in catalogue}
    return {
        "verdicts": verdict_table(found["mini"].verdicts),
        "durations": durations(found["mini"].records, "2a", SEEDS),
        "variants": variants_table({name: variant.tables["2a"] for name, variant in found.items()}),
        **{name: without_heading(path.read_text()) for name, path in tables.items() if path.is_file()},
    }


def write_readmes(catalogue: Catalogue) -> None:
    for mark, body in bodies(catalogue).items():
        for readme in READMES:
            paste(readme, mark, body)
