"""All numbers of a profile as CSV: a line a row of a table, and a line a run."""

from base64 import b64encode
from collections.abc import Mapping, Sequence

import pandas as pd

from nlrepro.record import Record
from nlrepro.report.origins import START, Source, setting


def rows_frame(tables: Sequence[Mapping[str, pd.DataFrame]]) -> pd.DataFrame:
    """The frames of all tables below each other; each has them by source, which is the first column."""
    frames = [frame.assign(source=source) for table in tables for source, frame in table.items()]
    found = pd.concat(frames, ignore_index=True)
    return found[["source", *(name for name in found.columns if name != "source")]]


def runs_frame(sources: Sequence[Source]) -> pd.DataFrame:
    """A line a run: what came out, by kind of video too, and when, where and with what it was made."""
    return pd.DataFrame([_run(source.name, record) for source in sources for record in source.records])


def _run(source: str, record: Record) -> dict[str, object]:
    metrics, made = record.metrics, record.made
    return {
        "source": source,
        "key": record.key,
        "seed": record.seed,
        "tables": " ".join(record.tables),
        **{name: getattr(metrics, name) for name in ("top1", "top5", "loss", "videos", "views")},
        **{f"top1_{kind}": part.top1 for kind, part in metrics.kinds.items()},
        "params": record.cost.params,
        "macs": record.cost.macs,
        "seconds": made.seconds,
        "date": made.date,
        "git": made.git,
        "made_with": setting(made),
        "start": made.versions.get(START, ""),
        "fingerprint": record.fingerprint,
    }


def data_link(frame: pd.DataFrame) -> str:
    """The frame as CSV in an address of its own, for a page that is one file."""
    text = frame.to_csv(index=False, float_format="%.4f")
    return f"data:text/csv;charset=utf-8;base64,{b64encode(text.encode()).decode()}"
