"""One page for people: panels of tables, verdicts, pictures, costs and provenance of several profiles, in one HTML file.

page.html and page.css say how it looks. The page needs no network and no script, and the same records give the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from nlrepro.files import write_atomic
from nlrepro.record import Cost, Record
from nlrepro.report.claims import Verdict, error_rates
from nlrepro.report.decision import WORDS
from nlrepro.report.finding import Finding
from nlrepro.report.formats import MISSING, number
from nlrepro.report.inline import inline
from nlrepro.report.kinds import by_kind, caption
from nlrepro.report.provenance import provenance
from nlrepro.report.released import released_names
from nlrepro.report.tables import TableRow, side_by_side


@dataclass(frozen=True, kw_only=True)
class Column:
    """Numbers of a panel, one a row, and the intervals that stand below them."""

    title: str
    cells: list[str]
    intervals: list[str]


@dataclass(frozen=True, kw_only=True)
class Group:
    name: str
    columns: tuple[Column, ...]

    @property
    def size(self) -> int:
        return len(self.columns)


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
    def measured(self) -> bool:
        return any(frame["top1"].notna().any() for frame in self.finding.frames.values())

    @property
    def readable(self) -> bool:
        """Whether there is more to say than the paper does."""
        return self.measured or bool(released_names(self.finding.mine))

    @property
    def rows(self) -> list[tuple[TableRow, str]]:
        """Each with the depth as a heading where it changes, if the table has several."""
        rows = self.finding.spec.rows
        before = [None, *(row.depth for row in rows[:-1])] if len({row.depth for row in rows}) > 1 else [r.depth for r in rows]
        return [(row, f"ResNet-{row.depth}" * (row.depth != last)) for row, last in zip(rows, before, strict=True)]

    def groups(self, costs: Mapping[str, Cost]) -> list[Group]:
        """The paper's columns, then those of the records; of the counted costs where there are no records."""
        spec, mine = self.finding.spec, self.finding.mine
        found = [
            Group(name="paper", columns=(*_accuracies(mine, "paper_"), *_ratios(mine, "paper_params_ratio", "paper_flops_ratio")))
        ]
        for name, frame in self.finding.frames.items():
            if frame["top1"].notna().any():
                found.append(Group(name=name, columns=_accuracies(frame, "")))
        found += [Group(name=name, columns=_accuracies(mine, f"released {name} ")) for name in released_names(mine)]
        if spec.shows_cost:
            found.append(Group(name="counted", columns=_ratios(mine, "params_ratio", "macs_ratio")))
        elif not self.measured:
            found.append(Group(name="counted", columns=_counts([costs[row.key] for row in spec.rows])))
        return found

    @property
    def numbers(self) -> pd.DataFrame:
        """The table as in the Markdown and on the terminal, gains included."""
        return side_by_side(self.finding.spec, self.finding.mine, self.finding.published)

    @property
    def by_kind(self) -> pd.DataFrame:
        """The numbers of the heat map."""
        return by_kind(self.finding.spec, self.finding.kinds)

    @property
    def caption(self) -> str:
        """Of the heat map."""
        return caption(self.finding.kinds)

    @property
    def pictures(self) -> dict[str, bytes]:
        """By the end of the file's name."""
        found = {"": self.gains, "-kinds": self.kinds, "-curves": self.curves}
        return {end: svg for end, svg in found.items() if svg}


def _accuracies(frame: pd.DataFrame, prefix: str) -> tuple[Column, ...]:
    return tuple(
        Column(
            title=f"top-{k}",
            cells=[number(value) for value in frame[f"{prefix}top{k}"]],
            intervals=_intervals(frame, f"{prefix}top{k}"),
        )
        for k in (1, 5)
    )


def _intervals(frame: pd.DataFrame, name: str) -> list[str]:
    if f"{name}_low" not in frame:
        return [""] * len(frame)
    ends = frame[[f"{name}_low", f"{name}_high"]].to_numpy(float)
    return ["" if isnan(low) else f"{number(low)}\N{EN DASH}{number(high)}" for low, high in ends]


def _ratios(frame: pd.DataFrame, *names: str) -> tuple[Column, ...]:
    """Parameters and FLOPs; nothing for tables without them."""
    return tuple(
        Column(title=title, cells=[MISSING if isnan(v) else f"{v:.1f}x" for v in frame[name]], intervals=[""] * len(frame))
        for title, name in zip(("params", "FLOPs"), names, strict=True)
        if name in frame
    )


def _counts(costs: Sequence[Cost]) -> tuple[Column, ...]:
    blank = [""] * len(costs)
    params = Column(title="params, M", cells=[f"{cost.params / 1e6:.1f}" for cost in costs], intervals=blank)
    return params, Column(title="FLOPs, B", cells=[f"{cost.macs / 1e9:.1f}" for cost in costs], intervals=blank)


@dataclass(frozen=True, kw_only=True)
class PageProfile:
    """Everything the page shows of one profile. `costs`, by key, are at the paper's scale; `learning` is an SVG."""

    name: str
    about: str
    panels: tuple[PagePanel, ...]
    learning: bytes | None
    costs: Mapping[str, Cost]
    records: tuple[Record, ...]

    @property
    def readable(self) -> bool:
        return any(panel.readable for panel in self.panels)

    @property
    def provenance(self) -> dict[str, str]:
        return provenance(self.records)

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
        places: dict[str, list[str]] = {}
        for panel in self.panels:
            for row in panel.finding.spec.rows:
                places.setdefault(row.key, []).append(panel.letter)
        params, flops = _counts([self.costs[key] for key in places])
        columns = {"net": list(places), "tables": [" ".join(letters) for letters in places.values()]}
        columns |= {column.title: column.cells for column in (params, flops)}
        return pd.DataFrame(columns | ({"minutes a run": list(map(self._minutes, places))} if self.records else {}))

    def _minutes(self, key: str) -> str:
        spent = [record.made.seconds / 60 for record in self.records if record.key == key]
        return number(sum(spent) / len(spent)) if spent else MISSING

    def pictures(self, tables: Sequence[str]) -> dict[str, bytes]:
        """By file name: those of these tables, and the curves of two nets."""
        chosen = [panel for panel in self.panels if panel.table in tables]
        of_tables = {f"table{panel.table}{end}": svg for panel in chosen for end, svg in panel.pictures.items()}
        return ({"curves": self.learning} if self.learning else {}) | of_tables


def render(profiles: Sequence[PageProfile], shown: str) -> str:
    """The page as HTML; `shown` is the profile that it opens with."""
    environment = Environment(
        loader=PackageLoader("nlrepro", "report"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline"] = lambda svg, label, prefix: Markup(inline(svg, label, prefix))
    return environment.get_template("page.html").render(profiles=profiles, shown=shown) + "\n"


def write_page(profiles: Sequence[PageProfile], shown: str, path: Path) -> Path:
    write_atomic(path, render(profiles, shown))
    return path
