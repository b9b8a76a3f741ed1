"""Released weights: our nets give the peers' outputs, every tensor is used or named."""

import io
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from released_files import Shapes, affine, baseline, blobs, clip, deeper, flat, gaussian, shapes

from ablations.__main__ import main
from nlrepro.config import load_profile
from nlrepro.evaluation import read_note
from nlrepro.files import BadInput
from nlrepro.nets.resnet import FoldedNonLocalBlock, VideoResNet
from nlrepro.released.adopt import adopt
from nlrepro.released.names import Source
from nlrepro.released.nets import ReleasedResNet
from nlrepro.released.variants import variant
from nlrepro.spec import NetSpec, RunSpec

I3D, C2D = NetSpec(conv="3x1x1"), NetSpec()
NL_I3D, NL_C2D = NetSpec(conv="3x1x1", blocks="5-block"), NetSpec(blocks="5-block")
KEY = "r50-i3d-3x1x1-nl-5-block-embedded-spacetime"


def nl(form: str) -> NetSpec:
    return NetSpec(conv="3x1x1", blocks="5-block", form=form)  # type: ignore[arg-type]


NL_R101 = NetSpec(depth=101, conv="3x1x1", blocks="5-block")


def flat_nl_affine(found: Shapes) -> Shapes:
    return flat(affine(found))


def affine_baseline(found: Shapes) -> Shapes:
    return affine(baseline(found))


def whole(found: Shapes) -> Shapes:
    return found


def flat_baseline(found: Shapes) -> Shapes:
    return flat(baseline(found))


def net(source: Source, spec: NetSpec, name: str) -> ReleasedResNet:
    found = variant(source, name)
    return ReleasedResNet(RunSpec(net=spec, clip=found.clip), load_profile("paper").geometry, 400, source, found).eval()


# The first four class scores that the peer's own code gave for these weights and this clip (its softmax left out).
OUTPUTS = [
    ("pyslowfast", NL_I3D, "8x8", whole, (4.61922, -0.934863, 1.572343, -3.078556)),
    ("pyslowfast", nl("dot"), "8x8", whole, (3219.673, 29.0892, -1650.615, -4040.825)),
    ("pyslowfast", C2D, "8x8", flat_baseline, (3.680456, -2.801844, 1.634813, -7.321867)),
    ("pyslowfast", NL_C2D, "8x8", flat, (3.340626, -2.984044, 1.533177, -7.294468)),
    ("pyslowfast", I3D, "8x8", baseline, (4.752016, -1.009346, 1.706414, -3.494497)),
    ("mmaction2", I3D, "32x2", baseline, (-0.05564533, -5.970834, -2.25728, -9.89253)),
    ("mmaction2", NL_I3D, "32x2", whole, (-0.3965412, -6.058392, -2.204727, -9.963139)),
    ("mmaction2", nl("dot"), "32x2", whole, (31.35341, -41.17475, -24.13863, -87.48942)),
    ("mmaction2", nl("gaussian"), "32x2", gaussian, (-0.3939019, -6.048786, -2.210125, -9.957632)),
    ("caffe2", NL_I3D, "32x2", whole, (6.529324, -1.740003, -4.058403, -0.113715)),
    ("caffe2", nl("dot"), "32x2", whole, (3312.067, 1778.866, 1891.449, -130.6178)),
    ("caffe2", C2D, "32x2", flat_baseline, (6.479368, -4.221688, -8.184014, 1.763076)),
    ("caffe2", NL_C2D, "32x2", flat, (6.369334, -4.002234, -8.129411, 1.451891)),
    ("caffe2", I3D, "32x2", baseline, (6.261163, -1.777847, -3.992916, -0.1398772)),
    ("caffe2", I3D, "128x1", affine_baseline, (2.660315, -0.8292402, -0.840398, 0.254695)),
    ("caffe2", NL_I3D, "8x8", whole, (5.881117, -1.213078, -3.246776, -0.6529607)),
    ("caffe2", C2D, "8x8", flat_baseline, (5.884479, -3.009503, -7.102667, 1.161233)),
    ("caffe2", I3D, "32x4", affine_baseline, (2.367685, -0.7308221, -0.7257055, 0.06089559)),
    ("caffe2", NL_I3D, "128x1", affine, (2.660804, -0.8650513, -0.8502368, 0.2152146)),
    ("caffe2", NL_I3D, "32x4", affine, (2.357234, -0.7468876, -0.7461517, 0.03443888)),
    ("caffe2", NL_C2D, "32x4", flat_nl_affine, (1.846659, -0.4408973, -1.055071, -0.1090701)),
    ("pyslowfast", C2D, "8x8-nopool", flat_baseline, (3.218601, -2.635096, 1.536892, -6.642266)),
    ("mmaction2", C2D, "8x8", flat_baseline, (-3.089968, -6.531826, -0.004242245, -11.51369)),
    ("mmaction2", C2D, "16x4", flat_baseline, (-3.239043, -6.607548, -0.1571735, -11.38235)),
    ("mmaction2", C2D, "8x8-nopool", flat_baseline, (-2.61899, -6.185718, -0.3025863, -10.3818)),
    ("pyslowfast", NL_R101, "8x8", deeper, (78.535, 5.626285, 15.8875, -17.3889)),
]


