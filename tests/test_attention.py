"""What a position looks at: rows of f / C, planted keys, the pixels that positions are about, pictures of any net and video."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np
import pytest
import torch
from conftest import ROOT
from films import film
from PIL import Image
from test_evaluation import imported
from torch import Tensor, nn

from ablations.__main__ import main
from nlrepro import record as records
from nlrepro.attention.attend import attend
from nlrepro.attention.compared import Compared, centres, compared
from nlrepro.attention.drawing import draw, nearest
from nlrepro.attention.looks import Attention, Position
from nlrepro.config import Profile, load_profile
from nlrepro.data.generate import write_video
from nlrepro.files import BadInput
from nlrepro.nets.block import NonLocalBlock
from nlrepro.nets.resnet import FoldedNonLocalBlock, VideoResNet
from nlrepro.released.nets import ReleasedResNet
from nlrepro.released.variants import variant
from nlrepro.spec import NetSpec, PaperForm, RunSpec

NL = RunSpec(net=NetSpec(blocks="5-block"))
FORMS = get_args(PaperForm)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("architecture", ["text", "release"])
def test_rows_are_those_that_the_block_sums_with(form: str, architecture: Any) -> None:
    torch.manual_seed(0)
    block = NonLocalBlock(8, form, architecture=architecture).double()
    k = 8 if form == "gaussian" else 4
    theta, phi, g = torch.randn(2, 6, k).double(), torch.randn(2, 5, k).double(), torch.randn(2, 5, 4).double()
    weights = block.weights(theta, phi)
    torch.testing.assert_close(weights @ g, block.aggregate(theta, phi, g), rtol=0, atol=1e-6)
    torch.testing.assert_close(block.weights(theta[1:, 2:4], phi[1:]), weights[1:, 2:4], rtol=0, atol=1e-6)
    if form in ("gaussian", "embedded"):
        torch.testing.assert_close(weights.sum(2), torch.ones(2, 6).double())
    assert (weights.sum(2) - 1).abs().max() > 0.01 or form in ("gaussian", "embedded")


class Planted(nn.Module):
    """A net of nothing but one Gaussian block, which compares the clip itself."""

    def __init__(self, subsample: bool, domain: Any, group: int | None = None) -> None:
        super().__init__()
        block = FoldedNonLocalBlock(4, "gaussian", domain, subsample=subsample)
        block.group = group
        self.inserted = nn.ModuleDict({"res3_1": block})

    def forward(self, clip: Tensor) -> Tensor:
        return self.inserted["res3_1"](clip.transpose(1, 2).flatten(0, 1), clip.shape[2])


def planted(
    subsample: bool = True, domain: str = "spacetime", group: int | None = None, **spots: tuple[int, int, int]
) -> Compared:
    """A map of 4 frames of 6 x 8 zeros, but 3, 2 and 1 along one channel at the places `query`, `first` and `second`."""
    clip = torch.zeros(1, 4, 4, 6, 8)
    for strength, (t, y, x) in zip((3.0, 2.0, 1.0), spots.values(), strict=False):
        clip[0, 0, t, y, x] = strength
    net: Any = Planted(subsample, domain, group)
    return compared(net, "res3_1", clip)


def test_a_planted_key_is_the_strongest() -> None:
    found = planted(query=(0, 1, 2), first=(2, 3, 5), second=(3, 0, 7))
    assert (found.shape, found.pooled) == ((4, 6, 8), True)
    look = found.look(Position(0, 1, 2), 3)
    assert look.keys == (Position(0, 0.5, 2.5), Position(2, 2.5, 4.5), Position(3, 0.5, 6.5))
    exact = torch.softmax(torch.tensor([9.0, 6.0, 3.0] + [0.0] * (4 * 3 * 4 - 3)), 0)
    torch.testing.assert_close(torch.tensor(look.weights), exact[:3])
    assert look.of == 48
    assert look.total == pytest.approx(1)
    whole = planted(subsample=False, query=(0, 1, 2), first=(2, 3, 5), second=(3, 0, 7))
    assert whole.look(Position(0, 1, 2), 2).keys == (Position(0, 1, 2), Position(2, 3, 5))
    assert not whole.pooled


def test_a_look_stays_within_the_blocks_domain() -> None:
    spots = {"query": (1, 3, 2), "first": (2, 3, 2), "second": (1, 0, 7)}
    assert planted(domain="time", **spots).look(Position(1, 3, 2), 9).keys[:2] == (Position(1, 3, 2), Position(2, 3, 2))
    space = planted(domain="space", **spots).look(Position(1, 3, 2), 99)
    assert space.keys[1] == Position(1, 0.5, 6.5)
    assert {key.t for key in space.keys} == {1}
    assert {key.t for key in planted(group=2, **spots).look(Position(2, 3, 2), 99).keys} == {2, 3}


@pytest.mark.parametrize("pairs", [1, 1 << 21])
def test_the_farthest_look_is_found_however_rows_are_cut(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    """All others look nowhere in particular; those at the two spots look at each other, the weaker more at the other."""
    monkeypatch.setattr("nlrepro.attention.compared.PAIRS", pairs)
    assert planted(query=(0, 1, 2), first=(3, 5, 7)).farthest(1) == Position(3, 5, 7)


def test_the_farthest_look_is_the_largest_reach() -> None:
    """By loops over all positions."""
    torch.manual_seed(1)
    net: Any = Planted(True, "spacetime")
    found = compared(net, "res3_1", torch.randn(1, 4, 4, 6, 8))
    reaches = {}
    for place in found.queries[0].tolist():
        look = found.look(Position(*place), 5)
        parts = [np.divide(np.subtract(key, place), (4, 6, 8)) for key in look.keys]
        reaches[tuple(place)] = sum(w * np.linalg.norm(part) for w, part in zip(look.weights, parts, strict=True))
    assert found.farthest(5) == max(reaches, key=lambda place: reaches[place])


def support(net: VideoResNet, stage: int, axis: int, i: int, size: tuple[int, int, int]) -> tuple[int, int]:
    """First and last index along an axis of the clip that the stage's map depends on at i: where NaN reaches it."""
    seen: list[Tensor] = []
    block = net.inserted[f"res{stage}_{ {2: 1, 3: 2, 4: 4, 5: 1}[stage] }"]
    hook = block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].unflatten(0, (-1, inputs[1])).isnan()))
    reached = []
    for p in range(size[axis]):
        clip = torch.zeros(1, 3, *size)
        clip.select(axis + 2, p).fill_(torch.nan)
        with torch.no_grad():
            net.eval()(clip)
        reached.append(bool(seen.pop().transpose(1, 2).any(1)[0].select(axis, i).any()))
    hook.remove()
    return reached.index(True), len(reached) - 1 - reached[::-1].index(True)


