"""How the shipped nets are trained: what their notes state, and what is not written."""

from dataclasses import replace
from pathlib import Path

import pytest

from nlrepro.config import Profile, load_profile
from nlrepro.data.synthetic.card_videos import tags
from nlrepro.files import BadInput
from nlrepro.nets.resnet import VideoResNet
from nlrepro.nets.weights import pretrained
from nlrepro.pretrained import net_path, read_note
from nlrepro.spec import NetSpec
from nlrepro.train.pretrain import accuracy, pretrain


@pytest.fixture
def own(tmp_path: Path) -> Profile:
    """The mini profile with a short recipe, and nets in a folder of one's own."""
    profile = load_profile("mini")
    assert profile.pretraining
    short = replace(profile.pretraining, steps=2, batch=4, stills=50)
    return replace(profile, pretrained=str(tmp_path / "nets"), pretraining=short)


def test_the_note_states_what_the_net_does() -> None:
    """Of some stills; the note is of more."""
    profile = load_profile("mini")
    assert profile.pretraining
    assert profile.generator
    net = VideoResNet(NetSpec(), profile.geometry, len(tags(profile.generator)))
    net.load_state_dict(pretrained(50, profile)[0])
    some = replace(profile, pretraining=replace(profile.pretraining, stills=500))
    stated = read_note(net_path("mini", 50))["percent"]["stills"]
    assert accuracy(net, some)["stills"] == pytest.approx(stated, abs=3)


def test_a_net_below_its_bar_is_not_written(own: Profile, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"its bar is 90\.0 %"):
        pretrain(50, own, tmp_path / "new.pt")
    assert not list(tmp_path.glob("new*"))


def test_what_is_pretrained_can_be_started_from(own: Profile) -> None:
    assert own.pretraining
    easy = replace(own, pretraining=replace(own.pretraining, bar=0.0))
    read_note.cache_clear()
    pretrain(50, easy, net_path(easy.pretrained, 50))
    read_note.cache_clear()
    assert pretrained(50, easy)[0].keys() == pretrained(50, load_profile("mini"))[0].keys()
