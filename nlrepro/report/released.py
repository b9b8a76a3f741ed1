"""What released weights reach, in columns of their own: they were not trained here, no mean and no claim takes them in."""

import re
from collections.abc import Sequence

import pandas as pd

from nlrepro.evaluation import Evaluation
from nlrepro.released.known import known
from nlrepro.report.anova import analyse
from nlrepro.report.formats import with_interval
from nlrepro.report.statistics import correct

MARK = "released"  # first word of the CSV's columns
PLACED = {"paper": "the paper", "caffe2": "the authors' code", "pyslowfast": "PySlowFast", "mmaction2": "mmaction2"}
PARTS = ("top1", "top1_low", "top1_high", "top5", "clip_top1")


def latest(frame: pd.DataFrame, evaluations: Sequence[Evaluation]) -> dict[tuple[str, str], Evaluation]:
    """The last evaluation of each (source and variant, key) of the table's rows; nets of our own runs are not among them."""
    shown = [e for e in evaluations if e.released and e.key in set(frame["key"])]
    return {(e.weights.name, e.key): e for e in sorted(shown, key=lambda e: (e.weights.name, e.made.date))}


def with_released(frame: pd.DataFrame, evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """A table's frame with columns "released caffe2 32x2 top1" and so on, percent; as it was, if there is nothing to show."""
    found = latest(frame, evaluations)
    for name in dict.fromkeys(name for name, _ in found):
        rows = [_cells(found.get((name, key))) for key in frame["key"]]
        frame = frame.assign(
            **{f"{MARK} {name} {part}": cells for part, cells in zip(PARTS, zip(*rows, strict=True), strict=True)}
        )
    return frame


def _cells(evaluation: Evaluation | None) -> tuple[float, ...]:
    """The values of PARTS; the interval is over test videos only."""
    if evaluation is None:
        return (float("nan"),) * len(PARTS)
    metrics = evaluation.metrics
    top1 = analyse(correct(metrics.ranks)[None], grain=100.0).interval.within(0.0, 100.0)
    clip = metrics.top1 if metrics.clip_top1 is None else metrics.clip_top1
    return top1.mean, top1.low, top1.high, metrics.top5, clip


def released_names(frame: pd.DataFrame) -> list[str]:
    """Source and variant of the columns that `with_released` has added."""
    matches = (re.fullmatch(rf"{MARK} (.+) top5", column) for column in map(str, frame))
    return [match[1] for match in matches if match]


def released_columns(frame: pd.DataFrame) -> dict[str, list[str]]:
    """The columns to read, one a source and variant: top-1 with its interval."""
    return {
        f"released weights, {name}": [
            with_interval(*cells) for cells in frame[[f"{MARK} {name} {part}" for part in PARTS[:3]]].to_numpy(float)
        ]
        for name in released_names(frame)
    }


def stated(evaluation: Evaluation) -> str:
    found = known(evaluation.weights.file)
    return f" Of the file of this name {found.stated}, on Kinetics-400's validation videos." if found else ""


def released_notes(frame: pd.DataFrame, evaluations: Sequence[Evaluation]) -> list[str]:
    """One paragraph a file, to stand under the table."""
    """One paragraph a file, to stand under the table."""
    return [
        f"Released weights, {e.weights.name}, {e.key}: {e.weights.file} (sha256 {e.weights.sha256[:12]}); clips of "
        f"{e.frames}x{e.stride} frames, placed as in {PLACED[e.sampling]}; {e.line}; {e.made.date[:10]}; {e.made.device}. "
        f"Brackets: over test videos only.{stated(e)}"
        for e in latest(frame, evaluations).values()
    ]
