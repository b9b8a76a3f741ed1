"""Sweeps and pretraining that are struck down in the middle of a run, at moments drawn from the run's own steps."""

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import attempts
import pytest
from attempts import SIGNALS, Strike, Struck

from ablations.registry import TABLES
from nlrepro.config import Profile
from nlrepro.sweep.jobs import Job, with_parents
from nlrepro.train.pretraining import pretrain
from nlrepro.trial import Folders

pytestmark = pytest.mark.rare
STEPS = 12


@pytest.fixture(scope="module")
def profile(smoke: Profile) -> Profile:
    return attempts.longer(smoke)


def family(profile: Profile, folders: Folders) -> list[Job]:
    """A run of short clips and the one of long clips that starts from it, both of which can be struck."""
    (long,) = TABLES.jobs([TABLES["2g"]], [0], profile, folders, "r50-i3d-3x1x1-long")
    pair = with_parents([long], TABLES.tables_of)
    return [replace(job, build=partial(Struck, job.run.spec, folders.results / "strike.json")) for job in pair]


def strikes() -> Iterator[Strike]:
    """Each pair of signal and victim, signal and moment, victim and moment, kind of run and moment; the steps are drawn."""
    draw = random.Random(0)
    for (s, name), (m, moment) in product(enumerate(SIGNALS), enumerate(("step", "validation", "test"))):
        step = {"step": draw.randrange(STEPS), "validation": draw.choice((3, 6, 9, STEPS)), "test": STEPS}[moment]
        clip, victim = ("short", "long")[(s + m) % 2], ("run", "sweep", "group")[(s + m) % 3]
        yield Strike(clip=clip, moment=moment, step=step, victim=victim, signal=name)


def swept(profile: Profile, folders: Folders) -> ForkServerProcess:
    process = attempts.begin(family(profile, folders))
    process.join()
    return process


def test_runs_struck_in_their_midst_end_as_if_they_had_not_been(profile: Profile, data: Path, tmp_path: Path) -> None:
    """A sweep that was struck is begun again, with the next strike, until both runs are recorded: then in a new folder."""
    calm = Folders(data=data, results=tmp_path / "calm")
    assert swept(profile, calm).exitcode == 0
    expected = attempts.outcomes(calm.results, profile)
    landed, number = Counter[str](), 0
    for strike in strikes():
        folders = Folders(data=data, results=tmp_path / str(number))
        struck, ended = strike.planned(folders.results), False
        while not struck.exists():
            ended = swept(profile, folders).exitcode == 0
            if ended:  # the run was recorded before its strike, or lived on
                assert attempts.outcomes(folders.results, profile) == expected
                number += 1
                folders = Folders(data=data, results=tmp_path / str(number))
                struck = struck if struck.exists() else strike.planned(folders.results)
        landed[f"{strike.clip}, {strike.moment}"] += 1
        landed[f"{strike.victim}, {strike.signal}"] += 1
    folders = Folders(data=data, results=tmp_path / str(number))
    assert swept(profile, folders).exitcode == 0
    assert attempts.outcomes(folders.results, profile) == expected
    again = Counter(line.split(" from ")[1].split(" of ")[0] for line in attempts.beginnings(tmp_path))
    print(*sorted((landed | again).items()), sep="\n")
    assert len(landed) == 6 + 9
    assert {"step 3", "step 6", "step 9"} & set(again)  # some went on within a run


@pytest.mark.parametrize("name", SIGNALS)
def test_pretraining_struck_at_any_step_leaves_nothing_and_gives_the_same_net(smoke: Profile, tmp_path: Path, name: str) -> None:
    assert smoke.pretraining
    few = replace(smoke, pretraining=replace(smoke.pretraining, steps=4, batch=8, stills=64, bar=0.0))
    pretrain(50, few, tmp_path / "calm.pt")
    out = tmp_path / "struck" / "net.pt"
    for step in (1, 3, 4):
        process = attempts.SERVER.Process(target=attempts.pretrain_until, args=(few, out, step, name))
        process.start()
        process.join()
        assert process.exitcode != 0
        assert not out.parent.exists() or not os.listdir(out.parent)
    pretrain(50, few, out)
    assert out.read_bytes() == (tmp_path / "calm.pt").read_bytes()
    assert json.loads((tmp_path / "struck" / "net.json").read_text())["sha256"]