def paper_like(tiny: Profile, architecture: Any, source: Any, stage: int, conv: Any) -> VideoResNet:
    geometry = replace(
        tiny.geometry,
        architecture=architecture,
        stem_kernel=(3, 3, 3),
        stem_stride=(2, 2, 2),
        pool1_kernel=(3, 3, 3),
        pool1_stride=(2, 2, 2),
        pool2_stride=2,
        stage_strides=(1, 2, 2, 1),
    )
    spec = RunSpec(net=NetSpec(conv=conv, blocks=f"res{stage}"))  # type: ignore[arg-type]
    if source:
        return ReleasedResNet(spec, geometry, 4, source, variant(source, "32x2"))
    return VideoResNet(spec.net, geometry, 4)


@pytest.mark.parametrize(
    ("architecture", "source", "stage", "conv"),
    [
        ("text", None, 2, "2d"),
        ("text", None, 3, "2d"),
        ("text", None, 2, "3x1x1"),
        ("release", None, 3, "2d"),
        ("release", "caffe2", 3, "2d"),
        ("release", "mmaction2", 3, "3x1x1"),
    ],
)
def test_a_position_is_about_the_centre_of_what_it_sees(
    smoke: Profile, architecture: Any, source: Any, stage: int, conv: Any
) -> None:
    """Away from the borders the receptive field is symmetric about that pixel."""
    net = paper_like(smoke, architecture, source, stage, conv)
    time, height, width = centres(net, stage)
    size = (8, 8, 257) if stage == 3 else (8, 8, 97)
    i = round((size[2] / 2 - width.shift) / width.scale)
    first, last = support(net, stage, 2, i, size)
    assert 0 < first < last < size[2] - 1
    assert (first + last) / 2 == width.centre(i)
    assert (height.scale, height.shift) == (width.scale, width.shift)
    size = (112, 8, 8)
    i = round((size[0] / 2 - time.shift) / time.scale)
    first, last = support(net, stage, 0, i, size)
    assert 0 < first <= last < size[0] - 1
    assert (first + last) / 2 == time.centre(i)


