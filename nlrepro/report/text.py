"""Tables, verdicts and notes as text: Markdown, LaTeX, CSV and the terminal, `--` for what is missing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import isfinite, isnan, nan
from statistics import median
from typing import Any, get_args

import numpy as np
import pandas as pd

from nlrepro.record import Record, share
from nlrepro.report.tables import delta, latest
from nlrepro.stats.anova import ALPHA
from nlrepro.stats.verdicts import Alike, Counted, Verdict, Word
from nlrepro.table import Table

MISSING = "--"
LATEX = {ord(character): f"\\{character}" for character in "&%$#_{}"}
RATIOS = {  # columns: the paper's, and those that are counted here
    "params": ("paper_params_ratio", "params_ratio"),
    "FLOPs": ("paper_flops_ratio", "macs_ratio"),
}
LEFT = ("row", "measure", "table", "sentence of the paper", "verdict")
CORES = 2  # of the machine that "minutes" are stated for; it trains a run on each


def number(value: float, sign: bool = False) -> str:
    """One decimal, without a negative zero; `--` for NaN."""
    return MISSING if isnan(value) else format(float(np.round(value, 1)) + 0.0, "+.1f" if sign else ".1f")


def with_interval(mean: float, low: float = nan, high: float = nan, *, sign: bool = False) -> str:
    """ "64.0 [62.9, 65.2]"; without ends that are not known, as of one seed."""
    ends = f" [{number(low)}, {number(high)}]" if isfinite(low + high) else ""
    return number(mean, sign) + ends


def column(frame: pd.DataFrame, name: str, sign: bool = False) -> list[str]:
    """A column of a frame, with the intervals that the frame has of it."""
    names = [each for each in (name, f"{name}_low", f"{name}_high") if each in frame]
    return [with_interval(*values.tolist(), sign=sign) for values in frame[names].to_numpy(float)]


def ratios(values: Iterable[float], decimals: int) -> list[str]:
    return [MISSING if isnan(value) else f"{value:.{decimals}f}x" for value in values]


def to_text(frame: pd.DataFrame, style: str = "pipe") -> str:
    """A table of texts in a style of tabulate ("pipe" is Markdown); columns but LEFT are aligned right."""
    align = ["left" if name in LEFT else "right" for name in frame]
    return str(frame.to_markdown(index=False, tablefmt=style, disable_numparse=True, colalign=align))


def to_latex(caption: str, label: str, frame: pd.DataFrame) -> str:
    """A booktabs table; `-{}-` keeps the dashes of a missing cell from joining into one."""
    cells: Any = frame.style.hide(axis="index").format_index(escape="latex", axis="columns")
    texts = cells.format(lambda text: "-{}-" if text == MISSING else text, escape="latex").to_latex(
        caption=caption.translate(LATEX),
        label=f"tab:{label}",
        column_format="l" + "r" * (frame.shape[1] - 1),
        position_float="centering",
        hrules=True,
    )
    return str(texts)


def to_csv(frame: pd.DataFrame) -> str:
    """Two decimals, `--` where missing: `pd.read_csv(path, na_values=["--"])` reads it."""
    floats = frame.select_dtypes("float").round(2) + 0.0  # no negative zero
    rounded = frame.assign(**{str(name): values for name, values in floats.items()})
    return str(rounded.to_csv(index=False, float_format="%.2f", na_rep=MISSING))


def side_by_side(
    table: Table, frames: Mapping[str, pd.DataFrame], released: Mapping[str, pd.DataFrame] | None = None
) -> pd.DataFrame:
    """The table to read: the paper's numbers beside those of each source, such as "published" and "yours".

    A line a row; where several measures are compared, a line a row and measure; where none is, as of systems
    of others, all measures side by side. Where the paper has no such table, it has no columns.
    """
    last, labels = list(frames.values())[-1], [table.label(row) for row in table.rows]
    weights = {f"released weights, {name}": frame for name, frame in (released or {}).items()}
    if not table.compared:
        columns = {"row": [row.label for row in table.rows]}
        columns |= {f"paper {title}": column(last, f"paper_{m}") for m, title in table.measures.items()}
        columns |= {f"here {table.measures[m]}": column(last, m) for m in table.plotted}
        first = next(iter(table.measures))
        return pd.DataFrame(columns | {name: column(frame, first) for name, frame in weights.items()})
    parts, several = [], len(table.compared) > 1
    for measure in table.compared:
        gain, title = delta(table, measure), "" if several else f" {table.measures[measure]}"
        columns = {"row": labels if measure == table.compared[0] else [""] * len(labels)}
        if several:
            columns["measure"] = [table.measures[measure]] * len(labels)
        columns[f"paper{title}"] = column(last, f"paper_{measure}")
        columns["paper delta"] = deltas(table, last, f"paper_{gain}")
        for name, frame in frames.items():
            columns[f"{name}{title}"] = column(frame, measure)
            columns[f"{name} delta"] = deltas(table, frame, gain)
        for name, (printed, counted) in RATIOS.items() if table.shows_cost else ():
            columns |= {f"paper {name}": ratios(last[printed], 1), f"here {name}": ratios(last[counted], 2)}
        columns |= {name: column(frame, measure) for name, frame in weights.items()}
        parts.append(pd.DataFrame(columns))
    lines = pd.concat(parts).sort_index(kind="stable", ignore_index=True)
    empty = (lines == MISSING).all()
    return lines.drop(columns=[name for name in map(str, lines) if name.startswith("paper") and empty[name]])


def deltas(table: Table, frame: pd.DataFrame, name: str) -> list[str]:
    """Differences; a baseline's from itself is no measurement: a plain 0 without sign and interval."""
    texts = zip(table.rows, column(frame, name, sign=True), strict=True)
    return ["0" if row is table.baseline(row) and text != MISSING else text for row, text in texts]


