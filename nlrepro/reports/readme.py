"""The README shows published tables between two comments, `<!-- table2a: ... -->` and `<!-- /table2a -->`; nobody types them."""

import re
from pathlib import Path

from nlrepro.files import write_whole


def pasted(readme: str, table: str, markdown: str) -> str:
    """The README's text with the table (its Markdown without the heading) between the marks of `table`, if it has them."""
    body = markdown.partition("\n\n")[2].strip()
    marks = re.compile(rf"(<!-- table{table}: [^>]*-->\n).*?(<!-- /table{table} -->)", re.DOTALL)
    return marks.sub(lambda match: f"{match[1]}\n{body}\n\n{match[2]}", readme)


def paste(readme: Path, table: str, markdown: Path) -> None:
    if readme.is_file():
        write_whole(readme, pasted(readme.read_text(), table, markdown.read_text()))
