"""Tests of given weights: what is measured on what, where it is shown, and which weights are refused."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import MADE, evaluation

from ablations.__main__ import main
from ablations.registry import TABLES
from nlrepro import evaluation as evaluations
from nlrepro import record as records
from nlrepro.config import Clips, Profile, load_profile
from nlrepro.data.kinetics.clips import FileClips
from nlrepro.data.kinetics.facts import Facts
from nlrepro.data.kinetics.sampling import begins, frame_numbers
from nlrepro.evaluation import OWN, Weights
from nlrepro.experiments.findings import table_spec
from nlrepro.files import BadInput
from nlrepro.record import Cost, Metrics, Record
from nlrepro.released.evaluate import evaluate
from nlrepro.released.importing import import_weights, net, suited
from nlrepro.released.names import Source, theirs
from nlrepro.report.columns import side_by_side
from nlrepro.report.finding import note
from nlrepro.report.released import released_columns, released_notes, with_released
from nlrepro.report.tables import table_frame
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.train.module import VideoClassifier
from nlrepro.trial import Folders

C2D = RunSpec()
NL = RunSpec(net=NetSpec(conv="3x1x1", blocks="5-block"))


def imported(folder: Path, profile: Profile, spec: RunSpec = C2D, source: Source = "caffe2", name: str = "8x8") -> Path:
    """Weights of a narrow net, under the source's names and then imported."""
    torch.manual_seed(0)
    state = {theirs(source, key): tensor for key, tensor in net(source, spec, profile, name).state_dict().items()}
    kept = {key: tensor for key, tensor in state.items() if "tracked" not in key and not key.endswith("conv_out.conv.bias")}
    folder.mkdir(exist_ok=True)
    torch.save(kept, folder / f"net_{name}.pth")
    import_weights(folder / f"net_{name}.pth", source, spec, profile, folder / "net.pt")
    return folder / "net.pt"


def test_released_weights_are_tested_on_their_clips_with_their_pixels(real: Profile, videos: Path, tmp_path: Path) -> None:
    folders = Folders(data=videos, results=tmp_path / "results")
    weights = imported(tmp_path / "released", real, source="mmaction2")
    with pytest.raises(BadInput, match="has 2 classes where the profile says 6; is a part of it missing"):
        evaluate(C2D, weights, real, folders=folders)
    assert not folders.results.exists()
    for name in "cdef":
        (videos / "train" / name).mkdir()
    found = evaluate(C2D, weights, real, folders=folders, tables=("2a",))
    assert (found.frames, found.stride, found.mean) == (8, 8, (123.675, 116.28, 103.53))
    assert (found.metrics.videos, found.metrics.listed, found.metrics.views) == (2, 3, 6)
    assert found.metrics.clip_top1 is not None
    assert "video-level top-1" in found.line
    assert "clip-level top-1" in found.line
    assert found.line.endswith("2 of 3 videos (66.7 %)")
    assert (found.weights.name, found.weights.file, found.weights.left) == ("mmaction2 8x8", "net_8x8.pth", ())
    assert len(found.weights.used) == 267
    (path,) = (tmp_path / "results").rglob("*.json")
    assert path == tmp_path / "results" / "records" / "real" / "r50-c2d" / f"weights-mmaction2-8x8-{found.weights.state[:8]}.json"
    assert evaluations.read_all(tmp_path / "results", "real") == [found]
    assert records.digest(found.settings) == found.fingerprint
    assert records.read_all(tmp_path / "results", "real") == []


def test_validation_videos_alone_are_enough(real: Profile, videos: Path, tmp_path: Path) -> None:
    shutil.rmtree(videos / "train")
    two = replace(real, clips={kind: replace(clips, classes=2) for kind, clips in real.clips.items()})
    weights = imported(tmp_path / "released", two)
    found = evaluate(C2D, weights, two, folders=Folders(data=videos, results=tmp_path / "results"))
    assert (found.metrics.videos, found.metrics.listed) == (2, 3)