def net_file(results: Path, spec: RunSpec) -> Path:
    (path,) = (results / "runs" / "smoke" / spec.key / "seed0").glob("net-*.pt")
    return path


def video_of(data: Path) -> Path:
    return sorted((data / "smoke" / "test").glob("*/*.mp4"))[0]


def words_of(data: Path, weights: Path, out: Path) -> list[str]:
    return ["attend", str(video_of(data)), "--weights", str(weights), "--profile", "smoke", "--out", str(out)]


@pytest.mark.parametrize("suffix", ["png", "svg", "gif", "mp4"])
def test_a_picture_or_an_animation_is_written(
    swept: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = tmp_path / f"look.{suffix}"
    assert main(words_of(data, net_file(swept, NL), out)) == 0
    assert "r50-c2d-nl-5-block-embedded-spacetime, block res3_1. x_i: frame" in capsys.readouterr().out
    frames = load_profile("smoke").clips["short"].frames
    if suffix == "mp4":
        with av.open(str(out)) as container:
            assert len(list(container.decode(video=0))) > 5 * frames
    elif suffix == "gif":
        with Image.open(out) as image:
            assert image.n_frames == frames
    elif suffix == "png":
        with Image.open(out) as image:
            assert image.width > image.height > 100
    first = out.read_bytes()
    assert main(words_of(data, net_file(swept, NL), out)) == 0
    assert out.read_bytes() == first


def looked(swept: Path, data: Path, smoke: Profile, spec: RunSpec = NL, **options: Any) -> Attention:
    return attend(video_of(data), net_file(swept, spec), spec, smoke, **options)


@pytest.mark.parametrize("form", FORMS)
def test_the_caption_tells_softmax_weights_from_other_responses(swept: Path, data: Path, smoke: Profile, form: str) -> None:
    found = looked(swept, data, smoke, RunSpec(net=NetSpec(blocks="res4", form=form)))
    softmax = form in ("gaussian", "embedded")
    assert ("softmax weights" in found.caption, "no softmax in this form: responses f / C(x)" in found.caption) == (
        softmax,
        not softmax,
    )
    drawn = " ".join(text.get_text() for text in draw(found).texts).replace("\n", " ")
    assert found.caption in drawn


def test_ends_lie_on_the_frames_that_are_shown(swept: Path, data: Path, smoke: Profile) -> None:
    found = looked(swept, data, smoke, block="res3_3", at=(1, 2, 3), strongest=7)
    assert found.look.query == Position(1, 2, 3)
    assert len(found.ends) == len(found.look.keys) == 7
    count, height, width, _ = found.frames.shape
    assert (height, width) == (32, 32)
    for spot in (found.start, *found.ends):
        assert 0 <= spot.frame < count
        assert 0 <= spot.x <= width - 1
        assert 0 <= spot.y <= height - 1
    assert found.columns == tuple(sorted(found.columns))
    assert len(found.columns) == found.shape[0]
    assert [nearest(found, frame) for frame in found.columns] == list(range(len(found.columns)))


REFUSED = [
    (["--at", "99,0,0"], r"the block's map has frames 0 to \d+, rows 0 to \d+ and columns 0 to \d+, got 99,0,0"),
    (["--block", "res9_9"], "has no block 'res9_9'; use one of res3_1, res3_3, res4_1, res4_3, res4_5"),
    (["--out", "look.txt"], r"--out ends in .png, .svg, .pdf for a picture or .gif, .mp4 for an animation; got look.txt"),
    (["--profile", "mini"], r"nothing tells which net .* no run of the profile mini writes a file of that name"),
    (["--weights", "nothing.pt"], "no file nothing.pt; give what"),
]


@pytest.mark.parametrize(("more", "reason"), REFUSED)
def test_what_does_not_fit_is_told_in_one_line(
    swept: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], reason: str
) -> None:
    assert main([*words_of(data, net_file(swept, NL), tmp_path / "look.png"), *more]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    with pytest.raises(BadInput, match=reason):
        raise BadInput(told)
    assert not (tmp_path / "look.png").exists()


@pytest.mark.parametrize("words", [["--at", "1,2"], ["--at", "a,b,c"], ["--where", "2"], ["--strongest", "0"]])
def test_mistyped_options_are_refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["attend", "video.mp4", "--weights", "net.pt", *words])
    assert words[0] in capsys.readouterr().err


