"""What trainings of Tables 4 to 6 have in common: they go on where they were cut off, and end with a record."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

import pytorch_lightning as pl

from nlrepro.beyond import outcome
from nlrepro.beyond.outcome import Outcome
from nlrepro.beyond.trials import Measured
from nlrepro.record import Cost, as_read
from nlrepro.sweep.status import forget_queued
from nlrepro.tracking.dashboard import conclude, dashboard, id_path, resume
from nlrepro.train.checkpoint import Try, earlier, save_atomic
from nlrepro.train.learner import Learner
from nlrepro.train.machine import Machine
from nlrepro.train.progress import Report
from nlrepro.train.provenance import announce, provenance
from nlrepro.train.runner import EXACT, Exact, trainer

Splits = TypeVar("Splits", bound=pl.LightningDataModule)


@dataclass(frozen=True, kw_only=True)
class Trained(Generic[Splits]):
    """A net that has gone through its training, with all that its test and its record need."""

    run: Measured
    tables: tuple[str, ...]
    learner: Learner
    splits: Splits
    lightning: pl.Trainer
    attempt: Try

    def record(
        self, *, metrics: Mapping[str, float], tested: int, notes: tuple[str, ...], cost: Cost, start: Mapping[str, str]
    ) -> Outcome:
        """What came out; `start` names the weights that it started from."""
        run = self.run
        return Outcome(
            key=run.key,
            profile=run.profile_name,
            seed=run.seed,
            tables=self.tables,
            spec=asdict(run.spec),
            fingerprint=run.fingerprint,
            settings=as_read(run.settings),
            metrics=dict(metrics),
            tested=tested,
            notes=notes,
            curve=tuple(self.learner.curve),
            cost=cost,
            made=provenance(self.attempt.seconds, self.lightning.strategy.root_device, start),
            data=self.attempt.videos,
        )

    def keep(self, record: Outcome, logged: Mapping[str, float]) -> Outcome:
        """Write the net and the record, and remove what only an unfinished run needs; `logged` goes to the dashboard."""
        run, lightning = self.run, self.lightning
        if lightning.is_global_zero:
            if lightning.logger:
                conclude(lightning.logger, logged)
            save_atomic(self.learner.net.state_dict(), run.weights)
            outcome.write(record, run.folders.results)
            run.checkpoint.unlink(missing_ok=True)
            id_path(run).unlink(missing_ok=True)
            forget_queued(run)
        return record


def fit(
    run: Measured,
    learner: Learner,
    splits: Callable[[int], Splits],
    *,
    tables: tuple[str, ...],
    config: Mapping[str, Any],
    machine: Machine,
    report: Report,
    exact: Exact = EXACT,
) -> Trained[Splits]:
    """Train from where an earlier try was cut off; `splits` gives the data from that step on, `config` is for the dashboard."""
    data = run.data
    attempt = Try(learner, report, machine.world_size, data)
    state = earlier(run.checkpoint, learner, machine.world_size, data)
    first = int(state["global_step"]) if state else 0
    announce(run, first, learner.recipe.steps)
    lightning = trainer(learner, run.checkpoint, dashboard(run, tables, config), attempt, machine, exact)
    if lightning.logger and lightning.is_global_zero:
        resume(lightning.logger, run.folder, learner.points(state["curve"]) if state else [])
    found = splits(first)
    lightning.fit(learner, datamodule=found, ckpt_path=str(run.checkpoint) if state else None, weights_only=True)
    return Trained(run=run, tables=tables, learner=learner, splits=found, lightning=lightning, attempt=attempt)
