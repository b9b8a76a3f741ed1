"""Numbers and tables as text: Markdown, LaTeX and CSV, `--` for what is missing."""

from collections.abc import Iterable
from math import isfinite, isnan
from typing import Any

import numpy as np
import pandas as pd

MISSING = "--"
LATEX = {ord(character): f"\\{character}" for character in "&%$#_{}"}


def number(value: float, sign: bool = False) -> str:
    """One decimal, without a negative zero; `--` for NaN."""
    return MISSING if isnan(value) else format(float(np.round(value, 1)) + 0.0, "+.1f" if sign else ".1f")


def with_interval(mean: float, low: float, high: float, sign: bool = False) -> str:
    """Without ends that nothing is known of, as of one seed."""
    return f"{number(mean, sign)} [{number(low)}, {number(high)}]" if isfinite(low + high) else number(mean, sign)


def ratios(values: Iterable[float]) -> list[str]:
    return [MISSING if isnan(value) else f"{value:.1f}x" for value in values]


def to_text(shown: pd.DataFrame, style: str = "pipe", left: tuple[int, ...] = (0,)) -> str:
    """A table of texts in one of tabulate's styles ("pipe" is Markdown); all columns but `left` are aligned right."""
    align = ["left" if place in left else "right" for place in range(shown.shape[1])]
    return str(shown.to_markdown(index=False, tablefmt=style, disable_numparse=True, colalign=align))


def _unjoined(text: str) -> str:
    return "-{}-" if text == MISSING else text


def to_latex(caption: str, label: str, shown: pd.DataFrame) -> str:
    """A booktabs table; `-{}-` keeps the dashes of a missing cell from joining into one."""
    cells: Any = shown.style.hide(axis="index").format_index(escape="latex", axis="columns")
    texts = cells.format(_unjoined, escape="latex").to_latex(
        caption=caption.translate(LATEX),
        label=f"tab:{label}",
        column_format="l" + "r" * (shown.shape[1] - 1),
        position_float="centering",
        hrules=True,
    )
    return str(texts)


def to_csv(frame: pd.DataFrame) -> str:
    """Two decimals, `--` where missing: `pd.read_csv(path, na_values=["--"])` reads it."""
    rounded = frame.assign(**{name: frame[name].round(2) + 0.0 for name in frame.select_dtypes("float").columns})
    return str(rounded.to_csv(index=False, float_format="%.2f", na_rep=MISSING))
