"""What is published is what the report makes of the published records."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ablations import TABLES, catalogue, findings, reporting
from nlrepro import profile as profiles
from nlrepro import record as records
from nlrepro.reports.readme import pasted, without_heading
from nlrepro.runs.place import Place

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "results" / "published"
PROFILES = sorted(path.name for path in (PUBLISHED / "records").glob("*") if path.is_dir())
every_profile = pytest.mark.parametrize(
    "profile", PROFILES or [pytest.param("", marks=pytest.mark.skip(reason="nothing is published yet"))]
)


def artefacts(results: Path, profile: str) -> dict[str, bytes]:
    folders: Iterator[Path] = (results / kind / profile for kind in ("tables", "figures"))
    return {
        str(path.relative_to(results)): path.read_bytes() for folder in folders for path in folder.glob("*") if path.is_file()
    }


def tables(profile: str) -> list[str]:
    """The tables that are published."""
    return [name for name in TABLES if (PUBLISHED / "tables" / profile / f"table{name}.csv").is_file()]


@every_profile
def test_published_tables_and_figures_are_what_the_published_records_give(
    profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(PUBLISHED / "records", tmp_path / "records")
    monkeypatch.setattr(findings, "PUBLISHED", tmp_path)
    reporting.report([TABLES[name] for name in tables(profile)], profiles.load(profile), Place(results=tmp_path))
    committed, made = artefacts(PUBLISHED, profile), artefacts(tmp_path, profile)
    assert committed.keys() == made.keys()
    assert {name for name in made if made[name] != committed[name]} == set()
    if profile == "mini":
        assert (tmp_path / "report.html").read_text() == (PUBLISHED / "report.html").read_text()


@every_profile
def test_published_records_are_of_the_profile_as_it_is_now(profile: str) -> None:
    runs = catalogue.complete(TABLES.values(), [0], profiles.load(profile))
    specs = {job.spec.key: job.spec for job in runs}
    for record in records.read_all(PUBLISHED, profile):
        assert records.is_fresh(record, specs[record.key], profiles.load(profile)), (record.key, record.seed)


@every_profile
def test_a_published_row_has_at_least_three_seeds_and_those_of_2a_and_2d_at_depth_50_five(profile: str) -> None:
    found = records.read_all(PUBLISHED, profile)
    for name in tables(profile):
        for row in TABLES[name].rows:
            seeds = sorted(r.seed for r in found if r.key == TABLES[name].spec(row).key)
            least = 5 if name == "2a" or (name == "2d" and row.depth == 50) else 3
            assert seeds[:least] == list(range(least)), (name, row.label)


@pytest.mark.skipif("mini" not in PROFILES, reason="nothing is published yet")
def test_the_readme_shows_the_published_tables() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in tables("mini"):
        body = without_heading((PUBLISHED / "tables" / "mini" / f"table{name}.md").read_text())
        assert body in readme
        assert pasted(readme, f"table{name}", body) == readme


def test_pasting_replaces_what_stands_between_the_marks_and_nothing_else() -> None:
    readme = "before\n<!-- table2a: by x -->\nold\n<!-- /table2a -->\nafter <!-- table2b: y -->\nz\n<!-- /table2b -->\n"
    body = without_heading("# heading\n\n| new \\1 |\n")
    once = pasted(readme, "table2a", body)
    assert once == readme.replace("old\n", "\n| new \\1 |\n\n")
    assert pasted(once, "table2a", body) == once
