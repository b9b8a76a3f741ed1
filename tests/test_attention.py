"""The strongest keys of a position: planted ones, their pixels, and pictures of any net and any video."""

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import command
from films import film
from PIL import Image
from torch import Tensor, nn

from nlrepro.attention.compute import Attention, Embeddings, attend, centres, embeddings, read_clip
from nlrepro.attention.draw import check_suffix
from nlrepro.attention.query_dependence import mean_distance, share_map
from nlrepro.config import Profile
from nlrepro.data.decode import read_generated
from nlrepro.data.synthetic.write import card_video_set, write_item
from nlrepro.files import BadInput
from nlrepro.nets.resnet import FoldedNonLocalBlock, VideoResNet, fold, unfold
from nlrepro.run import Folders, Run
from nlrepro.spec import Conv, Domain, NetSpec, RunSpec
from nlrepro.task import VIDEO

NL = RunSpec(net=NetSpec(blocks="5-block"))


def of_block(
    clip: Tensor, subsample: bool = True, domain: Any = "spacetime", group: int | None = None
) -> Embeddings:
    """Of a net of nothing but one Gaussian block, which compares the clip itself."""
    block = FoldedNonLocalBlock(4, "gaussian", domain, subsample=subsample)
    block.group = group

    class OneBlock(nn.Module):
        inserted = nn.ModuleDict({"res3_1": block})

        def forward(self, clip: Tensor) -> Tensor:
            return block(fold(clip), clip.shape[2])

    net: Any = OneBlock()
    return embeddings(net, "res3_1", clip)


def planted(*places: tuple[int, int, int]) -> Tensor:
    """A clip of 4 frames of 6 x 8 zeros, but 3, 2 and 1 along one channel at these places."""
    clip = torch.zeros(1, 4, 4, 6, 8)
    for strength, (t, y, x) in zip((3.0, 2.0, 1.0), places, strict=True):
        clip[0, 0, t, y, x] = strength
    return clip


def test_planted_keys_are_the_strongest() -> None:
    clip = planted((0, 1, 2), (2, 3, 5), (3, 0, 7))
    pooled, full = of_block(clip), of_block(clip, subsample=False)
    top = pooled.top_keys((0, 1, 2), 3)
    assert top.keys == ((0, 0.5, 2.5), (2, 2.5, 4.5), (3, 0.5, 6.5))
    exact = torch.softmax(torch.tensor([9.0, 6.0, 3.0] + [0.0] * (4 * 3 * 4 - 3)), 0)
    torch.testing.assert_close(torch.tensor(top.weights), exact[:3])
    assert (top.candidates, top.total) == (48, pytest.approx(1))
    assert full.top_keys((0, 1, 2), 2).keys == ((0, 1, 2), (2, 3, 5))
    assert (pooled.shape, pooled.pooled, full.pooled) == ((4, 6, 8), True, False)


def test_keys_stay_within_the_blocks_domain() -> None:
    clip, query = planted((1, 3, 2), (2, 3, 2), (1, 0, 7)), (1, 3, 2)
    assert of_block(clip, domain="time").top_keys(query, 9).keys[:2] == (query, (2, 3, 2))
    space = of_block(clip, domain="space").top_keys(query, 99)
    assert space.keys[1] == (1, 0.5, 6.5)
    assert {t for t, _, _ in space.keys} == {1}
    assert {t for t, _, _ in of_block(clip, group=2).top_keys((2, 3, 2), 99).keys} == {2, 3}


