"""Tables, verdicts and notes as text: Markdown, LaTeX, CSV and the terminal, `--` for what is missing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, isnan
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from nlrepro.record import Record, share
from nlrepro.report.tables import delta, latest, released_names
from nlrepro.stats.verdicts import Verdict, Word
from nlrepro.table import Table

MISSING = "--"
LATEX = {ord(character): f"\\{character}" for character in "&%$#_{}"}
RATIOS = {  # columns: the paper's, and those that are counted here
    "params": ("paper_params_ratio", "params_ratio"),
    "FLOPs": ("paper_flops_ratio", "macs_ratio"),
}
CORES = 2  # of the machine that "minutes" are stated for; it trains a run on each


def number(value: float, sign: bool = False) -> str:
    """One decimal, without a negative zero; `--` for NaN."""
    return MISSING if isnan(value) else format(float(np.round(value, 1)) + 0.0, "+.1f" if sign else ".1f")


def with_interval(mean: float, low: float, high: float, sign: bool = False) -> str:
    """ "64.0 [62.9, 65.2]"; without ends that are not known, as of one seed."""
    return (
        f"{number(mean, sign)} [{number(low)}, {number(high)}]"
        if isfinite(low + high)
        else number(mean, sign)
    )


def ratios(values: Iterable[float]) -> list[str]:
    return [MISSING if isnan(value) else f"{value:.1f}x" for value in values]


def to_text(frame: pd.DataFrame, style: str = "pipe", left: tuple[int, ...] = (0,)) -> str:
    """A table of texts in a style of tabulate ("pipe" is Markdown); columns but `left` are aligned right."""
    align = ["left" if place in left else "right" for place in range(frame.shape[1])]
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
    rounded = frame.assign(
        **{name: frame[name].round(2) + 0.0 for name in frame.select_dtypes("float").columns}
    )
    return str(rounded.to_csv(index=False, float_format="%.2f", na_rep=MISSING))


def side_by_side(table: Table, frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The table to read: the paper's numbers beside those of each source, such as "published" and "yours".

    A line a row; where several measures are compared, a line a row and measure.
    """
    first = list(frames.values())[-1]
    if not table.compared:
        return beside_others(table, first)
    several = len(table.compared) > 1
    places = [(i, measure) for i in range(len(table.rows)) for measure in table.compared]
    title = "" if several else f" {table.measures[table.compared[0]]}"
    labels = [table.label(table.rows[i]) if measure == table.compared[0] else "" for i, measure in places]
    columns = {"row": labels}
    if several:
        columns["measure"] = [table.measures[measure] for _, measure in places]
    columns[f"paper{title}"] = [number(first[f"paper_{m}"][i]) for i, m in places]
    columns["paper delta"] = delta_texts(table, first, places, "paper_", [""])
    for name, frame in frames.items():
        columns[f"{name}{title}"] = [with_interval(*cells(frame, m, i)) for i, m in places]
        columns[f"{name} delta"] = delta_texts(table, frame, places, "", ["", "_low", "_high"])
    if table.shows_cost:
        for name, sources in RATIOS.items():
            texts = (ratios(first[source]) for source in sources)
            columns |= {f"{place} {name}": text for place, text in zip(("paper", "here"), texts, strict=True)}
    return pd.DataFrame(columns | released_columns(table, first, places))


