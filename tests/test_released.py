"""Released weights: nets give the peers' outputs, each tensor is used or named, files are known by name."""

import pickle
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, command
from released_files import GOLDEN, blobs, clip, narrow, shapes

from ablations.registry import TABLES
from nlrepro.config import Profile, load_profile
from nlrepro.files import BadInput
from nlrepro.record import Weights, read_record
from nlrepro.released import importing
from nlrepro.released.importing import ReleasedResNet, import_weights, load_net
from nlrepro.released.names import Source, find_variant, known_file, known_files, variant_of
from nlrepro.run import Folders, Run
from nlrepro.spec import NetSpec, RunSpec
from nlrepro.task import VIDEO

I3D, C2D = NetSpec(conv="3x1x1"), NetSpec()
NL_I3D, NL_C2D = NetSpec(conv="3x1x1", blocks="5-block"), NetSpec(blocks="5-block")
NL, DOT = RunSpec(net=NL_I3D), replace(NL_I3D, form="dot")
DOTS = next(known for known in known_files() if known.key == RunSpec(net=DOT).key)
OUTPUTS = (GOLDEN / "outputs.txt").read_text().splitlines()[2:]
FILE = "net.pkl"


def net(source: Source, spec: NetSpec, name: str) -> ReleasedResNet:
    variant = find_variant(source, name)
    return ReleasedResNet(RunSpec(net=spec, clip=variant.clip), load_profile("paper"), source, variant).eval()


def outputs(released: ReleasedResNet, side: int = 64) -> torch.Tensor:
    """The scores of a clip, (classes,), with the weights that the peers' nets had."""
    weights = blobs(shapes(released.source, released.spec, released.variant.affine))
    state, _, left = importing.convert(weights, released, released.source, "file")
    assert not [name for name in left if not name.endswith("num_batches_tracked")]
    released.load_state_dict(state)
    with torch.no_grad():
        return released(clip(released.variant.frames, side))[0]


@pytest.mark.parametrize(
    "line", [pytest.param(line, marks=[pytest.mark.rare] * line.startswith("rare")) for line in OUTPUTS]
)
def test_a_net_with_a_peers_weights_gives_the_peers_outputs(line: str) -> None:
    _, source, variant, key, *expected = line.split()
    spec: Any = RunSpec.of_key(key)
    scores = outputs(net(source, spec.net, variant))  # type: ignore[arg-type]
    assert (scores[:4] - torch.tensor([*map(float, expected)])).abs().max() < 1e-5 * scores.abs().max()


def test_large_maps_are_tested_in_windows_of_the_trained_size() -> None:
    """Softmax scores averaged over all 7 x 7 windows of a map; mmaction2 takes the mean of the whole map."""
    x = torch.randn(2, 4, 2048, 8, 9, generator=torch.Generator().manual_seed(0))
    released, means = net("caffe2", C2D, "8x8"), net("mmaction2", C2D, "8x8")
    places = [(top, left) for top in range(2) for left in range(3)]
    windows = [x[:, :, :, top : top + 7, left : left + 7].mean((1, 3, 4)) for top, left in places]
    expected = torch.stack([released.fc(window).softmax(1) for window in windows]).mean(0)
    torch.testing.assert_close(released.head(x).softmax(1), expected)
    torch.testing.assert_close(means.head(x), means.fc(x.mean((1, 3, 4))))


@pytest.mark.rare
def test_crops_of_256_pixels_give_the_peers_outputs() -> None:
    """Maps of 8 x 8: probabilities of PySlowFast's own code, scores of mmaction2's."""
    probabilities = outputs(net("pyslowfast", NL_I3D, "8x8"), 256).softmax(0)
    expected = torch.tensor([0.5445243, 0.1975596, 0.1265229, 0.06755034, 0.0346653, 0.01418116])
    torch.testing.assert_close(probabilities[[140, 70, 274, 20, 353, 253]], expected, rtol=1e-4, atol=0)
    scores = outputs(net("mmaction2", DOT, "32x2"), 256)
    expected = torch.tensor([188.3479, -672.1375, -648.2045, -1368.189, 17.95062, 96.69035])
    assert (scores[:6] - expected).abs().max() < 1e-5 * scores.abs().max()