@pytest.mark.parametrize("pairs", [1, 1 << 21])
def test_the_farthest_query_has_the_largest_reach(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    """By loops over all positions, however many weights are held at once."""
    monkeypatch.setattr("nlrepro.attention.compute.PAIRS", pairs)
    torch.manual_seed(1)
    features = of_block(torch.randn(1, 4, 4, 6, 8))
    reaches = {}
    for place in features.queries[0].tolist():
        top = features.top_keys(tuple(place), 5)
        parts = [np.divide(np.subtract(key, place), (4, 6, 8)) for key in top.keys]
        reaches[tuple(place)] = sum(w * np.linalg.norm(p) for w, p in zip(top.weights, parts, strict=True))
    assert features.farthest_query(5) == max(reaches, key=lambda place: reaches[place])


@pytest.mark.parametrize(
    ("architecture", "stage", "conv"), [("text", 2, "2d"), ("text", 3, "3x1x1"), ("release", 3, "2d")]
)
def test_a_position_is_at_the_centre_of_its_receptive_field(
    smoke: Profile, architecture: Any, stage: int, conv: Conv
) -> None:
    """Of the places of a clip from whose NaN the block's map gets one, along time and along width."""
    strides = {"stem_stride": (2, 2, 2), "pool1_stride": (2, 2, 2), "stage_strides": (1, 2, 2, 1)}
    kernels = {"stem_kernel": (3, 3, 3), "pool1_kernel": (3, 3, 3)}
    geometry = replace(smoke.geometry, architecture=architecture, pool2_stride=2, **kernels, **strides)
    net, inputs = VideoResNet(NetSpec(conv=conv, blocks=f"res{stage}"), geometry, 4).eval(), list[Tensor]()
    (block,) = net.inserted.values()
    block.register_forward_pre_hook(lambda _, both: inputs.append(unfold(both[0].isnan(), both[1])))
    scale, shift = centres(net, stage)
    assert (scale[1], shift[1]) == (scale[2], shift[2])
    for axis, size in ((2, (8, 8, 161)), (0, (112, 8, 8))):
        clips = torch.zeros(size[axis], 3, *size)  # in each another place is NaN
        clips.diagonal(0, 0, axis + 2).fill_(torch.nan)
        net(clips)
        i = round((size[axis] / 2 - shift[axis]) / scale[axis])
        reached = inputs.pop().select(axis + 2, i).flatten(1).any(1).nonzero()  # of (B, C, T, H, W)
        first, last = int(reached[0]), int(reached[-1])
        assert 0 < first <= last < size[axis] - 1
        assert (first + last) / 2 == scale[axis] * i + shift[axis]


def net_file(folder: Path, spec: RunSpec, profile: Profile) -> Path:
    """A net whose blocks add something, in the file of a run."""
    torch.manual_seed(0)
    net = VideoResNet(spec.net, profile.geometry, profile.clips[spec.clip].classes)
    for name, parameter in net.named_parameters():
        if name.startswith("inserted.") and name.endswith("bn.weight"):
            nn.init.ones_(parameter)
    path = Run(task=VIDEO, spec=spec, profile=profile, seed=0, folders=Folders(results=folder)).weights
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), path)
    return path


@pytest.fixture
def video(smoke: Profile, tmp_path: Path) -> Path:
    items: Any = card_video_set(smoke.generator)  # type: ignore[arg-type]
    return tmp_path / write_item(0, dataset=items, root=tmp_path, split="test")[0]


def of_net(spec: RunSpec, profile: Profile, video: Path, **options: Any) -> Attention:
    return attend(video, net_file(video.parent, spec, profile), spec, profile, **options)


@pytest.mark.parametrize(
    ("suffix", "form"), [("png", "gaussian"), ("svg", "embedded"), ("pdf", "dot"), ("gif", "concatenation")]
)
def test_a_picture_or_an_animation_is_written_and_its_caption_printed(
    smoke: Profile, video: Path, suffix: str, form: str
) -> None:
    spec, out = RunSpec(net=NetSpec(blocks="res4", form=form)), video.with_suffix(f".{suffix}")
    weights = net_file(video.parent, spec, smoke)
    done = command("attend", video, "--weights", weights, "--out", out, "--profile", "smoke")
    words = "softmax weights" if form in ("gaussian", "embedded") else "no softmax in this form"
    assert re.match(rf"{spec.key}, block res4_4. x_i: frame .*; {words}", done.out), done.err
    assert out.stat().st_size > 5000
    if suffix == "gif":
        with Image.open(out) as image:
            assert image.n_frames == smoke.clips["short"].frames  # type: ignore[attr-defined]


