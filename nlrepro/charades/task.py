"""Table 4 as a task: what nlrepro/beyond/experiment.py asks for, and the rows of the table."""

from collections.abc import Callable
from typing import get_args

from nlrepro.beyond.experiment import Line, printed
from nlrepro.charades.profile import Profile, dry, load
from nlrepro.charades.trial import ActionTrial
from nlrepro.spec import ActionSpec, NetSpec, RunSpec, Split
from nlrepro.sweep.jobs import Job, Work, with_parents
from nlrepro.trial import Folders

NETS = {"I3D": NetSpec(depth=101, conv="3x1x1"), "NL I3D": NetSpec(depth=101, conv="3x1x1", blocks="5-block")}
COLUMN: dict[Split, str] = {"train/val": "map_train_val", "trainval/test": "map_trainval_test"}  # of the paper's table


class Parent(Job):
    """A run of Table 2 that others start from: its generated videos are made with it, as those of Table 4 are."""

    def prepare(self, processes: int) -> None:
        profile = self.run.profile
        if profile.generator:
            from nlrepro.data.generate import make  # which imports much

            make(profile.generator, self.run.folders.data / profile.data.root, processes)
        super().prepare(processes)


class Charades:
    """What is trained for Table 4; `tables_of` tells which tables show a run of the video task that one starts from."""

    def __init__(self, tables_of: Callable[[RunSpec], tuple[str, ...]]) -> None:
        self.tables_of = tables_of

    def load(self, profile: str) -> Profile:
        return load(profile)

    def dry(self, profile: Profile, steps: int) -> Profile:
        return dry(profile, steps)

    def can(self, spec: ActionSpec, profile: Profile) -> bool:
        return True

    def trial(self, spec: ActionSpec, profile: Profile, seed: int, folders: Folders) -> ActionTrial:
        return ActionTrial(spec=spec, profile=profile, seed=seed, folders=folders)

    def jobs(self, trial: ActionTrial, tables: tuple[str, ...]) -> list[Work]:
        """The trial, after the runs of Table 2 that it starts from."""
        from nlrepro.charades.job import ActionJob  # takes 0.7 s, which other tables do without

        parent = trial.parent
        before = with_parents([Job(parent, tables=self.tables_of(parent.spec))], self.tables_of) if parent else []
        return [*(Parent(job.run, tables=job.tables) for job in before), ActionJob(trial, tables)]


def lines() -> tuple[Line, ...]:
    """The rows: in each split I3D, then NL I3D, with the paper's mAP."""
    of_paper = {row["model"]: row for row in printed("4")}
    return tuple(
        Line(
            label=f"{model}, {split}",
            depth=net.depth,
            spec=ActionSpec(net=net, split=split),
            paper={"map": float(of_paper[model][COLUMN[split]])},
        )
        for split in get_args(Split)
        for model, net in NETS.items()
    )
