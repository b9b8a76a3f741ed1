"""A run's net as a small file; the committed one, which pictures and notebooks look with, is its record's."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from conftest import ROOT

from ablations.__main__ import main
from ablations.registry import TABLES
from nlrepro import record as records
from nlrepro.attention.attend import clip_of, net_of, normalised
from nlrepro.config import Profile, load_profile
from nlrepro.data.generate import write_video
from nlrepro.data.synthetic import card_video
from nlrepro.evaluation import read_note
from nlrepro.files import BadInput
from nlrepro.nets.reading import tensors
from nlrepro.released.evaluate import identify
from nlrepro.released.importing import keep
from nlrepro.run import Run
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.trial import Folders

NL = RunSpec(net=NetSpec(blocks="5-block"))
SEED = 0
KEPT = ROOT / "results" / "published" / "weights" / "mini" / f"{NL.key}-seed{SEED}.pt"


def test_a_kept_net_is_the_runs_in_half_precision(swept: Path, smoke: Profile, tmp_path: Path) -> None:
    out = tmp_path / "net.pt"
    words = ["keep", NL.key, "--seed", "1", "--profile", "smoke", "--results", str(swept), "--out", str(out)]
    assert main(words) == 0
    whole = Run(spec=NL, profile=smoke, seed=1, folders=Folders(results=swept)).weights
    for name, x in tensors(whole).items():
        kept = tensors(out)[name]
        assert torch.equal(kept, x.half() if x.is_floating_point() else x)
    assert out.stat().st_size < 0.6 * whole.stat().st_size
    note = identify(out, NL, smoke)
    assert (note.source, note.variant, note.key) == ("run", "seed1", NL.key)
    assert note.file == f"smoke/{NL.key}/seed1/net-{records.fingerprint(NL, smoke)}.pt"
    assert note.sha256 == sha256(whole.read_bytes()).hexdigest()
    assert main(words) == 0
    assert sha256(out.read_bytes()).hexdigest() == note.state


def test_only_finished_runs_that_float16_holds_are_kept(swept: Path, smoke: Profile, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no finished run r50-c2d seed 7 below"):
        keep(Run(spec=RunSpec(), profile=smoke, seed=7, folders=Folders(results=swept)), tmp_path / "net.pt")
    run = Run(spec=RunSpec(), profile=smoke, seed=0, folders=Folders(results=tmp_path))
    for path in (swept / "records" / "smoke" / "r50-c2d").iterdir():
        records.write(records.read(path), tmp_path)
    file = run.weights
    file.parent.mkdir(parents=True)
    large = tensors(replace(run, folders=Folders(results=swept)).weights)
    large["fc.bias"].fill_(1e6)
    torch.save(large, file)
    with pytest.raises(BadInput, match=r"float16 cannot hold fc\.bias of .*; keep the file itself"):
        keep(run, tmp_path / "net.pt")
    assert not (tmp_path / "net.pt").exists()


def test_the_committed_net_is_small_and_its_note_names_a_fresh_record() -> None:
    mini = load_profile("mini")
    note = read_note(KEPT.with_name(KEPT.name + ".json"))
    assert KEPT.stat().st_size < 1.5e6
    assert note.state == sha256(KEPT.read_bytes()).hexdigest()
    assert note.key == NL.key
    assert note.file == f"mini/{NL.key}/seed{SEED}/net-{records.fingerprint(NL, mini)}.pt"
    run = Run(spec=NL, profile=mini, seed=SEED, folders=Folders(results=ROOT / "results" / "published"))
    assert run.has_settings_of(records.read(run.record_path))


def test_the_committed_net_ranks_classes_as_its_record_says(tmp_path: Path) -> None:
    """On 50 of the test videos, made again; in half precision a rank may differ."""
    mini = load_profile("mini")
    assert mini.generator is not None
    found = [(*card_video(mini.generator, "test", i)[1:], i) for i in range(mini.generator.videos["test"])]
    files = sorted((name, f"{i:05d}-{kind}.mp4", i) for name, kind, i in found)
    classes = sorted({name for name, *_ in files})
    net, _ = net_of(KEPT, TABLES.spec(NL.key), mini)
    ranks = records.read(records.record_path(ROOT / "results" / "published", "mini", NL.key, SEED)).metrics.ranks
    agree = 0
    for number, (name, file, i) in list(enumerate(files))[::100]:
        write_video(i, task=mini.generator, root=tmp_path, split="test")
        clip = clip_of(tmp_path / "test" / name / file, mini, NL, 0.5)  # (T, H, W, 3)
        with torch.no_grad():
            scores = net(normalised(clip, mini.data))[0]
        agree += int((scores > scores[classes.index(name)]).sum()) == int(ranks[number])
    assert agree >= 49
