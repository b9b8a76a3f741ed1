"""What the page shows of a profile, panel by panel: the fields and properties that page.html reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nlrepro.record import Cost, Record
from nlrepro.report.columns import Group, counts, groups
from nlrepro.report.finding import Finding, days
from nlrepro.report.formats import MISSING, number
from nlrepro.report.kinds import by_kind, caption
from nlrepro.report.origins import Origin, Source, origins, settings
from nlrepro.report.released import released_names
from nlrepro.report.tables import TableRow, by_source
from nlrepro.report.verdicts import WORDS, Verdict, error_rates


@dataclass(frozen=True, kw_only=True)
class PagePanel:
    """A table and its pictures, as SVG."""

    finding: Finding
    gains: bytes
    kinds: bytes | None  # None where videos are of no kinds
    curves: bytes | None  # None where nothing was trained

    @property
    def table(self) -> str:
        return self.finding.spec.table

    @property
    def letter(self) -> str:
        """The panel's letter in the paper's Table 2."""
        return self.table[-1]

    @property
    def by_source(self) -> dict[str, pd.DataFrame]:
        return by_source(self.finding.mine, self.finding.published)

    @property
    def measured(self) -> bool:
        return any(frame["top1"].notna().any() for frame in self.by_source.values())

    @property
    def readable(self) -> bool:
        """Whether there is more to say than the paper does."""
        return self.measured or bool(released_names(self.finding.mine))

    @property
    def rows(self) -> list[tuple[TableRow, str]]:
        """Each with the depth as a heading where it changes, if the table has several."""
        spec = self.finding.spec
        before = [None, *(row.depth for row in spec.rows)] if len(spec.depths) > 1 else [row.depth for row in spec.rows]
        return [(row, f"ResNet-{row.depth}" * (row.depth != last)) for row, last in zip(spec.rows, before, strict=False)]

    def groups(self, costs: Mapping[str, Cost]) -> list[Group]:
        """The columns, as the page groups them."""
        found = self.finding
        return groups(found.spec, found.mine, found.published, costs)

    @property
    def by_kind(self) -> pd.DataFrame:
        """The numbers of the heat map."""
        return by_kind(self.finding.spec, self.finding.kinds)

    @property
    def caption(self) -> str:
        """How to read the heat map."""
        return caption(self.finding.kinds)

    @property
    def pictures(self) -> dict[str, bytes]:
        """By the end of the file's name."""
        found = {"": self.gains, "-kinds": self.kinds, "-curves": self.curves}
        return {end: svg for end, svg in found.items() if svg}


@dataclass(frozen=True, kw_only=True)
class PageProfile:
    """Everything the page shows of one profile. `costs`, by key, are at the paper's scale; `task` and `learning` are SVG."""

    name: str
    about: str
    panels: tuple[PagePanel, ...]
    task: bytes | None
    learning: bytes | None
    costs: Mapping[str, Cost]
    sources: tuple[Source, ...]  # the last one is whose verdicts these are
    compared: Mapping[str, pd.DataFrame]  # with other systems, by heading
    boards: tuple[Any, ...] = ()  # tables of other tasks (nlrepro/beyond/reporting.py)

    @property
    def readable(self) -> bool:
        return any(panel.readable for panel in self.panels)

    @property
    def provenance(self) -> dict[str, str]:
        return provenance(self.records)

    @property
    def records(self) -> tuple[Record, ...]:
        return self.sources[-1].records

    @property
    def heat(self) -> str:
        """How to read the heat maps; empty where there are none."""
        return next((panel.caption for panel in self.panels if panel.kinds), "")

    @property
    def places(self) -> dict[str, list[str]]:
        """The rows that a run fills, by key: "2a C2D baseline"."""
        found: dict[str, list[str]] = {}
        for spec in (panel.finding.spec for panel in self.panels):
            for row in spec.rows:
                found.setdefault(row.key, []).append(f"{spec.table} {spec.label(row)}")
        return found

    @property
    def origins(self) -> list[Origin]:
        return origins(self.sources)

    @property
    def settings(self) -> dict[str, int]:
        return settings(self.sources)

    @property
    def linked(self) -> set[str]:
        """The groups of columns whose numbers lead to records: sources, and released weights."""
        tests = {test.weights.name for source in self.sources for test in source.evaluations}
        return tests | {source.name for source in self.sources}

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict for panel in self.panels for verdict in panel.finding.verdicts]

    @property
    def words(self) -> dict[str, int]:
        """How many sentences each word was found for."""
        words = [verdict.verdict for verdict in self.verdicts]
        return {word: words.count(word) for word in WORDS}

    @property
    def preliminary(self) -> int:
        return sum(bool(verdict.preliminary) for verdict in self.verdicts)

    @property
    def error_rates(self) -> str:
        return error_rates(self.verdicts)

    @property
    def labour(self) -> pd.DataFrame:
        """A line a net: where it stands in the tables, its cost at the paper's scale, the mean minutes of its runs."""
        places = self.places
        params, flops = counts([self.costs[key] for key in places])
        columns = {"net": list(places), "rows": ["; ".join(rows) for rows in places.values()]}
        columns |= {column.title: column.cells for column in (params, flops)}
        return pd.DataFrame(columns | ({"minutes a run": list(map(self._minutes, places))} if self.records else {}))

    def _minutes(self, key: str) -> str:
        spent = [record.made.seconds / 60 for record in self.records if record.key == key]
        return number(sum(spent) / len(spent)) if spent else MISSING

    def pictures(self, tables: Sequence[str]) -> dict[str, bytes]:
        """By file name: those of these tables, and the curves of two nets."""
        chosen = [panel for panel in self.panels if panel.table in tables]
        of_tables = {f"table{panel.table}{end}": svg for panel in chosen for end, svg in panel.pictures.items()}
        alone = {"curves": self.learning, "task": self.task}
        return {name: svg for name, svg in alone.items() if svg} | of_tables


def provenance(records: Sequence[Record]) -> dict[str, str]:
    """Where records come from, as lines to read; empty without records. The same records give the same lines."""
    if not records:
        return {}
    hours = sum(record.made.seconds for record in records) / 3600
    return {
        "runs": f"{len(records)} of {len({record.key for record in records})} nets",
        "seeds": ", ".join(map(str, sorted({record.seed for record in records}))),
        "tested on": " or ".join(sorted({record.metrics.tested for record in records})),
        "clips a video": " or ".join(map(str, sorted({record.metrics.views for record in records}))),
        "date": days(records),
        "time": f"{hours:.1f} hours of training and testing, added up",
        "code": ", ".join(sorted({record.made.git for record in records} - {""})) or "no commit noted",
    }
