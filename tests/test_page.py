"""The report's page as text, and as a browser shows it."""

import re
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import pytest
from browser import CHROMIUM, evaluate
from conftest import PUBLISHED, ROOT, command, undrawn
from matplotlib.figure import Figure
from records import fresh_record, record, weights_record

from ablations.registry import TABLES
from nlrepro.record import read_record, record_path, write_record
from nlrepro.report.gather import gather
from nlrepro.report.page import Page, render
from nlrepro.report.publish import PAGES
from nlrepro.run import Folders

in_a_browser = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")


def html_of(results: Path, *profiles: str) -> str:
    """The page of these records; it opens with the first profile."""
    folders = Folders(results=results)
    pages = [Page(name=each, reports=gather(TABLES, each, folders), folder=results) for each in profiles]
    return render(pages, profiles[0])


@pytest.fixture(scope="module")
def published() -> str:
    """The page of the published records, with small pictures."""
    with chdir(ROOT), pytest.MonkeyPatch.context() as patch:
        undrawn(patch)
        return html_of(PUBLISHED, *PAGES)


def test_the_pages_links_lead_somewhere_within_it(published: str) -> None:
    """Ids are unique though figures share theirs."""
    ids, sources = (
        re.findall(rf' (?:{name})="([^"]*)"', published) for name in ("id", "(?:xlink:)?href|src")
    )
    elsewhere = {source for source in sources if not source.startswith(("#", "records/"))}
    assert elsewhere == {"data:,", "https://arxiv.org/abs/1711.07971"}
    assert "<script" not in published
    links = {source[1:] for source in sources if source.startswith("#")}
    links |= set(re.findall(r"url\(#([^)]+)\)", published))
    assert len(ids) == len(set(ids))
    assert links <= set(ids)
    assert len(links) > 40


def test_each_number_leads_to_its_records_and_to_the_command_that_makes_them_again(published: str) -> None:
    for name, table in TABLES.items():
        rows = [row for row in table.within(table.task.profile("mini")).rows if table.trains]
        for key in {row.key for row in rows}:
            assert f'<td class="here"><a href="#mini-{key}">' in published
            origin = published.partition(f'<div id="mini-{key}">')[2].partition("</details>")[0]
            files = re.findall(r'<a href="([^"]+)">seed', origin)
            assert {read_record(PUBLISHED / file).key for file in files} == {key}
            seeds = ",".join(str(read_record(PUBLISHED / file).seed) for file in files)
            assert seeds == "0,1,2,3,4"
            command = f"sweep {TABLES.tables_of(key)[0]} --only {key} --seeds {seeds} --profile "
            assert f"<pre>python -m ablations {command}" in origin, (name, key)


def test_local_numbers_lead_to_local_records_and_published_ones_to_published_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undrawn(monkeypatch)
    own = write_record(fresh_record(TABLES.run("r50-c2d", 7, "mini", Folders()), "01" * 50), tmp_path)
    with chdir(ROOT):
        html = html_of(tmp_path, "mini")
    assert '<td class="yours"><a href="#mini-r50-c2d">' in html
    assert '<td class="published"><a href="#mini-r50-c2d">' in html
    origin = html.partition('id="mini-r50-c2d">')[2].partition("</details>")[0]
    files = {name: tmp_path / file for file, name in re.findall(r'href="([^"]+)">(seed \d)', origin)}
    assert files["seed 7"] == own
    assert files["seed 0"].resolve() == record_path(PUBLISHED, record("r50-c2d", 0)).resolve()
    assert "--seeds 0,1,2,3,4,7 " in origin


def test_a_profile_of_ones_own_has_a_page_under_its_name(elsewhere: Path) -> None:
    Path("some where.toml").write_text('base = "smoke"\nname = "own.v2"\n')
    assert command("report", "2a", "--profile", "some where.toml").status == 0
    html = (elsewhere / "results/local/report.html").read_text()
    assert '<main id="own.v2">' in html
    assert 'id="show-own.v2" checked' in html
    html = html_of(elsewhere, "mini-1000-steps")  # which Table 2 lacks
    assert re.findall(r'data-table="(.+?)"', html) == ["5", "6"]


def test_released_weights_have_columns_and_origins_of_their_own(elsewhere: Path) -> None:
    run = TABLES.run("r50-c2d", 0, "paper", Folders())
    test = weights_record(run, "32x2", "0001")
    file = write_record(replace(test, weights=replace(test.weights, file="<b>.pkl")), elsewhere)
    html = html_of(elsewhere, "paper")
    assert '<td class="caffe2 32x2"><a href="#paper-r50-c2d">75.0</a>' in html
    assert f'<a href="{file.relative_to(elsewhere)}">&lt;b&gt;.pkl</a>' in html  # names from files are text
    assert "<b>.pkl" not in html


# ---- in a browser ----


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published page, drawn anew."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    with pytest.MonkeyPatch.context() as patch, chdir(ROOT):
        patch.setattr("nlrepro.report.gather.draw_task", lambda generator: Figure())
        path.write_text(html_of(PUBLISHED, *PAGES))
    return path


@pytest.mark.rare
@in_a_browser
@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("profile", PAGES)
def test_a_browser_shows_all_tables_within_its_width_and_asks_the_network_for_nothing(
    page: Path, profile: str, width: int
) -> None:
    script = f"""
    document.querySelector('label[for=show-{profile}]').click()
    const all = selector => [...document.querySelectorAll(selector)]
    const panels = all('.panel').filter(e => e.offsetWidth > 0)
    const free = all('body *').filter(e => !e.closest('.scroll'))
    const beyond = free.filter(e => e.getBoundingClientRect().right > {width}).length;
    [panels.map(e => [e.closest('main').id, e.dataset.table]), beyond,
     document.documentElement.scrollWidth, performance.getEntriesByType('resource').length]
    """
    tables = [name for name in TABLES if name.startswith("2")]
    tables += ["4", "5", "6", "7"] if profile == "mini" else []
    assert evaluate(page, script, width) == [[[profile, name] for name in tables], 0, width, 0]


@pytest.mark.rare
@in_a_browser
def test_a_click_on_a_number_opens_the_list_of_its_records(page: Path) -> None:
    script = """
    const list = document.getElementById('mini-r50-c2d').closest('details'), before = list.open
    document.querySelector('td.here a[href="#mini-r50-c2d"]').click();
    [before, list.open]
    """
    assert evaluate(page, script) == [False, True]
