"""From the records of Tables 4 to 6 to tables, figures and verdicts; and from local records to published ones. Trains nothing."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nlrepro.beyond import outcome
from nlrepro.beyond.comparing import judge
from nlrepro.beyond.experiment import Experiment
from nlrepro.beyond.outcome import Outcome
from nlrepro.beyond.tables import comparable, draw, frame, shown
from nlrepro.experiments import findings
from nlrepro.files import BadInput, write_atomic
from nlrepro.record import record_path
from nlrepro.report.figures import to_svg
from nlrepro.report.finding import days
from nlrepro.report.formats import to_csv, to_latex, to_text
from nlrepro.report.verdicts import Verdict, claims_frame
from nlrepro.trial import Folders


@dataclass(frozen=True, kw_only=True)
class Board:
    """A table with all that stands around it."""

    experiment: Experiment
    profile: Any
    records: list[Outcome]  # the fresh ones
    stale: list[Path]
    frames: dict[str, pd.DataFrame]  # by source; the last one is whose verdicts these are
    verdicts: list[Verdict]

    @property
    def heading(self) -> str:
        return f"Table {self.experiment.table}. {self.experiment.title}"

    @property
    def recorded(self) -> bool:
        return any(found["seeds"].any() for found in self.frames.values())

    @property
    def shown(self) -> pd.DataFrame:
        return shown(self.experiment, self.frames)

    @property
    def note(self) -> str:
        """Where the numbers come from, and what brackets mean."""
        used = comparable(self.experiment, self.records)
        if not used:
            return "No records yet."
        seeds = sorted({record.seed for record in used})
        parts = [
            f"profile {self.profile.name}",
            f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}",
            f"tested on {' or '.join(sorted({f'{record.tested:,}' for record in used}))}",
            days(used),
            ", ".join(sorted({record.made.device for record in used})),
            *sorted({note for record in used for note in record.notes}),
        ]
        return f"{'; '.join(parts)}. Brackets: 95 % intervals over seeds, paired by seed; all rows are tested on the same data."

    @property
    def runs(self) -> list[tuple[str, str, str]]:
        """Of each record its run, what came out, and where it lies below the results."""
        return [
            (f"{r.key} seed {r.seed}", r.headline, record_path(Path(), r.profile, r.key, r.seed).as_posix()) for r in self.records
        ]

    @property
    def svg(self) -> bytes:
        return to_svg(draw(self.experiment, self.frames))


def board(experiment: Experiment, profile_name: str, folders: Folders) -> Board:
    """What the records say; local ones beside the published."""
    profile = experiment.task.load(profile_name)
    experiment = experiment.within(profile)
    mine, stale = fresh(experiment, profile, folders)
    frames = {"here": frame(experiment, mine)}
    if not findings.is_published(folders.results) and findings.PUBLISHED.is_dir():
        public = fresh(experiment, profile, Folders(data=folders.data, results=findings.PUBLISHED))[0]
        frames = {"published": frame(experiment, public), "yours": frames["here"]} if public else frames
    verdicts = judge(experiment, comparable(experiment, mine), len(profile.seeds))
    return Board(experiment=experiment, profile=profile, records=mine, stale=stale, frames=frames, verdicts=verdicts)


def fresh(experiment: Experiment, profile: Any, folders: Folders) -> tuple[list[Outcome], list[Path]]:
    """The records of the table's rows that fit as settings and data are now; the paths of those that do not.

    Published records are not held to the data that lie here.
    """
    good: list[Outcome] = []
    stale: list[Path] = []
    specs = {line.spec.key: line.spec for line in experiment.within(profile).lines}
    for record in outcome.read_all(folders.results, profile.name):
        if record.key in specs:
            run = experiment.task.trial(specs[record.key], profile, record.seed, folders)
            fits = run.has_settings_of(record) if findings.is_published(folders.results) else run.is_fresh(record)
            if fits:
                good.append(record)
            else:
                stale.append(run.record_path)
    return good, stale


def report(experiment: Experiment, profile_name: str, folders: Folders) -> None:
    """Write the table's files and print it with its verdicts."""
    write(board(experiment, profile_name, folders), folders)


def write(found: Board, folders: Folders) -> None:
    experiment = found.experiment
    if found.stale:
        print(f"stale (made with other settings or data) and left out: {', '.join(map(str, found.stale))}")
    name, text = f"table{experiment.table}", found.shown
    tables, figures = (folders.results / kind / found.profile.name for kind in ("tables", "figures"))
    lines = [verdict.line for verdict in found.verdicts]
    markdown = [f"## {found.heading}", to_text(text), "\n".join(f"- {line}" for line in lines), found.note]
    write_atomic(tables / f"{name}.md", "\n\n".join(markdown) + "\n")
    write_atomic(tables / f"{name}.csv", to_csv(list(found.frames.values())[-1]))
    write_atomic(tables / f"{name}.tex", to_latex(experiment.title, experiment.table, text))
    write_atomic(tables / f"claims{experiment.table}.csv", to_csv(claims_frame(found.verdicts)))
    write_atomic(figures / f"{name}.svg", found.svg)
    print("\n\n".join([f"\n{found.heading}", to_text(text, "simple"), "\n".join(lines), found.note]))
    print(f"written: {tables}/{name}.md, .csv, .tex, claims{experiment.table}.csv; {figures}/{name}.svg")


def publish(experiment: Experiment, profile_name: str, folders: Folders, seeds: Sequence[int], only: str = "*") -> None:
    """Copy the fresh records of these seeds, of keys like `only`, to `results/published`, drop stale ones there, and report.

    Raises:
        BadInput: a row that the profile can build has no fresh record of one of the seeds.
    """
    profile, public = experiment.task.load(profile_name), Folders(data=folders.data, results=findings.PUBLISHED)
    wanted = fnmatch.filter([line.spec.key for line in experiment.within(profile).lines], only)
    good = [record for record in fresh(experiment, profile, folders)[0] if record.seed in seeds and record.key in wanted]
    have = {(record.key, record.seed) for record in good}
    missing = [f"{key} seed {seed}" for key in wanted for seed in seeds if (key, seed) not in have]
    if missing:
        raise BadInput(f"not published: no fresh record of {', '.join(missing)}; run the sweep first")
    for record in good:
        source, target = (record_path(at.results, profile.name, record.key, record.seed) for at in (folders, public))
        write_atomic(target, source.read_bytes())
    for path in fresh(experiment, profile, public)[1]:
        path.unlink()
    report(experiment, profile_name, public)
