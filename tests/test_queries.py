"""Do maps depend on the query? Distances against loops over all pairs, maps that do and do not, any domain, and the verb."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from test_nonlocal_block import pair
from torch import Tensor, nn

from ablations.__main__ import main
from ablations.registry import TABLES
from nlrepro import record as records
from nlrepro.attention import dependence
from nlrepro.attention.dependence import apart, distances, measure, with_one_map
from nlrepro.attention.measuring import batches, beginning
from nlrepro.config import Profile, load_profile
from nlrepro.experiments import findings
from nlrepro.nets.resnet import FoldedNonLocalBlock, VideoResNet
from nlrepro.report.queries import COLUMNS, csv_path, pooled, read_queries, table
from nlrepro.run import Run
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.trial import Folders

CLIPS, FRAMES, CHANNELS, SIDE = 3, 4, 6, 2
NL = RunSpec(net=NetSpec(blocks="res4"))


def folded(form: str = "embedded", domain: Any = "spacetime", group: int | None = None) -> FoldedNonLocalBlock:
    """A block in float64 whose parameters are random."""
    random = torch.Generator().manual_seed(0)
    block = FoldedNonLocalBlock(CHANNELS, form, domain, subsample=False).double().eval()
    block.group = group
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random))
    return block


def clips(number: int = CLIPS) -> Tensor:
    """Folded, (B T, C, H, W)."""
    shape = (number * FRAMES, CHANNELS, SIDE, SIDE)
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def half_one_minus_cosine(a: Tensor, b: Tensor) -> float:
    return float((1 - a @ b / (a @ a).sqrt() / (b @ b).sqrt()) / 2)


def mean_over_pairs(vectors: list[Tensor]) -> float:
    """NaN where there is no pair, as of concatenation's maps that its ReLU makes 0."""
    found = [half_one_minus_cosine(a, b) for a, b in combinations([v for v in vectors if v.any()], 2)]
    return sum(found) / len(found) if found else nan


def test_the_mean_distance_is_that_of_all_pairs_that_have_a_direction() -> None:
    vectors = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    vectors[2, 4] = 0
    exact = [mean_over_pairs(list(row)) for row in vectors]
    torch.testing.assert_close(apart(vectors, 1), torch.tensor(exact, dtype=torch.float64))
    torch.testing.assert_close(apart(1e-30 * vectors.transpose(0, 1), 0), torch.tensor(exact, dtype=torch.float64))
    vectors[3, 1:] = 0
    assert apart(vectors, 1).isnan().tolist() == [False, False, False, True, False]


Place = tuple[int, int, int]
PLACES = list(product(range(FRAMES), range(SIDE), range(SIDE)))  # (t, y, x)


