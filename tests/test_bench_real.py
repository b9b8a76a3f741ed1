"""The bench of nets and of the loader: what it compares is comparable, and it says what it measured."""

from argparse import Namespace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from nlrepro.bench import detectors, loader, nets, pyslowfast
from nlrepro.bench.loader import FRAMES, film
from nlrepro.bench.measure import in_turn
from nlrepro.coco.nets import mask_rcnn
from nlrepro.data.crops import ClipSample, Crop

ROOT = Path(__file__).parent.parent
README = ROOT / "nlrepro" / "bench" / "README.md"
PUBLISHED = ROOT / "results" / "published" / "bench"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    film(folder / "gop12.mp4", 12, seed=0)
    return folder


def test_the_limit_reads_the_frames_of_our_clips(films: Path) -> None:
    clips = loader.clips_of(films, ["gop12.mp4"])
    sample = ClipSample(0, 0.4, Crop(256, 224))
    ours, limit = clips.__getitems__([sample])[0][0], loader.plain(clips, sample)
    assert ours.shape == (32, 224, 224, 3)
    assert limit.shape == (32, 256, 340, 3)
    top, left = (256 - 224) // 2, (340 - 224) // 2
    np.testing.assert_array_equal(ours.numpy(), limit[:, top : top + 224, left : left + 224])


def test_pyav_reads_the_clips_of_the_bench_as_decord_does(films: Path) -> None:
    clips = loader.clips_of(films, ["gop12.mp4"])
    sample = ClipSample(0, 0.4, Crop(280, 224))
    np.testing.assert_array_equal(clips.__getitems__([sample])[0][0].numpy(), loader.by_pyav(clips, sample))


def test_a_film_is_as_long_as_those_of_kinetics(films: Path) -> None:
    assert loader.clips_of(films, ["gop12.mp4"]).facts[0].frames == FRAMES


def test_the_loader_is_timed_without_a_rival_too(films: Path, capfd: pytest.CaptureFixture[str]) -> None:
    known = loader.passes(loader.clips_of(films, ["gop12.mp4"]), None)
    assert list(known) == ["ours", "limit", "ours, by PyAV", "ours, shorter side 320"]
    assert "PySlowFast is skipped" in capfd.readouterr().err
    memory = loader.growth(films, 10)
    assert memory["clips"] == 10
    assert memory["all_mib"] >= memory["tenth_mib"] > 0


def test_an_absent_pyslowfast_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert pyslowfast.net(tmp_path, "C2D_8x8_R50") is None
    assert "no complete checkout" in capfd.readouterr().err


def test_calls_are_timed_in_turn() -> None:
    called: list[str] = []
    taken = in_turn({name: lambda name=name: called.append(name) for name in "ab"})  # type: ignore[misc]  # a default binds
    assert "".join(called) == "ab" * 6
    assert min(taken.values()) > 0


def speeds() -> pd.DataFrame:
    rates = {"ours": 16.0, "limit": 15.0, "PySlowFast": 8.0}
    return pd.DataFrame([{"gop": 12, "code": code, "clips_per_s": rate} for code, rate in rates.items()])


def test_the_loader_s_sentences_say_ratios_and_memory(tmp_path: Path) -> None:
    said = loader.write(speeds(), {"clips": 100, "tenth_mib": 700.0, "all_mib": 710.0}, "today", tmp_path / "loader")
    assert "loads 16 clips a second" in said
    assert "1.07 times the rate of plain sequential decord decoding, 2.00 times that of PySlowFast" in said
    assert "710 MiB, 10 MiB above its peak after the first tenth" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loader-growth.csv", "loader.csv", "loader.md"]


def test_the_nets_sentence_says_seconds_and_ratios(tmp_path: Path) -> None:
    where = {"net": "C2D", "batch": 1, "precision": "float32"}
    rows = [{**where, "code": "ours", "step_s": 2.0, "ratio": 1.0}, {**where, "code": "PySlowFast", "step_s": 3.0, "ratio": 1.5}]
    said = nets.write(pd.DataFrame(rows), "today", tmp_path / "nets")
    assert "for 1 clip in float32: 2.00 s for C2D, PySlowFast's nets of the same FLOPs 1.50 times as long" in said


def test_a_step_of_training_changes_the_net() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 4))
    before = [p.clone() for p in net.parameters()]
    nets.train(net, torch.optim.SGD(net.parameters(), 0.1), torch.randn(2, 3, 1, 2, 2), half=False)
    assert not any(torch.equal(*both) for both in zip(before, net.parameters(), strict=True))


def test_a_step_of_a_detector_is_timed_without_and_with_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors, "SIDE", 320)
    monkeypatch.setattr(detectors, "LONGEST", 352)
    monkeypatch.setattr(detectors, "BACKBONES", ("r50",))
    monkeypatch.setattr(detectors, "mask_rcnn", partial(mask_rcnn, sides=(64,)))
    monkeypatch.setattr(detectors, "in_turn", partial(in_turn, enough=0.001))
    said = detectors.bench(Namespace(device="cpu"), tmp_path)
    (csv,) = tmp_path.glob("detectors-*.csv")
    frame = pd.read_csv(csv)
    assert frame["block"].tolist() == [False, True]
    assert frame["ratio"].iloc[0] == 1.0
    assert frame["step_s"].gt(0).all()
    assert said == detectors.sentence(frame.astype({"block": str}))
    assert said in csv.with_suffix(".md").read_text()


@pytest.mark.skipif(not list(PUBLISHED.glob("nets-*.csv")), reason="no bench of nets is published yet")
def test_the_readme_says_what_the_published_nets_bench_does() -> None:
    assert nets.sentence(pd.read_csv(next(PUBLISHED.glob("nets-*.csv")))) in README.read_text()


@pytest.mark.skipif(not list(PUBLISHED.glob("loader-*-growth.csv")), reason="no bench of the loader is published yet")
def test_the_readme_says_what_the_published_loader_bench_does() -> None:
    growth = next(PUBLISHED.glob("loader-*-growth.csv"))
    memory = pd.read_csv(growth).iloc[0].to_dict()
    said = loader.sentences(pd.read_csv(growth.with_name(growth.name.replace("-growth", ""))), memory)
    assert said in README.read_text()