@pytest.mark.parametrize(
    ("source", "name", "first", "second"),
    [
        ("caffe2", "8x8", 0, 20),  # half of 40 frames
        ("pyslowfast", "8x8", 0, 0),  # a clip takes longer than the video
        ("mmaction2", "16x4", 0, 0),
    ],
)
def test_clips_lie_where_the_source_tests_them(
    real: Profile,
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: Source,
    name: str,
    first: int,
    second: int,
) -> None:
    for extra in "cdef":
        (videos / "train" / extra).mkdir()
    asked: list[list[int]] = []
    wanted = FileClips.wanted

    def noted(self: FileClips, facts: Facts, where: float) -> list[int]:
        asked.append(wanted(self, facts, where))
        return asked[-1]

    monkeypatch.setattr(FileClips, "wanted", noted)
    monkeypatch.setattr("nlrepro.train.datamodule.WORKERS", 0)
    weights = imported(tmp_path / "released", real, source=source, name=name)
    found = evaluate(C2D, weights, real, folders=Folders(data=videos, results=tmp_path / "results"))
    assert found.sampling == source
    assert evaluations.read_all(tmp_path / "results", "real") == [found]
    assert [asked[0][0], asked[3][0]] == [first, second]  # two clips in three crops of each video
    length, stride = map(int, name.split("x"))
    kind = Clips(frames=length, stride=stride, classes=1, anywhere=True)
    assert asked[3] == frame_numbers(source, 40, 30.0, kind, begins(source, 2)[1])


def test_scores_of_a_net_of_images_are_averaged_before_the_softmax(real: Profile) -> None:
    assert real.real
    scores = torch.randn(2 * 6, 5, generator=torch.Generator().manual_seed(0)).double()
    before = VideoClassifier(C2D, replace(real, real=replace(real.real, averaged="scores"))).averaged(scores.unflatten(0, (2, 6)))
    torch.testing.assert_close(before, scores.unflatten(0, (2, 6)).mean(1).softmax(1))
    after = VideoClassifier(C2D, real).averaged(scores.unflatten(0, (2, 6)))
    torch.testing.assert_close(after, scores.softmax(1).unflatten(0, (2, 6)).mean(1))
    fitting = suited(real, C2D, "mmaction2", "8x8-nopool").real
    assert fitting
    assert (fitting.averaged, fitting.sampling, fitting.test_side) == ("scores", "mmaction2", real.data.size)


def test_pixels_are_normalised_by_channel(real: Profile) -> None:
    mean, std = (10.0, 20.0, 30.0), (1.0, 2.0, 4.0)
    module = VideoClassifier(C2D, replace(real, data=replace(real.data, mean=mean, std=std)))
    seen: list[torch.Tensor] = []
    module.net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    clips = torch.randint(0, 256, (1, 4, 32, 32, 3), dtype=torch.uint8)
    module.eval()(clips)
    for channel in range(3):
        assert torch.equal(seen[0][:, channel], (clips[..., channel].float() - mean[channel]) / std[channel])
    assert not {"mean", "std"} & module.state_dict().keys()


def test_one_value_for_all_channels_stays_one_in_the_settings(smoke: Profile) -> None:
    assert smoke.data.mean == 114.75
    three = replace(smoke, data=replace(smoke.data, mean=(1.0, 2.0, 3.0)))
    assert records.fingerprint(C2D, three) != records.fingerprint(C2D, smoke)
    assert records.settings(C2D, smoke)["data"]["mean"] == 114.75
    assert records.settings(C2D, three)["data"]["mean"] == [1.0, 2.0, 3.0]


def smoke_net(results: Path, key: str = "r50-c2d") -> Path:
    (path,) = (results / "runs" / "smoke" / key / "seed0").glob("net-*.pt")
    return path


def test_a_runs_net_gives_its_records_accuracy_again(swept: Path, data: Path, tmp_path: Path) -> None:
    words = ["evaluate", "r50-c2d", "--weights", str(smoke_net(swept)), "--profile", "smoke", "--data", str(data)]
    assert main([*words, "--results", str(tmp_path)]) == 0
    (found,) = evaluations.read_all(tmp_path, "smoke")
    assert found.metrics == records.read(records.record_path(swept, "smoke", "r50-c2d", 0)).metrics
    assert (found.weights.source, found.released) == ("run", False)
    smoke = load_profile("smoke")
    assert evaluations.is_fresh(found, C2D, smoke)
    assert not evaluations.is_fresh(found, C2D, replace(smoke, data=replace(smoke.data, views=3)))


