"""What is published is what the report makes of the published records."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ablations.registry import TABLES
from nlrepro import profiles
from nlrepro import record as records
from nlrepro.experiments import findings, publishing, reporting
from nlrepro.report.readme import pasted, without_heading
from nlrepro.run import Folders

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "results" / "published"
PROFILES = sorted(path.name for path in (PUBLISHED / "records").glob("*") if path.is_dir())
every_profile = pytest.mark.parametrize("profile", PROFILES)


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
    reporting.report(TABLES, tables(profile), profiles.load(profile), Folders(results=tmp_path))
    committed, made = artefacts(PUBLISHED, profile), artefacts(tmp_path, profile)
    assert committed.keys() == made.keys()
    assert {name for name in made if made[name] != committed[name]} == set()
    assert (tmp_path / "report.html").read_text() == (PUBLISHED / "report.html").read_text()


@every_profile
def test_published_records_are_of_the_profile_as_it_is_now(profile: str) -> None:
    jobs = TABLES.complete(TABLES.values(), [0], profiles.load(profile), Folders(results=PUBLISHED))
    runs = {job.run.key: job.run for job in jobs}
    for record in records.read_all(PUBLISHED, profile):
        assert runs[record.key].has_settings_of(record), (record.key, record.seed)


@every_profile
def test_a_published_table_has_all_its_rows_with_the_declared_seeds(profile: str) -> None:
    found, declared = records.read_all(PUBLISHED, profile), profiles.load(profile).seeds
    for name in tables(profile):
        for row in TABLES[name].rows:
            assert tuple(sorted(r.seed for r in found if r.key == TABLES[name].spec(**row.value).key)) == declared, (
                name,
                row.label,
            )


def test_the_readmes_show_what_the_published_records_give() -> None:
    """Tables, verdicts, durations, variants: each stands in one of them at least, and nobody has typed it."""
    texts = {path: (ROOT / path).read_text() for path in publishing.READMES}
    found = publishing.bodies(TABLES)
    assert found.keys() == {"verdicts", "durations", "variants", *(f"table{name}" for name in TABLES)}
    for mark, body in found.items():
        assert any(body in text for text in texts.values()), mark
        assert {path: pasted(text, mark, body) for path, text in texts.items()} == texts


@every_profile
def test_verdicts_are_given_for_the_declared_seeds(profile: str) -> None:
    found = findings.gather(TABLES, profiles.load(profile), Folders(results=PUBLISHED))
    measured = [verdict for verdict in found.verdicts if verdict.difference]
    assert measured
    assert not [verdict.line for verdict in measured if verdict.preliminary]


def test_pasting_replaces_what_stands_between_the_marks_and_nothing_else() -> None:
    readme = "before\n<!-- table2a: by x -->\nold\n<!-- /table2a -->\nafter <!-- table2b: y -->\nz\n<!-- /table2b -->\n"
    body = without_heading("# heading\n\n| new \\1 |\n")
    once = pasted(readme, "table2a", body)
    assert once == readme.replace("old\n", "\n| new \\1 |\n\n")
    assert pasted(once, "table2a", body) == once