def summed(i: Place, domain: str, group: int) -> list[Place]:
    """The x_j of x_i."""
    same = [j for j in PLACES if j[0] // group == i[0] // group]
    return [j for j in same if (domain != "space" or j[0] == i[0]) and (domain != "time" or j[1:] == i[1:])]


def map_of(block: FoldedNonLocalBlock, theta: Tensor, phi: Tensor, i: Place, keys: list[Place]) -> Tensor:
    """f / C of one x_i, a pair at a time; theta and phi are (K, T, H, W)."""
    t, y, x = i
    f = torch.stack([pair(block, theta[:, t, y, x], phi[:, *j]) for j in keys])
    return f / (f.sum() if block.form.softmax else len(keys))


@pytest.mark.parametrize("form", ["gaussian", "embedded", "dot", "concatenation"])
@pytest.mark.parametrize(
    ("domain", "group"), [("spacetime", None), ("spacetime", 2), ("space", None), ("time", None), ("time", 2)]
)
def test_distances_are_those_of_maps_inputs_and_outputs_written_out(form: str, domain: str, group: int | None) -> None:
    block, x = folded(form, domain, group), clips()
    with torch.no_grad():
        z = block(x, FRAMES)
        found = distances(block, x, FRAMES, z)
        videos, added = (part.unflatten(0, (CLIPS, FRAMES)).transpose(1, 2) for part in (x, z - x))  # (B, C, T, H, W)
        theta, phi, _ = block.project(videos)
        vectors: dict[str, list[dict[Place, Tensor]]] = {"input": [], "map": [], "output": []}
        for clip in range(CLIPS):
            of = {i: summed(i, domain, group or FRAMES) for i in PLACES}
            vectors["input"].append({i: videos[clip][:, *i] for i in PLACES})
            vectors["map"].append({i: map_of(block, theta[clip], phi[clip], i, of[i]) for i in PLACES})
            vectors["output"].append({i: added[clip][:, *i] for i in PLACES})
    sets = {tuple(keys) for keys in of.values()}
    for name, of_clips in vectors.items():
        positions = [mean_over_pairs([one[i] for i in keys]) for one in of_clips for keys in sets]
        between = [mean_over_pairs([one[i] for one in of_clips]) for i in PLACES]
        assert found[f"{name}_positions"] == pytest.approx(np.nanmean(positions), abs=1e-9)
        assert found[f"{name}_videos"] == pytest.approx(np.nanmean(between), abs=1e-9)


@pytest.mark.parametrize("domain", ["spacetime", "space", "time"])
def test_one_map_for_all_positions_has_no_distance_between_them(domain: str) -> None:
    block, x = folded(domain=domain), clips()
    nn.init.zeros_(block.theta.weight)  # type: ignore[arg-type]  # every theta_i is the bias
    with torch.no_grad():
        found = distances(block, x, FRAMES, block(x, FRAMES))
    assert found["map_positions"] == pytest.approx(0, abs=1e-12)
    assert found["output_positions"] == pytest.approx(0, abs=1e-12)
    assert found["map_videos"] > 0.01
    nn.init.zeros_(block.phi.weight)  # type: ignore[arg-type]  # every map is uniform
    with torch.no_grad():
        found = distances(block, x, FRAMES, block(x, FRAMES))
    assert found["map_positions"] == pytest.approx(0, abs=1e-12)
    assert found["map_videos"] == pytest.approx(0, abs=1e-12)


def test_positions_that_each_see_themselves_are_as_far_as_can_be() -> None:
    """Each x_i is a unit vector of its own, times 10: its map is all on itself, in every clip."""
    block = FoldedNonLocalBlock(16, "gaussian", subsample=False).double().eval()
    x = 10 * torch.eye(16, dtype=torch.float64).view(FRAMES, SIDE, SIDE, 16).permute(0, 3, 1, 2).repeat(2, 1, 1, 1)
    with torch.no_grad():
        found = distances(block, x, FRAMES, block(x, FRAMES))
    assert found["map_positions"] == pytest.approx(0.5, abs=1e-9)
    assert found["map_videos"] == pytest.approx(0, abs=1e-9)
    assert torch.isnan(torch.tensor(found["output_positions"]))  # a new block adds nothing


def test_of_many_positions_evenly_spaced_ones_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    block, x = folded("dot"), clips()
    monkeypatch.setattr(dependence, "POSITIONS", 4)
    with torch.no_grad():
        theta, phi, _ = (block.flatten(part) for part in block.project(x.unflatten(0, (CLIPS, FRAMES)).transpose(1, 2)))
        maps = block.weights(theta[:, [0, 5, 10, 15]], phi)
        found = distances(block, x, FRAMES, block(x, FRAMES))
    assert found["map_positions"] == pytest.approx(float(apart(maps, 1).mean()))
    assert found["map_videos"] == pytest.approx(float(apart(maps, 0).mean()))


@pytest.mark.parametrize("form", ["embedded", "dot", "concatenation"])
@pytest.mark.parametrize(("domain", "group"), [("spacetime", None), ("spacetime", 2), ("space", None), ("time", None)])
def test_one_map_is_the_mean_of_the_maps(form: str, domain: str, group: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    block, x = folded(form, domain, group), clips()
    with torch.no_grad():
        found = with_one_map(block, (x, FRAMES), block(x, FRAMES))
        theta, phi, g = (block.flatten(p) for p in block.project(x.unflatten(0, (-1, group or FRAMES)).transpose(1, 2)))
        mean = block.weights(theta, phi).mean(1, keepdim=True).expand(-1, theta.shape[1], -1)
        monkeypatch.setattr(block, "aggregate", lambda *_: mean @ g)
        torch.testing.assert_close(found, block(x, FRAMES))


def test_a_net_is_scored_as_it_is_and_with_one_map(smoke: Profile) -> None:
    """Of a net without any dependence on the query both are the same; hooks leave nothing behind."""
    torch.manual_seed(0)
    net = VideoResNet(NetSpec(blocks="5-block", domain="space"), smoke.geometry, 6).eval()
    for block in net.inserted.values():
        nn.init.ones_(block.bn.weight)  # type: ignore[arg-type]
    shown = torch.randn(12, 3, 8, 32, 32)
    with torch.no_grad():
        net.fc.bias -= net(shown).mean(0)  # so that not all are of one class
        before, labels = net(shown), net(shown).argmax(1)
    found = measure(net, [(shown, labels), (shown.flip(0)[:3], labels.flip(0)[:3])])
    assert list(found["block"]) == 2 * list(net.inserted)
    assert list(found["videos"]) == 5 * [12] + 5 * [3]
    assert set(found["top1"]) == {100.0}
    assert found["one_map_delta"][0] < 0
    with torch.no_grad():
        assert torch.equal(net(shown), before)
        for block in net.inserted.values():
            nn.init.zeros_(block.theta.weight)  # type: ignore[arg-type]
        labels = net(shown).argmax(1)
    assert set(measure(net, [(shown, labels)])["one_map_delta"]) == {0.0}


def words(*more: str | Path) -> list[str]:
    return ["queries", "--profile", "smoke", "--videos", "12", *map(str, more)]


@pytest.fixture
def results(swept: Path, tmp_path: Path) -> Path:
    """The sweep's records and nets, and room to write."""
    for name in ("records", "runs"):
        (tmp_path / name).symlink_to(swept / name)
    return tmp_path


def test_lines_of_finished_runs_are_written_and_join_those_of_before(
    results: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = words("2a", "--data", data, "--results", results, "--only", "*dot*")
    assert main([*some, "--seeds", "0,1,2"]) == 0
    told = capsys.readouterr().out
    assert "not finished" in told
    assert "r50-c2d-nl-res4-dot-spacetime seed 2; `sweep` makes them" in told
    path = csv_path(results, "smoke")
    first = read_queries(path)
    assert tuple(first.columns) == COLUMNS
    assert list(first["seed"]) == [0, 1]
    assert set(first["videos"]) == {12}
    assert first.drop(columns=["output_positions_se"]).notna().all(axis=None)
    assert (first["map_positions"] > 0).all()

    stale = first.assign(fingerprint="0" * 16, seed=7)
    pd.concat([first.assign(block="res9_9", seed=[3, 4]), stale]).to_csv(path, index=False)
    assert main(words("2g", "--data", data, "--results", results, "--only", "r50-*", "--seeds", "0")) == 0
    both = read_queries(path)
    assert list(both["key"]) == 2 * ["r50-c2d-nl-res4-dot-spacetime"] + 5 * ["r50-i3d-3x1x1-nl-5-block-embedded-spacetime-long"]
    assert list(both["seed"]) == [3, 4, 0, 0, 0, 0, 0]
    assert both["map_positions_start"].isna().tolist() == 2 * [False] + 5 * [True]  # it starts from a trained net
    assert path.with_suffix(".svg").read_bytes().startswith(b"<?xml")
    assert main(words("2g", "--data", data, "--results", results, "--only", "r50-*", "--seeds", "0")) == 0
    again = read_queries(path)
    assert again.drop(columns="date").equals(both.drop(columns="date"))


def test_where_no_run_is_finished_it_is_said(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words("2a", "--data", data, "--results", tmp_path)) == 2
    assert f"no finished run with non-local blocks below {tmp_path}; `sweep` makes them" in capsys.readouterr().err
    assert main(words("2a", "--data", data, "--results", tmp_path, "--only", "r50-c2d")) == 2
    assert "no finished run with non-local blocks" in capsys.readouterr().err


def test_the_beginning_is_pretrained_and_its_blocks_add_nothing_yet(smoke: Profile, data: Path) -> None:
    run = Run(spec=NL, profile=smoke, seed=3, folders=Folders(data=data))
    (line,) = measure(beginning(run), list(batches(run, smoke, 12))[:1]).to_dict("records")
    assert line["map_positions"] > 0
    assert pd.isna(line["output_positions"])
    assert line["one_map_delta"] == 0


def test_each_batch_goes_through_all_videos(smoke: Profile, data: Path) -> None:
    run = Run(spec=NL, profile=smoke, seed=0, folders=Folders(data=data))
    found = [labels for _, labels in batches(run, smoke, 100)]
    assert [len(labels) for labels in found] == [8, 8, 8]  # of 24 videos
    assert all(labels[0] == 0 for labels in found)
    assert all(labels[-1] == 5 for labels in found)
    assert [len(labels) for _, labels in batches(run, smoke, 8)] == [8]


def test_of_real_videos_squares_are_seen(real: Profile, videos: Path) -> None:
    two = replace(real, clips={kind: replace(clips, classes=2) for kind, clips in real.clips.items()})
    run = Run(spec=NL, profile=two, seed=0, folders=Folders(data=videos))
    (batch,) = batches(run, two, 10)
    assert batch[0].shape == (2, 3, 8, 44, 44)
    assert batch[1].tolist() == [0, 1]


def lines(seeds: int) -> Iterator[dict[str, Any]]:
    for seed in range(seeds):
        numbers = dict.fromkeys(COLUMNS[4:-5], 0.25) | {"map_positions": 0.1 + 0.1 * seed, "map_positions_se": 0.03}
        yield {"key": NL.key, "seed": seed, "block": "res4_4", "videos": 10, **numbers, **dict.fromkeys(COLUMNS[-5:], "x")}


def test_errors_are_of_seeds_and_videos() -> None:
    one, three = (pooled(pd.DataFrame(lines(seeds))).iloc[0] for seeds in (1, 3))
    assert (one["seeds"], one["map_positions_se"]) == (1, 0.03)
    assert (three["seeds"], three["map_positions"]) == (3, pytest.approx(0.2))
    assert three["map_positions_se"] == pytest.approx((0.03**2 + 0.1**2 / 3) ** 0.5)
    assert "r50-res4" in table(pd.DataFrame(lines(3)))


@pytest.mark.parametrize("path", sorted(findings.PUBLISHED.glob("attention/*/queries.csv")), ids=lambda path: path.parent.name)
def test_published_lines_are_of_the_profile_as_it_is_now(path: Path) -> None:
    profile = load_profile(path.parent.name)
    for key, fingerprint in read_queries(path)[["key", "fingerprint"]].itertuples(index=False):
        assert records.fingerprint(TABLES.spec(key), profile) == fingerprint


def test_what_the_readme_says_of_queries_was_measured() -> None:
    """Where a block in res4 or res5 does with one map, and one in res2 or res3 does not."""
    lines = read_queries(csv_path(findings.PUBLISHED, "mini"))
    found = pooled(lines).set_index("key")
    late = ["gaussian", "dot", "concatenation", "embedded"]
    late = [f"r50-c2d-nl-res4-{form}-spacetime" for form in late] + ["r50-c2d-nl-res5-embedded-spacetime"]
    baseline = pd.read_csv(findings.PUBLISHED / "tables" / "mini" / "table2b.csv").set_index("row")["top1"]["baseline"]
    for key, net in found.loc[late].iterrows():
        assert net["map_positions"] < net["map_videos"] / 3, key
        assert net["map_positions"] < net["map_positions_start"], key
        assert abs(net["one_map_delta"]) < max(2 * net["one_map_delta_se"], 1.0), key
    for key, net in found.loc[[f"r50-c2d-nl-{stage}-embedded-spacetime" for stage in ("res2", "res3")]].iterrows():
        assert net["top1"] + net["one_map_delta"] + 2 * net["one_map_delta_se"] < baseline, key
    for depth in (50, 101):
        of_net = lines[lines["key"] == f"r{depth}-c2d-nl-10-block-embedded-spacetime"]
        mean = of_net.groupby(of_net["block"].str[:4])["map_positions"].mean()
        assert mean["res3"] > 1.5 * mean["res4"], depth
