"""The shipped nets: they fit their profiles, and what does not fit or is damaged is told."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nlrepro import record as records
from nlrepro.config import Profile, load_profile
from nlrepro.files import BadInput
from nlrepro.nets.pretrained import pretrained
from nlrepro.pretrained import net_path, note_path, read_note
from nlrepro.spec import DEPTHS, Depth, RunSpec
from nlrepro.train.pretraining import accuracy, pretrain


@pytest.fixture
def own(tmp_path: Path) -> Profile:
    """The mini profile with a copy of the ResNet-50 in a folder of one's own."""
    profile = replace(load_profile("mini"), pretrained=str(tmp_path / "nets"))
    copy = net_path(profile.pretrained, 50)
    copy.parent.mkdir()
    shutil.copy(net_path("mini", 50), copy)
    shutil.copy(note_path(net_path("mini", 50)), note_path(copy))
    return profile


@pytest.mark.parametrize("name", ["mini", "smoke"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_shipped_nets_fit_and_are_above_their_bar(name: str, depth: Depth) -> None:
    profile = load_profile(name)
    state, called = pretrained(depth, profile)
    assert all(x.dtype != torch.float16 for x in state.values())
    assert called.startswith(f"mini-r{depth}.pt (sha256 ")
    assert profile.pretraining
    assert read_note(net_path("mini", depth))["percent"]["stills"] >= profile.pretraining.bar


def test_the_note_says_what_the_net_does() -> None:
    """Of some stills; the note is of more."""
    from nlrepro.data.synthetic import tags
    from nlrepro.nets.resnet import VideoResNet
    from nlrepro.spec import NetSpec

    profile = load_profile("mini")
    assert profile.pretraining
    assert profile.generator
    net = VideoResNet(NetSpec(), profile.geometry, len(tags(profile.generator)))
    net.load_state_dict(pretrained(50, profile)[0])
    some = replace(profile, pretraining=replace(profile.pretraining, stills=500))
    assert accuracy(net, some)["stills"] == pytest.approx(read_note(net_path("mini", 50))["percent"]["stills"], abs=3)


def test_another_net_gives_another_fingerprint(own: Profile) -> None:
    before = records.fingerprint(RunSpec(), own)
    note = note_path(net_path(own.pretrained, 50))
    note.write_text(json.dumps(json.loads(note.read_text()) | {"sha256": "0" * 64}))
    read_note.cache_clear()
    assert records.fingerprint(RunSpec(), own) != before


def test_a_net_of_other_settings_is_refused(own: Profile) -> None:
    wide = replace(own, geometry=replace(own.geometry, width=16))
    with pytest.raises(BadInput, match=r"net\.width is 8, the profile has 16; `pretrain` makes one that fits"):
        pretrained(50, wide)


def test_a_changed_or_missing_net_is_told(own: Profile) -> None:
    net = net_path(own.pretrained, 50)
    net.write_bytes(net.read_bytes()[:1000])
    with pytest.raises(BadInput, match="is not the file that its note is of"):
        pretrained(50, own)
    with pytest.raises(BadInput, match=r"no pretrained net .*r101.pt; `pretrain` makes it"):
        pretrained(101, own)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"sha256": "1"}', "\x00"])
def test_a_damaged_note_is_told(own: Profile, content: str) -> None:
    note_path(net_path(own.pretrained, 50)).write_text(content)
    with pytest.raises(BadInput, match=r"the note .*r50.json is damaged"):
        pretrained(50, own)


def test_a_net_below_its_bar_is_not_written(own: Profile, tmp_path: Path) -> None:
    assert own.pretraining
    short = replace(own, pretraining=replace(own.pretraining, steps=2, batch=4, stills=50))
    with pytest.raises(BadInput, match=r"its bar is 90\.0 %"):
        pretrain(50, short, tmp_path / "new.pt")
    assert not list(tmp_path.glob("new*"))


def test_what_is_pretrained_can_be_started_from(own: Profile, tmp_path: Path) -> None:
    assert own.pretraining
    easy = replace(own, pretraining=replace(own.pretraining, steps=2, batch=4, stills=50, bar=0.0))
    read_note.cache_clear()
    pretrain(50, easy, net_path(easy.pretrained, 50))
    read_note.cache_clear()
    assert pretrained(50, easy)[0].keys() == pretrained(50, load_profile("mini"))[0].keys()


def test_a_profile_that_cannot_pretrain_says_so(tmp_path: Path) -> None:
    real = replace(load_profile("paper"), pretrained="mini")
    with pytest.raises(BadInput, match=r"the profile paper has no \[pretraining\] and \[generator\]"):
        pretrained(50, real)
