"""The report's page as text, and as a browser shows it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from browser import CHROMIUM, Page, browse
from conftest import evaluation, record

from ablations.registry import TABLES
from nlrepro import evaluation as evaluations
from nlrepro import record as records
from nlrepro.config import load_profile
from nlrepro.experiments import findings, reporting
from nlrepro.report.page import render
from nlrepro.report.panels import PageProfile, provenance
from nlrepro.spec import RunSpec
from nlrepro.trial import Folders

PUBLISHED = Path(__file__).parent.parent / "results" / "published"
PAGE = PUBLISHED / "report.html"
in_a_browser = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")


def paper_profile(results: Path) -> PageProfile:
    return reporting.page_profile(findings.gather(TABLES, load_profile("paper"), Folders(results=results)), TABLES)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browse(tmp_path_factory.mktemp("browser")) as page:
        yield page


class Reader(HTMLParser):
    """Notes where things come from, and what is opened and not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.sources: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources |= {value or "" for name, value in attrs if name in ("src", "xlink:href", "href")}
        if tag not in ("meta", "input", "link"):
            self.opened.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag


def test_the_page_is_well_formed_and_asks_for_nothing_from_elsewhere() -> None:
    reader = Reader()
    reader.feed(PAGE.read_text())
    assert reader.opened == []
    own = ("#", "records/", "data:image/png")
    elsewhere = {source for source in reader.sources if not source.startswith(own)}
    assert elsewhere == {"data:,", "https://arxiv.org/abs/1711.07971"}
    assert "<script" not in PAGE.read_text()


def test_each_number_leads_to_the_records_of_its_runs_and_to_the_command_that_makes_them_again() -> None:
    html = PAGE.read_text()
    for axis in TABLES.values():
        for row in axis.rows:
            key = axis.spec(**row.value).key
            assert f'<td class="here"><a href="#mini-{key}">' in html
            origin = html.partition(f'<div id="mini-{key}">')[2].partition("</details>")[0]
            linked = re.findall(r'<a href="([^"]+)">seed', origin)
            assert len(linked) == 5
            assert all(records.read(PUBLISHED / file).key == key for file in linked)
            assert re.search(rf"<pre>python -m ablations sweep {axis.table[0]}. --only {key} --seeds 0,1,2,3,4 ", origin)


def test_local_numbers_lead_to_local_records_and_published_ones_to_published_ones(tmp_path: Path) -> None:
    mini, spec = load_profile("mini"), RunSpec()
    own = replace(record(spec.key, 7, "01" * 50), spec=spec, fingerprint=records.fingerprint(spec, mini))
    path = records.write(own, tmp_path / "local")
    page = reporting.page_profile(findings.gather(TABLES, mini, Folders(results=tmp_path / "local")), TABLES)
    html = reporting.write_page([page], "mini", tmp_path / "local" / "report.html").read_text()
    assert '<td class="yours"><a href="#mini-r50-c2d">' in html
    assert '<td class="published"><a href="#mini-r50-c2d">' in html
    origin = html.partition('id="mini-r50-c2d">')[2].partition("</details>")[0]
    linked = {name: (tmp_path / "local" / file).resolve() for file, name in re.findall(r'href="([^"]+)">(seed \d)', origin)}
    assert linked["seed 7"] == path.resolve()
    assert linked["seed 0"] == records.record_path(PUBLISHED, "mini", "r50-c2d", 0)
    assert "--seeds 0,1,2,3,4,7 " in origin


def test_a_verdict_names_the_comparison_that_supports_it_least_and_the_others_stand_below_it() -> None:
    html = PAGE.read_text()
    claims = pd.read_csv(PUBLISHED / "tables" / "mini" / "claims.csv", na_values=["--"])
    of_2d = claims[(claims["table"] == "2d") & claims["claim"].str.startswith("space-only")].iloc[0]
    weakest = "space-only \N{MINUS SIGN} baseline, R101"
    assert f"<td>{of_2d['difference']:+.1f} [{of_2d['low']:.1f}, {of_2d['high']:.1f}]<small>{weakest}</small></td>" in html
    assert "<span>time-only \N{MINUS SIGN} baseline, R50</span> <span>+" in html
    assert html.index('class="plain sentences"') < html.index('class="panels')


def all_lead_somewhere(html: str) -> bool:
    return set(re.findall(r'href="#([^"]+)"', html)) <= set(re.findall(r'\bid="([^"]+)"', html))


def test_published_numbers_lead_to_their_records_where_there_are_no_others(tmp_path: Path) -> None:
    mini = load_profile("mini")
    html = render([reporting.page_profile(findings.gather(TABLES, mini, Folders(results=tmp_path)), TABLES)], "mini")
    assert '<td class="published"><a href="#mini-r50-c2d">' in html
    assert all_lead_somewhere(html)


def test_a_profile_without_long_clips_has_a_page(tmp_path: Path) -> None:
    mini = load_profile("mini")
    short = replace(mini, name="own", clips={"short": mini.clips["short"]}, recipes={"short": mini.recipes["short"]})
    assert reporting.about(mini).endswith(
        "short clips have 8 frames, long clips have 16 frames (the paper's: short 32, long 128)."
    )
    page = reporting.page_profile(findings.gather(TABLES, short, Folders(results=tmp_path)), TABLES)
    assert "short clips have 8 frames (the" in page.about