def beside_others(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """A comparison with systems of others: all measures side by side, then those of the records."""
    columns = {"row": list(frame["row"])}
    for measure, title in table.measures.items():
        columns[f"paper {title}"] = list(map(number, frame[f"paper_{measure}"]))
    for measure in table.plotted:
        values = [with_interval(*cells(frame, measure, i)) for i in range(len(frame))]
        columns[f"here {table.measures[measure]}"] = values
    places = [(i, next(iter(table.measures))) for i in range(len(frame))]
    return pd.DataFrame(columns | released_columns(table, frame, places))


def cells(frame: pd.DataFrame, column: str, i: int) -> tuple[float, float, float]:
    """A number and the ends of its interval."""
    return frame[column][i], frame[f"{column}_low"][i], frame[f"{column}_high"][i]


def delta_texts(
    table: Table, frame: pd.DataFrame, places: Sequence[tuple[int, str]], prefix: str, parts: Sequence[str]
) -> list[str]:
    """Differences; a baseline's from itself is no measurement: a plain 0 without sign and interval."""
    texts = []
    for i, measure in places:
        mean, *ends = (frame[f"{prefix}{delta(table, measure)}{part}"][i] for part in parts)
        text = with_interval(mean, ends[0], ends[1], sign=True) if ends else number(mean, sign=True)
        texts.append("0" if table.rows[i] is table.baseline(table.rows[i]) and text != MISSING else text)
    return texts


def released_columns(
    table: Table, frame: pd.DataFrame, places: Sequence[tuple[int, str]]
) -> dict[str, list[str]]:
    """A column a source and variant of released weights."""
    return {
        f"released weights, {name}": [
            with_interval(*cells(frame, f"released {name} {measure}", i)) for i, measure in places
        ]
        for name in released_names(table, frame)
    }


def by_kind(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """A `kinds_frame` as rows x kinds, to read."""
    names = list(frame["kind"].unique())
    texts = [with_interval(*values) for values in frame[["top1", "low", "high"]].to_numpy(float)]
    lines = [texts[i : i + len(names)] for i in range(0, len(texts), len(names))]
    return pd.DataFrame(lines, columns=names).assign(row=[table.label(row) for row in table.rows])[
        ["row", *names]
    ]


def verdict_line(verdict: Verdict) -> str:
    return f"{verdict.claim.text}: {verdict.verdict} ({evidence_text(verdict)})"


def evidence_text(verdict: Verdict) -> str:
    """The number behind the verdict, with its interval, and the paper's."""
    d = verdict.difference
    if verdict.claim.counted:
        return f"{here(verdict)} of the baseline; paper {in_paper(verdict)}"
    printed = f"paper {number(verdict.paper_difference, sign=True)}"
    if d is None:
        return f"{MISSING}; {printed}"
    p = "p < 0.0001" if verdict.p < 1e-4 else f"p = {verdict.p:.2g}"
    least = "least clear " * (len(verdict.compared) > 1)
    caveat = f"preliminary: {verdict.preliminary}" * bool(verdict.preliminary)
    parts = (caveat, f"{least}{here(verdict)}, {p}", outlook(verdict.seeds_needed), printed)
    return "; ".join(filter(None, parts))


def outlook(seeds_needed: str) -> str:
    match seeds_needed:
        case "":
            return ""
        case "no number":
            return "more seeds will not settle it"
        case str(seeds) if seeds.startswith(">"):
            return f"it would take more than {seeds[1:]} seeds"
        case seeds:
            return f"about {seeds} seeds would settle it"


def here(verdict: Verdict) -> str:
    """What the records give."""
    d = verdict.difference
    if d is None:
        return MISSING
    claim: Any = verdict.claim
    return str(claim.format(d.mean)) if claim.counted else with_interval(d.mean, d.low, d.high, sign=True)


def in_paper(verdict: Verdict) -> str:
    claim: Any = verdict.claim
    value = verdict.paper_difference
    return str(claim.format_paper(value)) if claim.counted else number(value, sign=True)


def comparisons(verdict: Verdict) -> dict[str, str]:
    """Each difference with its interval; of two orders of a pair the positive one. Empty if there is one."""
    chosen = {name: d for name, d in verdict.compared.items() if not verdict.claim.symmetric or d.mean > 0}
    texts = {name: with_interval(d.mean, d.low, d.high, sign=True) for name, d in chosen.items()}
    return texts if len(texts) > 1 else {}


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """The paper's sentences, a line each, after a count of the verdicts."""
    words = [verdict.verdict for verdict in verdicts]
    verbs: dict[Word, str] = {
        "holds": "hold",
        "fails": "fail",
        "negligible": "are negligible",
        "undecided": "are undecided",
    }
    counts = ", ".join(f"{words.count(word)} {verb}" for word, verb in verbs.items())
    lines = [
        {
            "table": verdict.claim.table,
            "sentence of the paper": verdict.claim.text,
            "paper": in_paper(verdict),
            "here": here(verdict),
            "verdict": f"**{verdict.verdict}**",
        }
        for verdict in verdicts
    ]
    return f"Of {len(words)} sentences {counts}.\n\n{to_text(pd.DataFrame(lines), left=(0, 1, 4))}"


def note(table: Table, records: Sequence[Record]) -> str:
    """A table's provenance in one line: profile, seeds, test, dates, devices, and what brackets mean."""
    if not records:
        return "No records yet."
    seeds = sorted({str(r.seed) for r in records}, key=int)
    fewest = min(Counter(r.key for r in records).values())
    parts = [
        f"profile {', '.join(sorted({r.profile for r in records}))}",
        f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"
        + f" ({fewest} in some rows)" * (fewest < len(seeds)),
        " or ".join(sorted({tested(r, table.task.items) for r in records})),
        *([level(records)] if records[0].ranks else []),
        days(records),
        ", ".join(sorted({r.made.device for r in records})),
        *sorted({each for r in records for each in r.notes}),
    ]
    if not records[0].ranks:
        same = "all rows are tested on the same data"
        return f"{'; '.join(parts)}. Brackets: 95 % intervals over seeds, paired by seed; {same}."
    several = "seeds and test videos (the spread between seeds from all rows together where they agree on it)"
    over = several if len(seeds) > 1 else "test videos only, as there is one seed"
    delta = "points above the baseline, paired by seed and video"
    return f"{'; '.join(parts)}. Brackets: 95 % intervals over {over}; delta: {delta}."


def tested(record: Record, items: str) -> str:
    """ "2000 test videos", or "19,402 of 19,761 videos (98.2 %)" where not all could be used."""
    if record.listed is None or record.listed == record.tested:
        return f"{record.tested} test {items}"
    return share(record.tested, record.listed, items)


def level(records: Sequence[Record]) -> str:
    """Whether an accuracy is that of single clips: it is much lower than that of videos."""
    views = sorted({r.views for r in records})
    kind = "clip" if views == [1] else "video"
    return f"{kind}-level accuracy (views a video: {' or '.join(map(str, views))})"


def days(records: Iterable[Record]) -> str:
    """The day of the records, or the first and the last one."""
    dates = sorted({record.made.date[:10] for record in records})
    return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"


def test_line(test: Record, items: str) -> str:
    """The measures of a test of given weights, in one line."""
    if "top1" not in test.metrics:
        return f"{test.headline}; {tested(test, items)}"
    kind, clip = "video" if test.views > 1 else "clip", test.metrics.get("clip_top1")
    clips = "" if clip is None else f"; clip-level top-1 {clip:.1f} %"
    top1, top5 = test.metrics["top1"], test.metrics["top5"]
    accuracy = f"{kind}-level top-1 {top1:.1f} %, top-5 {top5:.1f} %"
    return f"{accuracy} (views a video: {test.views}){clips}; {tested(test, items)}"


def released_notes(table: Table, tests: Sequence[Record]) -> list[str]:
    """One paragraph a file of released weights, to stand under the table."""
    paragraphs = []
    for test in latest((row.key for row in table.rows), tests).values():
        assert test.weights
        file = f"{test.weights.file} (sha256 {test.weights.sha256[:12]})"
        line = test_line(test, table.task.items)
        parts = [file, *test.notes, line, test.made.date[:10], test.made.device]
        brackets = f" Brackets: over test {table.task.items} only." if test.ranks else ""
        name = f"Released weights, {test.weights.name}, {test.key}"
        paragraphs.append(f"{name}: {'; '.join(parts)}.{brackets}")
    return paragraphs


def durations(records: Sequence[Record], first: str, seeds: int) -> str:
    """The time that runs take by their records, and so many seeds of the table `first`, and of Table 2."""
    kinds = {
        f"ResNet-{depth} on {clip} clips": [
            r.made.seconds for r in records if (r.spec["net"]["depth"], r.spec["clip"]) == (depth, clip)
        ]
        for depth in (50, 101)
        for clip in ("short", "long")
    }
    a_run = ", ".join(f"{median(seconds):.0f} s ({kind})" for kind, seconds in kinds.items() if seconds)
    few = [record for record in records if record.seed is not None and record.seed < seeds]
    minutes = {
        name: sum(r.made.seconds for r in few if name in (*r.tables, "all")) / 60 / CORES
        for name in (first, "all")
    }
    machines = ", ".join(sorted({record.made.device for record in records}))
    return (
        f"By the records ({machines}), a run on one core takes {a_run} in the median; {seeds} seeds of Table "
        f"{first} keep {CORES} cores busy for {minutes[first]:.0f} minutes, "
        f"{seeds} seeds of all seven tables for {minutes['all']:.0f}."
    )
