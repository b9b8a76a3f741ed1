"""The README shows what commands wrote between two comments, `<!-- table2a: ... -->` and `<!-- /table2a -->`; nobody types it."""

import re
from pathlib import Path

from nlrepro.files import write_whole


def pasted(readme: str, mark: str, body: str) -> str:
    """The README's text with the body between the marks named so, if it has them."""
    marks = re.compile(rf"(<!-- {mark}: [^>]*-->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    return marks.sub(lambda match: f"{match[1]}\n{body}\n\n{match[2]}", readme)


def without_heading(markdown: str) -> str:
    return markdown.partition("\n\n")[2].strip()


def paste(readme: Path, mark: str, body: str) -> None:
    if readme.is_file():
        write_whole(readme, pasted(readme.read_text(), mark, body))