@pytest.mark.parametrize(("source", "spec", "name", "kind", "expected"), OUTPUTS)
def test_our_net_with_a_peers_weights_gives_the_peers_outputs(
    source: Source, spec: NetSpec, name: str, kind: Callable[[Shapes], Shapes], expected: tuple[float, ...]
) -> None:
    ours = net(source, spec, name)
    adopted = adopt(blobs(kind(shapes(source))), ours, source, "file")
    assert not [name for name in adopted.left if not name.endswith("num_batches_tracked")]
    ours.load_state_dict(adopted.state)
    with torch.no_grad():
        scores = ours(clip(ours.variant.frames))[0]
    assert (scores[:4] - torch.tensor(expected)).abs().max() < 1e-5 * scores.abs().max()


@pytest.mark.parametrize("pair", [("theta", "phi"), ("theta", "g"), ("phi", "g")])
def test_the_outputs_tell_the_projections_apart(pair: tuple[str, str]) -> None:
    """Else the test above could not see that names of one shape are exchanged."""
    ours = net("caffe2", NL_I3D, "8x8")
    good = blobs(shapes("caffe2"))
    other = dict(zip(pair, reversed(pair), strict=True))
    exchanged = {re.sub(r"(?<=_)(theta|phi|g)(?=_w$)", lambda m: other.get(m[0], m[0]), name): x for name, x in good.items()}
    outputs = []
    for weights in (good, exchanged):
        ours.load_state_dict(adopt(weights, ours, "caffe2", "file").state)
        with torch.no_grad():
            outputs.append(ours(clip(8))[0])
    assert (outputs[0] - outputs[1])[:4].abs().max() > 2e-5 * outputs[0].abs().max()


@pytest.mark.parametrize("source", ["caffe2", "pyslowfast", "mmaction2"])
def test_a_missing_an_unknown_and_an_unfitting_tensor_are_named(source: Source) -> None:
    with torch.device("meta"):
        ours = net(source, NL_I3D, "8x8" if source == "pyslowfast" else "32x2")
    good = blobs(shapes(source))
    name = next(name for name, tensor in good.items() if tensor.ndim == 5)
    with pytest.raises(BadInput, match=rf"lacks {name}, of shape \(64, 3, 5, 7, 7\)"):
        adopt({k: v for k, v in good.items() if k != name}, ours, source, "file")
    with pytest.raises(BadInput, match=r"has stray, of shape \(2,\), for which r50-i3d.* has no place"):
        adopt(good | {"stray": torch.ones(2)}, ours, source, "file")
    with pytest.raises(BadInput, match=rf"{name}: expected the shape \(64, 3, 5, 7, 7\), got \(64, 3, 1, 7, 7\)"):
        adopt(good | {name: torch.ones(64, 3, 1, 7, 7)}, ours, source, "file")


def test_what_the_optimizer_left_is_listed_not_used() -> None:
    with torch.device("meta"):
        ours = net("caffe2", NL_I3D, "32x2")
    extra = {"lr": torch.tensor(0.01), "model_iter": torch.tensor(400000), "conv1_w_momentum": torch.ones(64, 3, 5, 7, 7)}
    assert adopt(blobs(shapes("caffe2")) | extra, ours, "caffe2", "file").left == ["conv1_w_momentum", "lr", "model_iter"]


