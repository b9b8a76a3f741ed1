"""Released weights: nets give the peers' outputs, each tensor is used or named, files are known by name."""

import pickle
import re
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, command
from released_files import LACKED_BY_AFFINE, blobs, clip, deeper, narrow, shapes

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
DOT, GAUSSIAN = (replace(NL_I3D, form=form) for form in ("dot", "gaussian"))
NL = RunSpec(net=NL_I3D)
DOTS = next(known for known in known_files() if known.key == RunSpec(net=DOT).key)
BASE, FLAT, FLAT_BASE = {"blocks": False}, {"flat": True}, {"flat": True, "blocks": False}
AFFINE, UNEMBEDDED = {"without": LACKED_BY_AFFINE}, {"without": "theta|phi"}
FILE = "net.pkl"
rare = partial(pytest.param, marks=pytest.mark.rare)


def net(source: Source, spec: NetSpec, name: str) -> ReleasedResNet:
    variant = find_variant(source, name)
    return ReleasedResNet(RunSpec(net=spec, clip=variant.clip), load_profile("paper"), source, variant).eval()


def outputs(released: ReleasedResNet, weights: dict[str, torch.Tensor], side: int = 64) -> torch.Tensor:
    """The scores of a clip, (classes,)."""
    state, _, left = importing.convert(weights, released, released.source, "file")
    assert not [name for name in left if not name.endswith("num_batches_tracked")]
    released.load_state_dict(state)
    with torch.no_grad():
        return released(clip(released.variant.frames, side))[0]


@pytest.mark.parametrize(
    ("source", "spec", "name", "changes", "expected"),
    [  # the first scores that the peer's own code gave for these weights and this clip, before the softmax
        ("pyslowfast", NL_I3D, "8x8", {}, (4.61922, -0.934863, 1.572343, -3.078556)),
        rare("pyslowfast", DOT, "8x8", {}, (3219.673, 29.0892, -1650.615, -4040.825)),
        rare("pyslowfast", C2D, "8x8", FLAT_BASE, (3.680456, -2.801844, 1.634813, -7.321867)),
        rare("pyslowfast", NL_C2D, "8x8", FLAT, (3.340626, -2.984044, 1.533177, -7.294468)),
        rare("pyslowfast", I3D, "8x8", BASE, (4.752016, -1.009346, 1.706414, -3.494497)),
        rare("mmaction2", I3D, "32x2", BASE, (-0.05564533, -5.970834, -2.25728, -9.89253)),
        rare("mmaction2", NL_I3D, "32x2", {}, (-0.3965412, -6.058392, -2.204727, -9.963139)),
        ("mmaction2", DOT, "32x2", {}, (31.35341, -41.17475, -24.13863, -87.48942)),
        rare("mmaction2", GAUSSIAN, "32x2", UNEMBEDDED, (-0.3939019, -6.048786, -2.210125, -9.957632)),
        rare("caffe2", NL_I3D, "32x2", {}, (6.529324, -1.740003, -4.058403, -0.113715)),
        rare("caffe2", DOT, "32x2", {}, (3312.067, 1778.866, 1891.449, -130.6178)),
        rare("caffe2", C2D, "32x2", FLAT_BASE, (6.479368, -4.221688, -8.184014, 1.763076)),
        rare("caffe2", NL_C2D, "32x2", FLAT, (6.369334, -4.002234, -8.129411, 1.451891)),
        rare("caffe2", I3D, "32x2", BASE, (6.261163, -1.777847, -3.992916, -0.1398772)),
        rare("caffe2", I3D, "128x1", AFFINE | BASE, (2.660315, -0.8292402, -0.840398, 0.254695)),
        rare("caffe2", NL_I3D, "8x8", {}, (5.881117, -1.213078, -3.246776, -0.6529607)),
        rare("caffe2", C2D, "8x8", FLAT_BASE, (5.884479, -3.009503, -7.102667, 1.161233)),
        rare("caffe2", I3D, "32x4", AFFINE | BASE, (2.367685, -0.7308221, -0.7257055, 0.06089559)),
        rare("caffe2", NL_I3D, "128x1", AFFINE, (2.660804, -0.8650513, -0.8502368, 0.2152146)),
        ("caffe2", NL_I3D, "32x4", AFFINE, (2.357234, -0.7468876, -0.7461517, 0.03443888)),
        rare("caffe2", NL_C2D, "32x4", AFFINE | FLAT, (1.846659, -0.4408973, -1.055071, -0.1090701)),
        rare("pyslowfast", C2D, "8x8-nopool", FLAT_BASE, (3.218601, -2.635096, 1.536892, -6.642266)),
        rare("mmaction2", C2D, "8x8", FLAT_BASE, (-3.089968, -6.531826, -0.004242245, -11.51369)),
        rare("mmaction2", C2D, "16x4", FLAT_BASE, (-3.239043, -6.607548, -0.1571735, -11.38235)),
        ("mmaction2", C2D, "8x8-nopool", FLAT_BASE, (-2.61899, -6.185718, -0.3025863, -10.3818)),
        rare("pyslowfast", replace(NL_I3D, depth=101), "8x8", {}, (78.535, 5.626285, 15.8875, -17.3889)),
    ],
)
def test_a_net_with_a_peers_weights_gives_the_peers_outputs(
    source: Source, spec: NetSpec, name: str, changes: dict[str, Any], expected: tuple[float, ...]
) -> None:
    listed = shapes(source, **changes)
    scores = outputs(net(source, spec, name), blobs(deeper(listed) if spec.depth == 101 else listed))
    assert (scores[:4] - torch.tensor(expected)).abs().max() < 1e-5 * scores.abs().max()


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
    probabilities = outputs(net("pyslowfast", NL_I3D, "8x8"), blobs(shapes("pyslowfast")), 256).softmax(0)
    expected = torch.tensor([0.5445243, 0.1975596, 0.1265229, 0.06755034, 0.0346653, 0.01418116])
    torch.testing.assert_close(probabilities[[140, 70, 274, 20, 353, 253]], expected, rtol=1e-4, atol=0)
    scores = outputs(net("mmaction2", DOT, "32x2"), blobs(shapes("mmaction2")), 256)
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
        (f"module.{FC}", torch.ones(1), rf"has both module.{FC} and {FC}"),
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
