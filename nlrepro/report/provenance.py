"""Where a set of records comes from, as lines to read: dates, machines, versions, seeds, hours."""

from collections.abc import Sequence

from nlrepro.record import Record


def provenance(records: Sequence[Record]) -> dict[str, str]:
    """Empty without records; dates are those of the records, so that a rerun changes nothing."""
    if not records:
        return {}
    versions: dict[str, set[str]] = {}
    for record in records:
        for name, value in record.made.versions.items():
            versions.setdefault(name, set()).add(value)
    dates = sorted({record.made.date[:10] for record in records})
    hours = sum(record.made.seconds for record in records) / 3600
    return {
        "runs": f"{len(records)} of {len({record.key for record in records})} nets",
        "seeds": ", ".join(map(str, sorted({record.seed for record in records}))),
        "tested on": " or ".join(sorted({record.metrics.tested for record in records})),
        "views a video": " or ".join(map(str, sorted({record.metrics.views for record in records}))),
        "date": dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}",
        "machine": ", ".join(sorted({record.made.device for record in records})),
        "time": f"{hours:.1f} hours, the sum of the runs' own",
        "versions": ", ".join(f"{name} {' or '.join(sorted(found))}" for name, found in sorted(versions.items())),
        "code": ", ".join(sorted({record.made.git for record in records} - {""})) or "no commit noted",
    }