def test_the_outputs_tell_groups_of_frames_from_the_whole_clip() -> None:
    ours, good = net("caffe2", NL_I3D, "32x4"), blobs(affine(shapes("caffe2")))
    ours.load_state_dict(adopt(good, ours, "caffe2", "file").state)
    outputs = []
    for group in (4, None):
        for name in ("res3_1", "res3_3"):
            block = ours.inserted[name]
            assert isinstance(block, FoldedNonLocalBlock)
            block.group = group
        with torch.no_grad():
            outputs.append(ours(clip(32))[0])
    assert (outputs[0] - outputs[1])[:4].abs().max() > 1e-5 * outputs[0].abs().max()


def test_large_maps_are_tested_in_windows_of_the_trained_size() -> None:
    """Softmax scores averaged over all 7 x 7 windows of a map; mmaction2 takes the mean of the whole map."""
    x = torch.randn(2, 4, 2048, 8, 9, generator=torch.Generator().manual_seed(0))
    ours = net("caffe2", C2D, "8x8")
    windows = [x[:, :, :, top : top + 7, left : left + 7].mean((1, 3, 4)) for top in range(2) for left in range(3)]
    expected = torch.stack([ours.fc(w).softmax(1) for w in windows]).mean(0)
    torch.testing.assert_close(ours.head(x).softmax(1), expected)
    torch.testing.assert_close(ours.head(x[..., :7, :7]), ours.fc(windows[0]))
    theirs = net("mmaction2", C2D, "8x8")
    torch.testing.assert_close(theirs.head(x), theirs.fc(x.mean((1, 3, 4))))


def test_a_crop_of_256_pixels_gives_the_peers_outputs() -> None:
    """Its map of 8 x 8 is larger than the trained one. PySlowFast's own code gave the probabilities of these classes."""
    ours = net("pyslowfast", NL_I3D, "8x8")
    ours.load_state_dict(adopt(blobs(shapes("pyslowfast")), ours, "pyslowfast", "file").state)
    with torch.no_grad():
        found = ours(clip(8, 256))[0].softmax(0)
    likely, unlikely = [140, 70, 274, 20, 353, 253], [0, 1, 2, 3, 4, 5]
    expected = torch.tensor([0.5445243, 0.1975596, 0.1265229, 0.06755034, 0.0346653, 0.01418116])
    torch.testing.assert_close(found[likely], expected, rtol=1e-4, atol=0)
    tiny = torch.tensor([2.53066e-08, 7.81009e-10, 3.64604e-11, 2.64239e-12, 1.86089e-13, 1.84295e-14])
    torch.testing.assert_close(found[unlikely], tiny, rtol=1e-3, atol=0)


def test_mmaction2s_head_takes_the_mean_of_a_map_of_any_size() -> None:
    """Crops of 256 pixels; the first six scores that its own code gave."""
    ours = net("mmaction2", nl("dot"), "32x2")
    ours.load_state_dict(adopt(blobs(shapes("mmaction2")), ours, "mmaction2", "file").state)
    with torch.no_grad():
        scores = ours(clip(32, 256))[0]
    expected = torch.tensor([188.3479, -672.1375, -648.2045, -1368.189, 17.95062, 96.69035])
    assert (scores[:6] - expected).abs().max() < 1e-5 * scores.abs().max()


UNSUPPORTED: list[tuple[Source, NetSpec, str, str]] = [
    ("caffe2", NetSpec(conv="3x3x3"), "32x2", "it has C2D and I3D 3x1x1, spacetime non-local blocks in them"),
    ("caffe2", nl("concatenation"), "32x2", "has no weights of .*concatenation"),
    ("pyslowfast", I3D, "8x8-nopool", "it has C2D, no non-local blocks in it"),
    ("pyslowfast", NL_C2D, "8x8-nopool", "it has C2D, no non-local blocks in it"),
    ("pyslowfast", I3D, "32x2", "no weights of the variant '32x2'.*use one of 8x8, 8x8-nopool"),
    ("mmaction2", C2D, "32x2", "it has I3D 3x1x1"),
    ("mmaction2", NL_C2D, "8x8", "it has C2D, no non-local"),
]


@pytest.mark.parametrize(("source", "spec", "name", "reason"), UNSUPPORTED)
def test_a_net_that_a_source_has_not_released_is_refused(source: Source, spec: NetSpec, name: str, reason: str) -> None:
    with torch.device("meta"), pytest.raises(BadInput, match=reason):
        net(source, spec, name)