STEM, FC = "s1.pathway0_stem.conv.weight", "head.projection.weight"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [  # None: left out; a number: the first value
        (STEM, None, rf"lacks {STEM}, of shape \(\d+, 3, \d"),
        (STEM, torch.ones(1, 3, 9), rf"{STEM}: expected the shape .*, got \(1, 3, 9\)"),
        (STEM, torch.nan, rf"has {STEM} .*no finite numbers"),
        ("stray", torch.ones(2), r"has stray, of shape \(2,\), for which r50-i3d.* has no place \(1 such\)"),
        ("s1.pathway0_stem.bn.running_var", -1e-3, "has s1.pathway0_stem.bn.running_var .*variances below 0"),
        (FC, torch.ones(9, 64), r"is of 9 classes, the profile of \d+.*with classes = 9"),
        (f"module.{FC}", torch.ones(1), rf"has module.{FC}, of shape \(1,\), for which .* \(1 such\)"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(
    name: str, value: Any, reason: str, tmp_path: Path, real: Profile
) -> None:
    file, out = tmp_path / "mine_8x8.pyth", tmp_path / "net.pt"
    weights = narrow("pyslowfast", NL, real, "8x8")
    if isinstance(value, float):
        weights[name].view(-1)[0] = value
    else:
        weights = {key: x for key, x in (weights | {name: value}).items() if x is not None}
    torch.save(weights, file)
    with pytest.raises(BadInput, match=rf"mine_8x8.pyth.* {reason}"):
        import_weights(file, "pyslowfast", NL, real, out)
    assert not out.exists()


@pytest.mark.parametrize("prefix", ["module.", "model._orig_mod.", "gpu_0/"])
@pytest.mark.parametrize(
    ("source", "variant"), [("caffe2", "8x8"), ("caffe2", "32x4"), ("mmaction2", "32x2")]
)
def test_what_stands_before_all_names_is_taken_off(
    source: Source, variant: str, prefix: str, tmp_path: Path, real: Profile
) -> None:
    """Not so of some names: each tensor is used or named."""
    spec = replace(NL, clip=find_variant(source, variant).clip)
    weights = {prefix + name: x for name, x in narrow(source, spec, real, variant).items()}
    first = next(iter(weights)).removeprefix(prefix).replace("_orig_mod.", "")
    torch.save({"state_dict": weights}, tmp_path / FILE)
    note = import_weights(tmp_path / FILE, source, spec, real, tmp_path / "net.pt", variant)
    assert (len(note.used), note.left) == (len(weights), ())
    torch.save(weights | {first: torch.ones(1)}, tmp_path / FILE)
    with pytest.raises(BadInput, match=f"{FILE} has both .*{first} and {first}; keep one"):
        import_weights(tmp_path / FILE, source, spec, real, tmp_path / "net.pt", variant)


@pytest.mark.parametrize(
    ("source", "variant", "asked", "reason"),
    [
        ("pyslowfast", "8x8", "8x8", "are those of pyslowfast, not of caffe2; give --source pyslowfast"),
        ("caffe2", "8x8", "32x4", "is with running means, 32x4 files of caffe2 are without; see --variant"),
        ("caffe2", "32x4", "8x8", "is without running means, 8x8 files of caffe2 are with"),
    ],
)
def test_files_of_another_source_or_another_normalisation_are_refused(
    source: Source, variant: str, asked: str, reason: str, tmp_path: Path, real: Profile
) -> None:
    spec = RunSpec(net=I3D, clip=find_variant(source, variant).clip)
    torch.save(narrow(source, spec, real, variant), tmp_path / FILE)
    spec = replace(spec, clip=find_variant("caffe2", asked).clip)
    with pytest.raises(BadInput, match=reason):
        import_weights(tmp_path / FILE, "caffe2", spec, real, tmp_path / "net.pt", asked)


def test_import_writes_a_state_that_loads_and_a_note(tmp_path: Path, real: Profile) -> None:
    good = {f"gpu_0/{name}": x.numpy() for name, x in narrow("caffe2", NL, real, "32x2").items()}
    left = {"lr": np.float64(0.1), "model_iter": np.float64(4e5), "conv1_w_momentum": np.ones(3)}
    file, out = tmp_path / "i3d_nonlocal_32x2_IN_pretrain_400k.pkl", tmp_path / "out" / "net.pt"
    file.write_bytes(pickle.dumps({"blobs": good | left}, protocol=2))
    note = import_weights(file, "caffe2", NL, real, out)
    assert note == importing.read_note(tmp_path / "out" / "net.pt.json")
    assert (note.source, note.variant, note.key, note.file) == ("caffe2", "32x2", NL.key, file.name)
    assert ({f"gpu_0/{name}" for name in note.used}, set(note.left)) == (set(good), set(left))
    for digest, path in ((note.sha256, file), (note.state, out)):
        assert digest == sha256(path.read_bytes()).hexdigest()
    loaded, profile = load_net(out, NL, real)
    weight = loaded.get_parameter("inserted.res3_1.w_z.weight")
    assert torch.equal(weight, torch.from_numpy(good["gpu_0/nonlocal_conv3_1_out_w"]))
    assert (profile.clips["short"].frames, loaded.training) == (32, False)


def test_the_test_is_the_sources_own(real: Profile) -> None:
    images = Weights(source="mmaction2", variant="8x8-nopool", key="r50-c2d", file="", sha256="", state="")
    _, fitting = importing.build_net(images, RunSpec(), real)
    test = fitting.real
    assert (test.sampling, test.averaged, test.test_side) == ("mmaction2", "scores", 32)  # type: ignore[union-attr]
    assert (fitting.clips["short"].stride, fitting.data.mean) == (8, (123.675, 116.28, 103.53))
    assert importing.build_net(replace(images, source="run", variant=None), RunSpec(), real)[1] == real


def test_every_released_file_is_known_by_its_name() -> None:
    assert len({known.file for known in known_files()}) == 26
    for known in known_files():
        spec = TABLES.spec(known.key)
        variant = variant_of(known.file, known.source, spec)
        assert variant.name == known.variant
        importing.check_supported(known.source, variant, spec)
        assert 50 < known.top1 < known.top5 < 100
    for name in (DOTS.file.replace("_20220812-8e1f2148", ""), DOTS.file.replace(".pth", " (1).pth")):
        assert known_file(name) == DOTS
    assert "its source states top-1 74.8 %, top-5 92.1 %" in DOTS.stated
    assert variant_of("C2D_nopool_8x8.pkl", "pyslowfast", RunSpec()).name == "8x8-nopool"


@pytest.mark.parametrize(
    ("file", "source", "key", "variant", "reason"),
    [
        (DOTS.file, "mmaction2", NL.key, None, f"wants --key {DOTS.key}, got {NL.key}"),
        (DOTS.file, "pyslowfast", DOTS.key, None, "wants --source mmaction2, got pyslowfast"),
        ("mine_8x8.pkl", "caffe2", NL.key, "32x2", "wants --variant 8x8, got 32x2"),
        ("i3d_imagenet-pretrained-r50_8xb8-dense-32x2x1.pth", "mmaction2", NL.key, None, "dense sampling"),
        ("mine_8xb8.pkl", "caffe2", NL.key, None, "give --variant, one of 32x2, 128x1, 8x8, 32x4"),
        (FILE, "caffe2", f"{NL.key}-long", "32x2", f"use the key {NL.key}, or another --variant"),
        (FILE, "caffe2", NL.key, "32x2", "cannot read .*net.pkl"),
        (FILE, "caffe2", "r50-i3d-3x3x3", "32x2", "has C2D and I3D 3x1x1 with spacetime non-local blocks"),
        (FILE, "caffe2", NL.key.replace("embedded", "concatenation"), "32x2", "no weights of .*concat"),
        (FILE, "caffe2", "r50-i3d-3x1x1-context-5-block", "32x2", "no weights of .*context"),
        (FILE, "pyslowfast", "r50-c2d-nl-5-block-dot-spacetime", "8x8-nopool", "has C2D with no non-local"),
        (FILE, "pyslowfast", "r50-i3d-3x1x1", "32x2", "the variant '32x2'.*use one of 8x8, 8x8-nopool"),
        (FILE, "mmaction2", "r50-c2d", "32x2", "it has I3D 3x1x1"),
    ],
)
def test_what_contradicts_a_files_name_or_has_not_been_released_is_refused(
    file: str, source: str, key: str, variant: str | None, reason: str, tmp_path: Path
) -> None:
    given = ["--variant", variant] if variant else []
    words = [tmp_path / file, "--source", source, "--key", key, *given, "--out", tmp_path / "net.pt"]
    status, _, err = command("weights", "import", *words)
    assert (status, err.count("\n")) == (2, 1)
    assert re.search(reason, err)


def test_the_committed_net_is_small_and_its_note_names_a_fresh_record() -> None:
    mini, published = load_profile("mini"), ROOT / "results" / "published"
    run = Run(task=VIDEO, spec=RunSpec(net=NL_C2D), profile=mini, seed=0, folders=Folders(results=published))
    file = published / "weights" / "mini" / f"{run.key}-seed0.pt"
    note = importing.read_note(file.with_name(f"{file.name}.json"))
    assert file.stat().st_size < 1.5e6
    assert note.file == f"mini/{run.key}/seed0/{run.weights.name}"
    assert read_record(run.record_path).fingerprint == run.fingerprint
    loaded, profile = load_net(file, run.spec, mini)
    assert (loaded.spec, profile) == (run.spec.net, mini)