def by_kind(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """A `kinds_frame` as rows x kinds, to read."""
    texts = column(frame.rename(columns={"low": "top1_low", "high": "top1_high"}), "top1")
    cells = np.reshape(texts, (len(table.rows), -1))
    labels = pd.Index([table.label(row) for row in table.rows], name="row")
    return pd.DataFrame(cells, labels, frame["kind"].unique()).reset_index()


def verdict_line(verdict: Verdict) -> str:
    return f"{verdict.claim.text}: {verdict.verdict} ({evidence_text(verdict)})"


def evidence_text(verdict: Verdict) -> str:
    """The number behind the verdict, with its interval, and the paper's."""
    own, printed = differences(verdict)
    if verdict.difference is None or isinstance(verdict.claim, Counted):
        return f"{own}{' of the baseline' * isinstance(verdict.claim, Counted)}; paper {printed}"
    p = "p < 0.0001" if verdict.p < 1e-4 else f"p = {verdict.p:.2g}"
    least = "least clear " * (len(verdict.compared) > 1)
    caveat = f"preliminary: {verdict.preliminary}" * bool(verdict.preliminary)
    parts = caveat, f"{least}{own}, {p}", outlook(verdict.seeds_needed), f"paper {printed}"
    return "; ".join(filter(None, parts))


def outlook(needed: str) -> str:
    if needed == "no number":
        return "more seeds will not settle it"
    if needed.startswith(">"):
        return f"it would take more than {needed[1:]} seeds"
    return f"about {needed} seeds would settle it" if needed else ""


def differences(verdict: Verdict) -> tuple[str, str]:
    """What the records give, and what the paper prints."""
    d, printed, claim = verdict.difference, verdict.paper_difference, verdict.claim
    if isinstance(claim, Counted):
        return claim.format(d.mean) if d else MISSING, claim.format(printed, printed=True)
    own = with_interval(d.mean, d.low, d.high, sign=True) if d else MISSING
    return own, number(printed, sign=True)


def comparisons(verdict: Verdict) -> dict[str, str]:
    """Each difference with its interval; of two orders of a pair the positive one. Empty if there is one."""
    both = not isinstance(verdict.claim, Alike)
    chosen = {name: d for name, d in verdict.compared.items() if both or d.mean > 0}
    texts = {name: with_interval(d.mean, d.low, d.high, sign=True) for name, d in chosen.items()}
    return texts if len(texts) > 1 else {}


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """The paper's sentences, a line each, after a count of the verdicts."""
    words = Counter(verdict.verdict for verdict in verdicts)
    verbs = zip(get_args(Word), ("hold", "fail", "are negligible", "are undecided"), strict=True)
    counts = ", ".join(f"{words[word]} {verb}" for word, verb in verbs)
    lines = [(v.claim.table, v.claim.text, *differences(v)[::-1], f"**{v.verdict}**") for v in verdicts]
    frame = pd.DataFrame(lines, columns=["table", "sentence of the paper", "paper", "here", "verdict"])
    return f"Of {len(verdicts)} sentences {counts}.\n\n{to_text(frame)}"


def error_rates(verdicts: Sequence[Verdict]) -> str:
    """How many of all verdicts together may be wrong."""
    tested = sum(v.difference is not None and not isinstance(v.claim, Counted) for v in verdicts)
    chance = f'at most about {tested * ALPHA:.1f} would "hold" by chance, and as many "fail"'
    together = f": of {tested} sentences tested, {chance}" if tested > 1 else ""
    return f"Each verdict is a test at {100 * ALPHA:.1f} %{together}."


def note(table: Table, records: Sequence[Record]) -> str:
    """A table's provenance in one line: profile, seeds, test, dates, devices, and what brackets mean."""
    if not records:
        return "No records yet."
    numbers, views = seeds(records), sorted({r.views for r in records})
    fewest = min(Counter(r.key for r in records).values())
    some = f" ({fewest} in some rows)" * (fewest < len(numbers))
    level = f"{'clip' if views == [1] else 'video'}-level accuracy"  # that of clips is much lower
    parts = [
        f"profile {', '.join(sorted({r.profile for r in records}))}",
        f"seed{'s' * (len(numbers) > 1)} {', '.join(numbers)}{some}",
        " or ".join(sorted({tested(r, table.task.items) for r in records})),
        *[f"{level} (views a video: {' or '.join(map(str, views))})"] * bool(records[0].ranks),
        days(records),
        " or ".join(sorted({r.made.device for r in records})),
        *sorted({each for r in records for each in r.notes}),
    ]
    if not records[0].ranks:
        over = "seeds, paired by seed; all rows are tested on the same data"
    else:
        shared = "the spread between seeds from all rows together where they agree on it"
        one = "test videos only, as there is one seed"
        over = f"seeds and test videos ({shared})" if len(numbers) > 1 else one
        over += "; delta: points above the baseline, paired by seed and video"
    return f"{'; '.join(parts)}. Brackets: 95 % intervals over {over}."


def seeds(records: Iterable[Record]) -> list[str]:
    return sorted({str(record.seed) for record in records}, key=int)


def tested(record: Record, items: str) -> str:
    """ "2000 test videos", or "19,402 of 19,761 videos (98.2 %)" where not all could be used."""
    if record.listed is None or record.listed == record.tested:
        return f"{record.tested} test {items}"
    return share(record.tested, record.listed, items)


def days(records: Iterable[Record]) -> str:
    """The day of the records, or the first and the last one."""
    dates = sorted({record.made.date[:10] for record in records})
    return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"


def released_notes(table: Table, tests: Iterable[Record]) -> list[str]:
    """One paragraph a file of released weights, to stand under the table."""
    return [
        released_note(test, table.task.items)
        for each in latest(table, tests).values()
        for test in each.values()
    ]


def released_note(test: Record, items: str) -> str:
    assert test.weights
    file, results = f"{test.weights.file} (sha256 {test.weights.sha256[:12]})", [test.headline]
    if "top1" in test.metrics:
        accuracy = f"top-1 {test.metrics['top1']:.1f} %, top-5 {test.metrics['top5']:.1f} %"
        results = [f"{'video' if test.views > 1 else 'clip'}-level {accuracy} (views a video: {test.views})"]
    if "clip_top1" in test.metrics:
        results.append(f"clip-level top-1 {test.metrics['clip_top1']:.1f} %")
    parts = [file, *test.notes, *results, tested(test, items), test.made.date[:10], test.made.device]
    brackets = f" Brackets: over test {items} only." if test.ranks else ""
    return f"Released weights, {test.weights.name}, {test.key}: {'; '.join(parts)}.{brackets}"


def durations(records: Sequence[Record], first: str, some: int) -> str:
    """The time that runs of Table 2 take by their records, so many seeds of its panel `first`, and of all."""
    times = []
    for depth, clip in product((50, 101), ("short", "long")):
        runs = [r for r in records if (r.spec["net"]["depth"], r.spec["clip"]) == (depth, clip)]
        if runs:
            middle = median(run.made.seconds for run in runs)
            times.append(f"{middle:.0f} s (ResNet-{depth} on {clip} clips)")
    few = [(r.made.seconds / 60 / CORES, r.tables) for r in records if r.seed is not None and r.seed < some]
    of_first = sum(t for t, tables in few if first in tables)
    of_all = sum(t for t, _ in few)
    machines = " or ".join(sorted({record.made.device for record in records}))
    return (
        f"By the records ({machines}), a run on one core takes {', '.join(times)} in the median; "
        f"{some} seeds of Table {first} keep {CORES} cores busy for {of_first:.0f} minutes, "
        f"{some} seeds of all seven tables for {of_all:.0f}."
    )