def test_what_does_not_fit_is_refused(smoke: Profile, video: Path) -> None:
    with pytest.raises(BadInput, match=r"rows 0 to \d+ and columns 0 to \d+, got 99,0,0"):
        of_net(NL, smoke, video, at=(99, 0, 0))
    with pytest.raises(BadInput, match="has no non-local block res9_9; use one of res3_1, res3_3, res4_1, "):
        of_net(NL, smoke, video, block="res9_9")
    for spec in (RunSpec(), RunSpec(net=NetSpec(blocks="5-block", kind="residual"))):
        with pytest.raises(BadInput, match=f"{spec.key} has no non-local block"):
            of_net(spec, smoke, video)
    with pytest.raises(BadInput, match=r"--out ends in .png, .svg, .pdf for a picture or .gif for an anim"):
        check_suffix(Path("attention.mp4"))
    video.write_bytes(b"no video")
    with pytest.raises(BadInput, match=rf"cannot read the video {video}: not a video, damaged or cut off"):
        of_net(NL, smoke, video)


def test_ends_lie_on_the_frames_that_are_drawn(smoke: Profile, real: Profile, video: Path) -> None:
    """Of real videos these are the middle square of 44 pixels, twice as large."""
    wide = film(video.with_name("wide.mp4"), size=(160, 96))
    for profile, file, side in ((smoke, video, 48), (real, wide, 88)):
        attention = of_net(NL, profile, file, block="res3_3", at=(1, 2, 3), strongest=7)
        assert attention.top.query == (1, 2, 3)
        assert attention.frames.shape == (8, side, side, 3)
        assert len(attention.points) == 8
        assert all(0 <= min(place) <= max(place) <= side - 1 for place in attention.points)
        assert max(map(max, attention.points)) > side / 2
        assert {int(t) for t, _, _ in attention.top.keys} <= set(range(len(attention.columns)))
        assert 0 <= min(attention.columns) <= max(attention.columns) < 8


def test_a_generated_video_is_looked_at_without_its_margin(smoke: Profile, video: Path) -> None:
    start, frames, size = smoke.generator.shown[0], smoke.clips["short"].frames, smoke.data.size
    clip = read_clip(video, smoke, NL)
    np.testing.assert_array_equal(clip, read_generated(video, size)[start : start + frames])
    assert clip.shape == (8, 48, 48, 3)


def test_the_mean_distance_is_that_of_all_pairs() -> None:
    vectors = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = [[(1 - torch.cosine_similarity(a, b, 0)) / 2 for a, b in combinations(row, 2)] for row in vectors]
    exact = torch.stack([torch.stack(row).mean() for row in pairs])
    torch.testing.assert_close(mean_distance(vectors, 1), exact)
    torch.testing.assert_close(mean_distance(1e-30 * vectors.transpose(0, 1), 0), exact)


@pytest.mark.parametrize(
    ("domain", "group"), [("spacetime", None), ("spacetime", 2), ("space", None), ("time", None)]
)
def test_a_shared_map_gives_all_positions_their_mean(domain: Domain, group: int | None) -> None:
    torch.manual_seed(0)
    block = FoldedNonLocalBlock(6, "embedded", domain).double().eval()
    block.group = group
    nn.init.normal_(block.bn.weight)
    x, frames = torch.randn(8, 6, 4, 4, dtype=torch.float64), 4  # two clips
    with torch.no_grad():
        clips = x.unflatten(0, (-1, group or frames)).transpose(1, 2)  # (G, C, T, H, W)
        theta, phi, g = (block.flatten(part) for part in block.project(clips))
        mean = block.weights(theta, phi).mean(1, keepdim=True)  # (S, 1, M)
        y = block.unflatten((mean @ g).expand(-1, theta.shape[1], -1), clips)  # (G, K, T, H, W)
        expected = x + block.bn(block.w_z(y)).transpose(1, 2).flatten(0, 1)
        before = block(x, frames)
        with block.register_forward_hook(share_map):
            torch.testing.assert_close(block(x, frames), expected)
        assert torch.equal(block(x, frames), before)
    assert (before - expected).abs().max() > 0.01
