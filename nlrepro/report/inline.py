"""An SVG file as part of an HTML page: without prolog, size and own theme, its ids told apart from those of other figures."""

import re

from nlrepro.report.style import THEME

ID = re.compile(r'((?:\bid|href)="#?|url\(#)')


def inline(svg: bytes, label: str, prefix: str) -> str:
    """`label` is what a screen reader says; `prefix`, unique on the page, goes before each id."""
    text = svg.decode().replace(THEME, "")
    text = text[text.index("<svg ") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    head, end, body = text.partition(">")
    width, head = float(re.findall(r' width="([\d.]+)pt"', head)[0]), re.sub(r' (?:width|height)="[^"]*"', "", head)
    opening = head.replace("<svg ", f'<svg role="img" aria-label="{label}" style="max-width:{width:g}pt" ', 1)
    return opening + end + ID.sub(lambda match: f"{match[1]}{prefix}-", body)