def test_files_with_and_without_running_means_are_told_apart() -> None:
    with torch.device("meta"):
        frozen, trained = net("caffe2", I3D, "32x4"), net("caffe2", I3D, "8x8")
    full = baseline(shapes("caffe2"))
    with pytest.raises(BadInput, match="is with running means, 32x4 files of caffe2 are without; see --variant"):
        adopt(blobs(full), frozen, "caffe2", "file")
    with pytest.raises(BadInput, match="is without running means, 8x8 files of caffe2 are with"):
        adopt(blobs(affine(full)), trained, "caffe2", "file")


def imported(tmp_path: Path, *words: str | Path) -> int:
    return main(["weights", "import", *map(str, words), "--out", str(tmp_path / "out" / "net.pt")])


def test_import_writes_a_state_that_loads_and_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = {name: tensor.numpy() for name, tensor in blobs(shapes("caffe2")).items()} | {"lr": np.float64(0.1)}
    (tmp_path / "nl.pkl").write_bytes(pickle.dumps({"blobs": good}, protocol=2))
    assert imported(tmp_path, tmp_path / "nl.pkl", "--source", "caffe2", "--key", KEY, "--variant", "32x2") == 0
    assert "caffe2 32x2, of 327 blobs; 1 left over\n  left over: lr\n" in capsys.readouterr().out
    state = torch.load(tmp_path / "out" / "net.pt", weights_only=True)
    net("caffe2", NL_I3D, "32x2").load_state_dict(state)
    assert torch.equal(state["inserted.res3_1.w_z.weight"], torch.from_numpy(good["nonlocal_conv3_1_out_w"]))
    note = read_note(tmp_path / "out" / "net.pt.json")
    assert (note.source, note.variant, note.key, note.file, note.left) == ("caffe2", "32x2", KEY, "nl.pkl", ("lr",))
    assert set(note.used) == good.keys() - {"lr"}
    for digest, path in ((note.sha256, tmp_path / "nl.pkl"), (note.state, tmp_path / "out" / "net.pt")):
        assert digest == sha256(path.read_bytes()).hexdigest()


def test_torchvisions_weights_are_those_of_a_plain_net_of_images(tmp_path: Path) -> None:
    from torchvision.models import resnet50

    torch.save(OrderedDict(resnet50().state_dict()), tmp_path / "resnet50.pth")
    assert imported(tmp_path, tmp_path / "resnet50.pth", "--source", "torchvision", "--key", "r50-c2d") == 0
    plain = VideoResNet(NetSpec(), load_profile("paper").geometry, 1000)
    names = {".".join(name.split(".")) for name in plain.state_dict()}
    assert names == set(torch.load(tmp_path / "resnet50.pth", weights_only=True))
    plain.load_state_dict(torch.load(tmp_path / "out" / "net.pt", weights_only=True))


def refusal(capsys: pytest.CaptureFixture[str], tmp_path: Path, *words: str | Path) -> str:
    assert imported(tmp_path, *words) == 2
    assert not (tmp_path / "out").exists()
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    missing, buffer = tmp_path / "none.pth", io.BytesIO()
    torch.save({"state_dict": blobs(shapes("mmaction2"))}, buffer)
    (tmp_path / "nl.pth").write_bytes(buffer.getvalue())
    line = refusal(capsys, tmp_path, missing, "--source", "torchvision", "--key", "r101-c2d")
    assert "resnet101-63fe2227.pth" in line
    assert str(tmp_path / "hub" / "checkpoints") in line
    variant = ("--variant", "32x2")
    assert "cannot read" in refusal(capsys, tmp_path, missing, "--source", "caffe2", "--key", KEY, *variant)
    assert "say --variant" in refusal(capsys, tmp_path, missing, "--source", "caffe2", "--key", KEY)
    assert "use one of 8x8" in refusal(capsys, tmp_path, missing, "--source", "pyslowfast", "--key", KEY, *variant)
    assert f"use the key {KEY}," in refusal(capsys, tmp_path, missing, "--source", "caffe2", "--key", f"{KEY}-long", *variant)
    assert "unknown run key" in refusal(capsys, tmp_path, missing, "--source", "caffe2", "--key", "r50")
    wrong = refusal(capsys, tmp_path, tmp_path / "nl.pth", "--source", "mmaction2", "--key", "r50-i3d-3x1x1", *variant)
    assert "has backbone.layer2.1.non_local_block." in wrong
    torchvision = tmp_path / "nl.pth", "--source", "torchvision", "--key", "r50-i3d-3x1x1"
    assert "use --key r50-c2d," in refusal(capsys, tmp_path, *torchvision)
