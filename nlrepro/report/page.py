"""One page for people: panels of tables, verdicts, pictures, costs and provenance of several profiles, in one HTML file.

page.html and page.css say how it looks, panels.py what there is to show. The page needs no network and no script, and the same
records give the same bytes.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from nlrepro.files import write_atomic
from nlrepro.report.figures import THEME
from nlrepro.report.panels import PageProfile

ID = re.compile(r'(\bid="|href="#|url\(#)')


def render(profiles: Sequence[PageProfile], shown: str) -> str:
    """The page as HTML; `shown` is the profile that it opens with."""
    environment = Environment(
        loader=PackageLoader("nlrepro", "report"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline"] = lambda svg, label, prefix: Markup(inline(svg, label, prefix))
    return environment.get_template("page.html").render(profiles=profiles, shown=shown) + "\n"


def inline(svg: bytes, label: str, prefix: str) -> str:
    """An SVG file as part of a page: without prolog, size and own theme, its ids told apart from those of other figures.

    `label` is what a screen reader says; `prefix`, unique on the page, goes before each id.
    """
    text = svg.decode().replace(THEME, "")
    text = text[text.index("<svg ") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    head, end, body = text.partition(">")
    width, head = float(re.findall(r' width="([\d.]+)pt"', head)[0]), re.sub(r' (?:width|height)="[^"]*"', "", head)
    opening = head.replace("<svg ", f'<svg role="img" aria-label="{label}" style="max-width:{width:g}pt" ', 1)
    return opening + end + ID.sub(lambda match: f"{match[1]}{prefix}-", body)


def write_page(profiles: Sequence[PageProfile], shown: str, path: Path) -> Path:
    write_atomic(path, render(profiles, shown))
    return path
