"""Numbers and tables as text: Markdown, LaTeX and CSV, `--` for what is missing."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd

MISSING = "--"


def number(value: float, sign: bool = False) -> str:
    """One decimal, without a negative zero; `--` for NaN."""
    return MISSING if isnan(value) else format(float(np.round(value, 1)) + 0.0, "+.1f" if sign else ".1f")


def with_interval(mean: float, low: float, high: float, sign: bool = False) -> str:
    return MISSING if isnan(mean) else f"{number(mean, sign)} [{number(low)}, {number(high)}]"


def to_markdown(heading: str, shown: pd.DataFrame, notes: Sequence[str]) -> str:
    table = shown.to_markdown(index=False, disable_numparse=True, colalign=("left", *["right"] * (shown.shape[1] - 1)))
    return "\n\n".join([f"## {heading}", table, *notes]) + "\n"


def to_latex(caption: str, label: str, shown: pd.DataFrame) -> str:
    """A booktabs table."""
    lines = [" & ".join(map(_escape, cells)) + r" \\" for cells in [list(shown.columns), *shown.to_numpy().tolist()]]
    top = [r"\begin{table}", r"\centering", rf"\caption{{{_escape(caption)}}}", rf"\label{{tab:{label}}}"]
    body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    columns = "l" + "r" * (shown.shape[1] - 1)
    return "\n".join([*top, rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}", r"\end{table}"]) + "\n"


def _escape(text: str) -> str:
    """LaTeX's special characters; `-{}-` keeps the dashes of a missing cell from joining into one."""
    special = {c: "\\" + c for c in "&%$#_{}"}
    return r"-{}-" if text == MISSING else "".join(special.get(c, c) for c in text)


def to_csv(frame: pd.DataFrame) -> str:
    """Two decimals, `--` where missing; read it back with `read_csv`."""
    rounded = frame.assign(**{name: frame[name].round(2) + 0.0 for name in frame.select_dtypes("float").columns})
    return str(rounded.to_csv(index=False, float_format="%.2f", na_rep=MISSING))


def read_csv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, na_values=[MISSING], dtype={"table": str})