def test_ids_are_unique_though_figures_share_theirs() -> None:
    ids = re.findall(r'\bid="([^"]+)"', PAGE.read_text())
    assert len(ids) == len(set(ids))
    assert {*re.findall(r'href="#([^"]+)"', PAGE.read_text()), *re.findall(r"url\(#([^)]+)\)", PAGE.read_text())} <= set(ids)


def test_a_profile_without_records_says_so_and_shows_the_papers_numbers_and_costs(tmp_path: Path) -> None:
    html = render([paper_profile(tmp_path)], "paper")
    assert "No runs of this profile are recorded here." in html
    assert '<td class="paper">76.0</td>' in html
    assert "FLOPs, B" in html
    assert "<svg" not in html


def test_released_weights_have_columns_of_their_own(tmp_path: Path) -> None:
    found = evaluation(RunSpec(), load_profile("paper"), "32x2", "0001")
    found = replace(found, weights=replace(found.weights, file="<b>.pkl"))
    evaluations.write(found, tmp_path)
    html = render([paper_profile(tmp_path)], "paper")
    assert ">caffe2 32x2<" in html
    assert ">75.0</a><small>0.0\N{EN DASH}100.0</small>" in html
    assert "&lt;b&gt;.pkl" in html  # names from files are text
    assert all_lead_somewhere(html)
    file = evaluations.evaluation_path(Path("."), found)
    assert f'<td class="caffe2 32x2"><a href="#paper-{RunSpec().key}">75.0</a>' in html
    assert f'<a href="{file}">&lt;b&gt;.pkl</a>' in html
    assert "<b>.pkl" not in html


def test_provenance_adds_up_hours_and_spans_dates() -> None:
    one = record("a", 0, "01")
    two = replace(record("a", 1, "01"), made=replace(one.made, date="2024-03-01T00:00:00", seconds=7199.0, git="abc"))
    told = provenance([one, two])
    assert (told["time"], told["date"]) == ("2.0 hours of training and testing, added up", "2024-01-01 to 2024-03-01")
    assert (told["runs"], told["seeds"], told["code"]) == ("2 of 1 nets", "0, 1", "abc")
    assert provenance([]) == {}


def test_the_page_counts_the_words_and_tells_preliminary_verdicts_and_error_rates(tmp_path: Path) -> None:
    """Three seeds of Table 2a where five are declared; all other sentences lack runs."""
    mini = load_profile("mini")
    for row in TABLES["2a"].rows:
        spec = TABLES["2a"].spec(**row.value)
        for seed in range(3):
            found = replace(record(spec.key, seed, "01" * 50), spec=spec, fingerprint=records.fingerprint(spec, mini))
            records.write(found, tmp_path)
    found = findings.gather(TABLES, mini, Folders(results=tmp_path))
    page = reporting.page_profile(found, TABLES)
    html = " ".join(render([page], "mini").split())
    assert page.words == {"holds": 1, "fails": 0, "negligible": 0, "undecided": 14}
    assert "2 of these verdicts are preliminary" in html
    assert '<span class="word">undecided, preliminary</span>' in html
    assert "preliminary: 3 seeds of 5; least clear" in html
    assert "Error rates are per sentence" in html


def all_of(selector: str, keep: str) -> str:
    """JavaScript: the elements of a CSS selector of which `keep` holds."""
    return f"[...document.querySelectorAll('{selector}')].filter(e => {keep})"


@pytest.mark.rare
@in_a_browser
@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("profile", reporting.PROFILES)
def test_a_browser_shows_all_seven_tables_within_its_width_and_does_not_complain(tab: Page, profile: str, width: int) -> None:
    tab.open(PAGE, width)
    tab.value(f"document.querySelector('label[for=show-{profile}]').click()")
    shown = all_of(".panel", "e.offsetWidth > 0")
    assert tab.value(f"{shown}.map(e => [e.closest('main').id, e.dataset.table])") == [[profile, table] for table in TABLES]
    assert tab.value("document.documentElement.scrollWidth") == width
    beyond = all_of("body *", f"!e.closest('.scroll') && e.getBoundingClientRect().right > {width}")
    assert tab.value(f"{beyond}.length") == 0
    assert tab.complaints == []


@pytest.mark.rare
@in_a_browser
def test_a_click_on_a_number_opens_the_list_of_its_records(tab: Page) -> None:
    shown = "document.getElementById('mini-r50-c2d').closest('details').open"
    tab.open(PAGE)
    assert not tab.value(shown)
    tab.value("document.querySelector('td.here a[href=\"#mini-r50-c2d\"]').click()")
    assert tab.value(shown)


@pytest.mark.rare
@in_a_browser
def test_dark_readers_get_a_dark_page_and_light_ink_in_figures(tab: Page) -> None:
    def brightness(selector: str, what: str) -> int:
        colour = tab.value(f"getComputedStyle(document.querySelector('{selector}')).{what}")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    tab.open(PAGE, scheme="light")
    assert brightness("#mini svg", "color") < 250 < 700 < brightness("body", "backgroundColor")
    tab.open(PAGE, scheme="dark")
    assert brightness("body", "backgroundColor") < 250 < 600 < brightness("#mini svg", "color")


@pytest.mark.rare
@in_a_browser
def test_it_prints(tab: Page, tmp_path: Path) -> None:
    tab.open(PAGE)
    tab.print(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
