"""Sweeps and pretraining that are struck down in the middle of a run, at moments drawn from the run's own steps."""

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import attempts
import pytest
from attempts import SIGNALS, Strike, Struck
from conftest import smoke_run

from nlrepro.config import Profile
from nlrepro.run import Folders, Run, with_parents
from nlrepro.train.pretrain import pretrain

pytestmark = pytest.mark.rare
STEPS = 12


def family(profile: Profile, folders: Folders) -> list[Run]:
    """A run of short clips and the one of long clips that starts from it, both of which can be struck."""
    long = replace(smoke_run("r50-i3d-3x1x1-long", folders), profile=profile)
    return [replace(run, module=Struck) for run in with_parents([long])]


def strikes() -> Iterator[Strike]:
    """Each pair of signal and victim, signal and moment, victim and moment, kind of run and moment; the steps are drawn."""
    draw = random.Random(0)
    for (s, name), (m, moment) in product(enumerate(SIGNALS), enumerate(("step", "validation", "test"))):
        steps = {"step": draw.randrange(STEPS), "validation": draw.choice((3, 6, 9, STEPS)), "test": STEPS}
        clip, victim = ("short", "long")[(s + m) % 2], ("run", "sweep", "group")[(s + m) % 3]
        yield Strike(clip=clip, moment=moment, step=steps[moment], victim=victim, signal=name)


def swept(profile: Profile, folders: Folders) -> ForkServerProcess:
    process = attempts.begin(family(profile, folders))
    process.join()
    return process


def test_runs_struck_in_their_midst_end_as_if_they_had_not_been(
    smoke: Profile, data: Path, tmp_path: Path
) -> None:
    """A sweep that was struck is begun again, with the next strike, until both runs are recorded: then in a new folder."""
    profile, calm = attempts.longer(smoke, STEPS, 3), Folders(data=data, results=tmp_path / "calm")
    assert swept(profile, calm).exitcode == 0
    expected = attempts.outcomes(calm.results, "smoke")
    landed, number = Counter[str](), 0
    for strike in strikes():
        folders = Folders(data=data, results=tmp_path / str(number))
        struck = strike.plan(folders.results)
        while not struck.exists():
            if swept(profile, folders).exitcode == 0:  # the run was recorded before its strike, or lived on
                assert attempts.outcomes(folders.results, "smoke") == expected
                number += 1
                folders = Folders(data=data, results=tmp_path / str(number))
                struck = struck if struck.exists() else strike.plan(folders.results)
        landed[f"{strike.clip}, {strike.moment}"] += 1
        landed[f"{strike.victim}, {strike.signal}"] += 1
    folders = Folders(data=data, results=tmp_path / str(number))
    assert swept(profile, folders).exitcode == 0
    assert attempts.outcomes(folders.results, "smoke") == expected
    begins = Counter(line.split(" from ")[1].split(" of ")[0] for line in attempts.beginnings(tmp_path))
    print(*sorted((landed | begins).items()), sep="\n")
    assert len(landed) == 6 + 9
    assert {"step 3", "step 6", "step 9"} & set(begins)  # some went on within a run


def test_pretraining_struck_at_any_step_leaves_nothing_and_gives_the_same_net(
    smoke: Profile, tmp_path: Path
) -> None:
    assert smoke.pretraining
    few = replace(smoke, pretraining=replace(smoke.pretraining, steps=4, batch=8, stills=64, bar=0.0))
    pretrain(50, few, tmp_path / "calm.pt")
    out = tmp_path / "struck" / "net.pt"
    for step, name in zip((1, 3, 4), SIGNALS, strict=True):
        process = attempts.SERVER.Process(target=attempts.pretrain_until, args=(few, out, step, name))
        process.start()
        process.join()
        assert process.exitcode != 0
        assert not out.parent.exists() or not os.listdir(out.parent)
    pretrain(50, few, out)
    assert out.read_bytes() == (tmp_path / "calm.pt").read_bytes()
    assert json.loads((tmp_path / "struck" / "net.json").read_text())["sha256"]
