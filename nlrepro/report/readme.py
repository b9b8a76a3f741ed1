"""What READMEs show between two comments, `<!-- NAME: ... -->` and `<!-- /NAME -->`: commands write it, nobody types it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import pandas as pd

from nlrepro.files import write_atomic
from nlrepro.record import Record
from nlrepro.report.finding import Finding
from nlrepro.report.formats import number, to_text, with_interval
from nlrepro.report.verdicts import Verdict, Word

CORES = 2  # of the machine that "minutes" are told for; it trains a run on each


def pasted(readme: str, mark: str, body: str) -> str:
    """The README's text with the body between the marks named so, if it has them."""
    marks = re.compile(rf"(<!-- {mark}: [^>]*-->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    return marks.sub(lambda match: f"{match[1]}\n{body}\n\n{match[2]}", readme)


def without_heading(markdown: str) -> str:
    return markdown.partition("\n\n")[2].strip()


def paste(readme: Path, mark: str, body: str) -> None:
    if readme.is_file():
        write_atomic(readme, pasted(readme.read_text(), mark, body))


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """The paper's sentences, a line each, after a count of the verdicts."""
    words = [verdict.verdict for verdict in verdicts]
    plural: dict[Word, str] = {"holds": "hold", "fails": "fail", "negligible": "are negligible", "undecided": "are undecided"}
    counts = ", ".join(f"{words.count(word)} {told}" for word, told in plural.items())
    lines = [verdict.cells | {"verdict": f"**{verdict.verdict}**"} for verdict in verdicts]
    return f"Of {len(words)} sentences {counts}.\n\n{to_text(pd.DataFrame(lines), left=(0, 1, 4))}"


def durations(records: Sequence[Record], first: str, seeds: int) -> str:
    """How long runs take by their records, and how long so many seeds of the table `first`, and of all tables."""
    kinds = {
        f"ResNet-{depth} on {clip} clips": [r.made.seconds for r in records if (r.spec.net.depth, r.spec.clip) == (depth, clip)]
        for depth in (50, 101)
        for clip in ("short", "long")
    }
    a_run = ", ".join(f"{median(seconds):.0f} s ({kind})" for kind, seconds in kinds.items() if seconds)
    few = [record for record in records if record.seed < seeds]
    minutes = {what: sum(r.made.seconds for r in few if what in (*r.tables, "all")) / 60 / CORES for what in (first, "all")}
    machines = ", ".join(sorted({record.made.device for record in records}))
    return (
        f"By the records ({machines}), a run on one core takes {a_run} in the median; {seeds} seeds of Table {first} keep "
        f"{CORES} cores busy for {minutes[first]:.0f} minutes, {seeds} seeds of all seven tables for {minutes['all']:.0f}."
    )


def variants_table(findings: Mapping[str, Finding]) -> str:
    """One table in several variants of a profile: top-1 and gain, a column each, and the verdicts on its sentences."""
    rows = next(iter(findings.values())).mine["row"]
    columns = {
        name: [
            f"{number(top1)} ({with_interval(delta, low, high, sign=True)})" if delta else number(top1)
            for top1, delta, low, high in finding.mine[["top1", "delta", "delta_low", "delta_high"]].to_numpy(float)
        ]
        for name, finding in findings.items()
    }
    verdicts = [f"- {name}: {verdict.line}" for name, finding in findings.items() for verdict in finding.verdicts]
    return to_text(pd.DataFrame({"row": rows, **columns})) + "\n\n" + "\n".join(verdicts)
