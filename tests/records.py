"""Records that no run has made, for the tests of results."""

from dataclasses import asdict
from typing import Any

from nlrepro.record import Cost, Provenance, Record, Weights, digest
from nlrepro.run import Run

MADE = Provenance(date="2024-01-01T10:00:00", git="", versions={}, device="a laptop CPU", seconds=1.0)


def record(key: str, seed: int | None, ranks: str = "", **fields: Any) -> Record:
    """A record of nothing but the ranks of its test videos, and of what `fields` give."""
    top = {f"top{n}": 100 * sum(digit < str(n) for digit in ranks) / len(ranks) for n in (1, 5) if ranks}
    plain = {"profile": "mini", "tables": (), "spec": {}, "settings": {}, "fingerprint": "", "metrics": top}
    plain |= {"tested": len(ranks), "ranks": ranks, "cost": Cost(params=1, macs=1), "made": MADE}
    return Record(key=key, seed=seed, **(plain | fields))


def of_kinds(key: str, seed: int, **kinds: str) -> Record:
    """A record of the ranks of test videos by kind."""
    return record(key, seed, "".join(kinds.values()), kinds=kinds)


def fresh_record(run: Run, ranks: str = "01", **fields: Any) -> Record:
    """A record of a run with the settings that it has now."""
    own = {"profile": run.profile.name, "tables": run.tables, "spec": asdict(run.spec)}
    own |= {"settings": run.settings, "fingerprint": run.fingerprint}
    return record(run.key, run.seed, ranks, **(own | fields))


def weights_record(run: Run, variant: str, ranks: str, state: str = "0" * 64, **fields: Any) -> Record:
    """A fresh test of released weights for the net of a run."""
    file = f"{run.key}.pkl"
    weights = Weights(source="caffe2", variant=variant, key=run.key, file=file, sha256="0" * 64, state=state)
    settings = run.task.test_settings(run.spec, run.profile, weights)
    own = {"profile": run.profile.name, "spec": asdict(run.spec), "settings": settings, "weights": weights}
    own |= {"fingerprint": digest(settings), "views": 30, "listed": len(ranks) + 1}
    return record(run.key, None, ranks, **(own | fields))