def test_a_net_without_blocks_and_no_video_are_told(swept: Path, data: Path, smoke: Profile, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="r50-c2d has no non-local block to look at"):
        looked(swept, data, smoke, RunSpec())
    with pytest.raises(BadInput, match="r50-c2d-residual-5-block has no non-local block to look at"):
        looked(swept, data, smoke, RunSpec(net=NetSpec(blocks="5-block", kind="residual")))
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    for video, reason in (
        (broken, "not a video, damaged or cut off"),
        (tmp_path / "none.mp4", "the file is empty, or a link to"),
    ):
        with pytest.raises(BadInput, match=rf"cannot read the video {video}: {reason}"):
            attend(video, net_file(swept, NL), NL, smoke)


def test_weights_of_another_net_are_refused(swept: Path, data: Path, smoke: Profile, tmp_path: Path) -> None:
    mistaken = tmp_path / f"net-{records.fingerprint(NL, smoke)}.pt"
    mistaken.write_bytes(net_file(swept, RunSpec()).read_bytes())
    with pytest.raises(BadInput, match=r"lacks inserted\.res3_1.*, which r50-c2d-nl-5-block.* has; is it of this net"):
        attend(video_of(data), mistaken, NL, smoke)


def test_the_readmes_picture_is_what_its_command_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the video of the mini profile, made again."""
    task = load_profile("mini").generator
    assert task is not None
    (command,) = re.findall(
        r"^python -m ablations (attend .*?)\n```",
        (ROOT / "nlrepro" / "attention" / "README.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    words = command.replace("\\\n", " ").split()
    monkeypatch.chdir(ROOT)
    write_video(int(Path(words[1]).stem.partition("-")[0]), task=task, root=tmp_path, split="test")
    words[1] = str(tmp_path / Path(words[1]).relative_to("data/mini"))
    words[words.index("--out") + 1] = str(tmp_path / "look.png")
    assert main(words) == 0
    pictures = []
    for path in (tmp_path / "look.png", ROOT / "results" / "published" / "attention" / "mini.png"):
        with Image.open(path) as image:
            pictures.append(np.asarray(image.convert("RGB"), float))
    assert pictures[0].shape == pictures[1].shape
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.1


def test_imported_weights_look_at_any_video(real: Profile, tmp_path: Path) -> None:
    """On the middle square of the frames, 8 frames of stride 8, a block of the release."""
    weights = imported(tmp_path / "released", real, RunSpec(net=NetSpec(conv="3x1x1", blocks="5-block")))
    video = film(tmp_path / "wide.mp4", frames=60, size=(160, 96))
    spec = RunSpec(net=NetSpec(conv="3x1x1", blocks="5-block"))
    found = attend(video, weights, spec, real)
    assert found.frames.shape == (8, 88, 88, 3)  # 44 pixels, twice
    assert found.columns == (0, 2, 4, 6)  # pooled by two: 0.5, 2.5, ..., of which the even one is nearest
    assert (found.softmax, found.pooled) == (True, True)
    assert sum(found.look.weights) <= 1 + 1e-5