def test_an_own_net_is_tested_as_the_profile_says(real: Profile) -> None:
    weights = Weights(source=OWN, variant=None, key=C2D.key, file="net.pt", sha256="0", state="0")
    assert real.real
    other = replace(real, real=replace(real.real, sampling="caffe2"))
    assert evaluations.fingerprint(C2D, real, weights) != evaluations.fingerprint(C2D, other, weights)
    released = replace(weights, source="pyslowfast", variant="8x8")
    assert evaluations.fingerprint(C2D, real, released) == evaluations.fingerprint(C2D, other, released)


def test_a_dry_run_looks_at_few_videos_and_no_table_shows_it(
    real: Profile, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(profiles, "load", lambda name: real)
    weights = imported(tmp_path / "released", real, NL)
    words = [NL.key, "--weights", str(weights), "--data", str(videos), "--results", str(tmp_path / "results")]
    assert main(["evaluate", *words, "--videos", "1"]) == 0
    assert "caffe2 8x8 net_8x8.pth: video-level top-1" in capsys.readouterr().out
    (found,) = evaluations.read_all(tmp_path / "results", "real-dry-run")
    assert (found.metrics.videos, found.metrics.listed, found.metrics.views) == (1, None, 6)
    assert evaluations.read_all(tmp_path / "results", "real") == []


class Harmful:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def test_weights_that_are_not_the_keys_are_refused(real: Profile, swept: Path, smoke: Profile, tmp_path: Path) -> None:
    weights, folders = imported(tmp_path / "released", real), Folders(data=tmp_path, results=tmp_path / "results")

    def refusal(spec: RunSpec, file: Path, profile: Profile = real) -> str:
        with pytest.raises(BadInput) as caught:
            evaluate(spec, file, profile, folders=folders)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "holds weights of r50-c2d (caffe2 8x8, net_8x8.pth), not of r50-i3d" in refusal(NL, weights)
    assert "cannot read the weights" in refusal(C2D, tmp_path / "nowhere.pt")
    assert "no long clips" in refusal(replace(C2D, clip="long"), weights, replace(real, clips={"short": real.clips["short"]}))
    wider = replace(real, geometry=replace(real.geometry, width=16))
    assert "has the shape" in refusal(C2D, weights, wider)
    own = smoke_net(swept)
    assert "is not net-" in (line := refusal(RunSpec(net=NetSpec(blocks="res4")), own, smoke))
    assert f"no note {own.name}.json" in line
    renamed = tmp_path / f"net-{records.fingerprint(C2D, smoke)}.pt"
    shutil.copy(smoke_net(swept, NL.key), renamed)
    assert "has inserted.res3_1.bn.bias, which r50-c2d lacks" in refusal(C2D, renamed, smoke)
    state = torch.load(own, weights_only=True)
    torch.save({name: tensor * torch.nan for name, tensor in state.items()}, renamed)
    assert "no finite numbers" in refusal(C2D, renamed, smoke)
    renamed.write_bytes(renamed.read_bytes()[:1000])
    assert "damaged" in refusal(C2D, renamed, smoke)
    torch.save({"fc.weight": Harmful(tmp_path / "written")}, renamed)
    assert "names posix.mkdir" in refusal(C2D, renamed, smoke)
    assert not (tmp_path / "written").exists()
    torch.save({}, weights)
    assert "is not what" in refusal(C2D, weights)
    (weights.parent / "net.pt.json").write_text("{}")
    assert "net.pt.json is damaged" in refusal(C2D, weights)
    assert not folders.results.exists()


def test_released_weights_have_columns_of_their_own(smoke: Profile) -> None:
    spec = table_spec(TABLES["2f"])
    nl = next(row.key for row in spec.rows if row.label == "NL I3D")
    by_key = {s.key: s for s in TABLES.specs()}
    given = [
        evaluation(by_key[nl], smoke, "32x2", "0001"),
        evaluation(by_key[nl], smoke, "32x2", "0000", date="2023-01-01"),  # older: not shown
        evaluation(by_key["r50-c2d"], smoke, "8x8", "0111"),
        evaluation(by_key["r50-c2d"], smoke, "32x2", "0000", source="run"),  # a net of our own
        evaluation(by_key["r50-c2d-nl-res2-embedded-spacetime"], smoke, "32x2", "0000"),  # of no row
    ]
    bare = table_frame(spec, [])
    frame = with_released(bare, given)
    assert list(frame)[: len(list(bare))] == list(bare)
    place = frame["key"] == nl
    assert frame.loc[place, "released caffe2 32x2 top1"].tolist() == [75.0]
    assert frame.loc[place, "released caffe2 32x2 clip_top1"].tolist() == [65.0]
    assert frame.loc[~place, "released caffe2 32x2 top1"].isna().all()
    columns = released_columns(frame)
    assert list(columns) == ["released weights, caffe2 32x2", "released weights, caffe2 8x8"]
    assert columns["released weights, caffe2 32x2"][2].startswith("75.0 [")
    shown = side_by_side(spec, frame, None)
    assert list(shown)[-2:] == list(columns)
    notes = released_notes(frame, given)
    assert len(notes) == 2
    assert "video-level top-1 75.0 %" in notes[0]
    assert "clip-level top-1 65.0 %" in notes[0]
    assert "4 of 5 videos (80.0 %)" in notes[0]
    pd.testing.assert_frame_equal(with_released(bare, given[3:]), bare)
    assert released_notes(bare, given[3:]) == []


def test_the_videos_that_could_not_be_used_are_counted_under_a_table() -> None:
    def trained(videos: int, listed: int | None) -> Record:
        metrics = Metrics(top1=0.0, top5=0.0, loss=0.0, videos=videos, views=30, ranks="0" * videos, listed=listed)
        return Record(
            key="r50-c2d",
            profile="paper",
            seed=0,
            tables=(),
            spec=C2D,
            fingerprint="",
            metrics=metrics,
            curve=(),
            cost=Cost(params=1, macs=1),
            made=MADE,
        )

    assert "; 19,402 of 19,761 videos (98.2 %); video-level accuracy" in note([trained(19402, 19761)])
    assert "; 19761 test videos; video-level" in note([trained(19761, 19761)])


def test_a_report_and_a_list_tell_evaluations_apart(
    swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], smoke: Profile
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--profile", "smoke", "--results", "mine"]
    shutil.copytree(swept / "records", "mine/records")
    tables = Path("mine/tables/smoke")
    assert main(["report", "all", *words]) == 0
    before = {path.name: path.read_bytes() for path in tables.iterdir()}
    found = evaluation(C2D, smoke, "32x2", "0" * 20 + "1" * 20)
    path = evaluations.write(found, Path("mine"))
    assert main(["report", "all", *words]) == 0
    after = {path.name: path.read_bytes() for path in tables.iterdir()}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"table{t}.{ending}" for t in ("2a", "2b", "2c", "2d", "2f") for ending in ("md", "csv", "tex")}
    for ending, title in {
        "md": "released weights, caffe2",
        "csv": "released caffe2 32x2 top1",
        "tex": "released weights",
    }.items():
        assert title in after[f"table2a.{ending}"].decode()
    assert "40 of 41 videos (97.6 %)" in after["table2a.md"].decode()

    capsys.readouterr()
    assert main(["list", "2a", *words]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[-1] == "weights"
    (line,) = (line for line in lines if line.startswith("r50-c2d "))
    assert line.split()[-5:] == ["0,", "1", "caffe2", "32x2", "2024-01-"]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "old"}))
    assert main(["list", "2a", *words]) == 0
    assert "caffe2 32x2 2024-01- (stale)" in capsys.readouterr().out
    assert main(["report", "all", *words]) == 0
    assert f"left out: {path}" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in tables.iterdir()} == before
