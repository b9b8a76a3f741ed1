"""What a replication, the records of another machine or person, says beside the published ones: in a line under each table."""

from collections.abc import Sequence
from dataclasses import dataclass

from nlrepro.record import Record
from nlrepro.report.claims import Counted
from nlrepro.report.finding import days
from nlrepro.report.origins import Source
from nlrepro.report.statistics import one_more
from nlrepro.report.tables import TableSpec, comparable
from nlrepro.report.verdicts import WORDS, Verdict


@dataclass(frozen=True, kw_only=True)
class Replication:
    """Fresh records of one profile, and the verdicts that they alone give."""

    name: str
    source: Source
    verdicts: Sequence[Verdict]

    @property
    def records(self) -> Sequence[Record]:
        return self.source.records

    def line(self, spec: TableSpec, published: Sequence[Record]) -> str:
        """How its records of a table compare; there must be some."""
        found = comparable(spec, self.records)
        seeds = sorted({record.seed for record in found})
        parts = [
            f"{len({record.key for record in found})} of {len(spec.rows)} rows",
            f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}",
            *beside(spec, found, published),
            *self._words(spec),
            days(found),
            ", ".join(sorted({record.made.device for record in found})),
        ]
        return f"Replication {self.name}: {'; '.join(parts)}."

    def _words(self, spec: TableSpec) -> list[str]:
        """Of the sentences that are tested and not merely counted."""
        given = [v for v in self.verdicts if v.claim.table == spec.table and v.difference and not isinstance(v.claim, Counted)]
        words = [verdict.verdict for verdict in given]
        counts = ", ".join(f"{word} {words.count(word)}" for word in WORDS if word in words)
        caveat = next((f" (preliminary: {verdict.preliminary})" for verdict in given if verdict.preliminary), "")
        return [f"its verdicts: {counts}{caveat}"] if given else []


def beside(spec: TableSpec, found: Sequence[Record], published: Sequence[Record]) -> list[str]:
    """In how many runs every test video has the rank that it has in the published run of the same seed, and how many accuracies
    further published seeds might have had; which not.
    """
    before = {(record.key, record.seed): record.metrics for record in published}
    both = [before[record.key, record.seed] == record.metrics for record in found if (record.key, record.seed) in before]
    places = {record.key: one_more([r.metrics.top1 for r in published if r.key == record.key]) for record in found}
    inside = [(r, ends[0] <= r.metrics.top1 <= ends[1]) for r in found if (ends := places[r.key])]
    labels = {row.key: spec.label(row) for row in spec.rows}
    outside = ", ".join(f"{labels[record.key]} seed {record.seed}" for record, is_in in inside if not is_in)
    count = f"{sum(is_in for _, is_in in inside)} of {len(inside)} accuracies lie where 95 % of further published seeds would"
    same = f"the published digits in {sum(both)} of {len(both)} runs"
    return [same] * bool(both) + [count + f" (outside: {outside})" * bool(outside)] * bool(inside)
