"""Weights that nets start from: safely read, shipped and how they are made, ImageNet's, copied, inflated."""

import gzip
import io
import os
import pickle
import re
import shutil
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from nlrepro.config import Geometry, Profile, load_profile
from nlrepro.files import BadInput
from nlrepro.nets.resnet import VideoResNet
from nlrepro.nets.weights import pretrained, read_tensors, start_from, start_from_file
from nlrepro.pretrained import net_path, note_path, pretrained_digest, read_note
from nlrepro.spec import DEPTHS, Conv, Depth, NetSpec
from nlrepro.train.pretrain import pretrain

State = dict[str, Tensor]

# Files of strangers


class Harmful(str):
    """Unpickling it makes a folder of this name."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self),)


def test_a_pickle_that_names_a_function_is_refused_before_it_runs(tmp_path: Path) -> None:
    written = tmp_path / "written"
    pickled = pickle.dumps({"blobs": {"w": np.ones(1), "x": Harmful(str(written))}}, protocol=2)
    pickle.loads(pickled)
    assert written.is_dir()  # a plain reader does run it
    written.rmdir()
    (tmp_path / "evil.pkl").write_bytes(pickled)
    torch.save({"state_dict": {"x": Harmful(str(written))}}, tmp_path / "evil.pth")
    for name in ("evil.pkl", "evil.pth"):
        with pytest.raises(BadInput, match=rf"{name} is refused: it names posix.mkdir"):
            read_tensors(tmp_path / name)
    assert not written.exists()


@pytest.mark.parametrize("name", ["os system", "builtins eval", "numpy.core.multiarray fromfile"])
def test_other_globals_are_refused_by_name(tmp_path: Path, name: str) -> None:
    module, function = name.split()
    module_in_python_2 = module.replace("builtins", "__builtin__")
    (tmp_path / "evil.pkl").write_bytes(f"c{module_in_python_2}\n{function}\n(S'1'\ntR.".encode())
    with pytest.raises(BadInput, match=rf"it names {module}\.{function}"):
        read_tensors(tmp_path / "evil.pkl")


class HistoryBuffer:
    """Pickled as mmengine's: with arrays, and with its own methods by their names."""

    def __init__(self) -> None:
        self.state = np.ones(2), {"min": HistoryBuffer.least}, np.float64(1)

    def least(self) -> float:
        return 0.0


@pytest.mark.parametrize("numpy", [b"numpy._core", b"numpy.core"])
def test_of_what_mmengine_keeps_beside_the_weights_nothing_is_read(tmp_path: Path, numpy: bytes) -> None:
    logs = {"meta": {"cfg": Namespace(lr=0.1)}, "message_hub": {"log_scalars": {"train/lr": HistoryBuffer()}}}
    saved = io.BytesIO()
    torch.save({**logs, "state_dict": {"w": torch.ones(2)}}, saved, _use_new_zipfile_serialization=False)
    assert b"getattr" in saved.getvalue()
    content = saved.getvalue().replace(__name__.encode(), b"mmengine.logging.history_buffer")
    (tmp_path / "epoch_3.pth").write_bytes(content.replace(b"numpy._core", numpy))
    assert read_tensors(tmp_path / "epoch_3.pth")["w"].tolist() == [1, 1]


def test_a_pickle_of_python_2_is_read(tmp_path: Path) -> None:
    """Protocol 2, numpy.core, and bytes as str, as cPickle wrote them."""
    blobs = {"w": np.arange(3, dtype=np.float32), "lr": np.float64(0.5)}
    pickled = pickle.dumps({"blobs": blobs}, protocol=2)
    (tmp_path / "old.pkl").write_bytes(pickled.replace(b"numpy._core", b"numpy.core"))
    state = read_tensors(tmp_path / "old.pkl")
    assert (state["w"].tolist(), state["lr"].item()) == ([0, 1, 2], 0.5)


NET = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
STATE = NET.state_dict()
ARRAYS = {name: x.numpy() for name, x in STATE.items()}
SLOTS = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}  # of an optimizer
LIGHTNING = {"state_dict": STATE, "optimizer_states": [SLOTS], "hyper_parameters": {"path": Path("x")}}


def bytes_of(write: Callable[..., object], *parts: Any, **options: Any) -> bytes:
    """What `write` writes of the parts; it takes the file last, or, if it is numpy's, first."""
    file = io.BytesIO()
    write(*([file, *parts] if write is np.savez else [*parts, file]), **options)
    return file.getvalue()


OF_A_PATH = bytes_of(torch.save, LIGHTNING, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    "content",
    [
        bytes_of(torch.save, {"model": STATE, "optimizer": SLOTS, "epoch": 3}),
        bytes_of(torch.save, {"model_state_dict": STATE, "loss": torch.tensor(1.0)}),
        bytes_of(torch.save, {"model": {"state_dict": STATE}}, _use_new_zipfile_serialization=False),
        bytes_of(torch.save, {"random": torch.ones(9), **LIGHTNING}),
        *(re.sub(rb"pathlib(\._local)?\n", name, OF_A_PATH) for name in (b"pathlib\n", b"pathlib._local\n")),
        bytes_of(torch.save, {f"_orig_mod.{name}": x for name, x in STATE.items()}),
        safetensors.torch.save(STATE),
        pickle.dumps(ARRAYS, protocol=5),
        pickle.dumps({"blobs": {name: x.astype(x.dtype.newbyteorder(">")) for name, x in ARRAYS.items()}}),
    ],
    ids=[
        "model",
        "model_state_dict",
        "nested",
        "Lightning",
        "a path of Python 3.12",
        "a path of Python 3.13",
        "compiled",
        "safetensors",
        "protocol 5",
        "big-endian",
    ],
)
def test_a_net_is_read_from_what_others_save(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net").write_bytes(content)
    state = read_tensors(tmp_path / "net")
    assert state.keys() == STATE.keys()
    assert all(torch.equal(x, STATE[name]) for name, x in state.items())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b'{"weight_map": {}}', "is JSON, such as the index of a checkpoint in several files"),
        (gzip.compress(b"x"), "unpack it"),
        (b"PK\x03\x04cut off", "damaged"),
        (safetensors.torch.save(STATE)[:-1], "damaged.*file not fully covered"),
        (b"404: Not Found", "damaged"),
        (bytes_of(np.savez, w=np.ones(1)), r"a zip archive, but not of torch.save"),
        (bytes_of(torch.save, STATE, pickle_protocol=5), "a pickle of protocol 5"),
        (
            bytes_of(torch.save, [STATE], pickle_protocol=4, _use_new_zipfile_serialization=False),
            "protocol 4",
        ),
        (bytes_of(torch.save, NET), r"it names torch.nn.\S+Sequential, .*save the net's state_dict\(\)"),
        (pickle.dumps(STATE), "it names torch._utils"),
        (bytes_of(torch.save, {"optimizer": SLOTS}), "holds no tensors of a net"),
        (pickle.dumps([1, 2]), "holds no tensors of a net"),
        (pickle.dumps({"w": "text"}), "holds no tensors of a net"),
        (pickle.dumps({**ARRAYS, "w": "text"}), "w: expected an array of numbers, got str"),
        (bytes_of(torch.save, {"a": STATE, "b": {"ema": STATE}}), "holds 2 nets, a, b.ema; keep one"),
        (bytes_of(torch.save, STATE | {"_orig_mod.0.bias": torch.ones(3)}), "has 0.bias twice"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_as_what_it_is(
    tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "bad.pth").write_bytes(content)
    with pytest.raises(BadInput, match=rf"(?s)^[^\n]*bad\.pth[^\n]*{words}[^\n]*$"):
        read_tensors(tmp_path / "bad.pth")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
def test_a_program_of_torchscript_is_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(NET), tmp_path / "net.pt")
    with pytest.raises(
        BadInput, match=r"net\.pt .*TorchScript archive.*torch\.jit\.load\(FILE\)\.state_dict\(\)"
    ):
        read_tensors(tmp_path / "net.pt")


# Shipped nets, and ImageNet's


@pytest.fixture
def own(tmp_path: Path) -> Profile:
    """The mini profile with a short pretraining, and a copy of its ResNet-50 in a folder of one's own."""
    profile: Any = load_profile("mini")
    short = replace(profile.pretraining, steps=2, batch=4, stills=50)
    (tmp_path / "nets").mkdir()
    for file in (net_path("cards", 50), note_path(net_path("cards", 50))):
        shutil.copy(file, tmp_path / f"nets/r50{file.suffix}")
    return replace(profile, pretrained=str(tmp_path / "nets"), pretraining=short)


@pytest.mark.parametrize(("name", "start"), [("mini", "cards"), ("smoke", "cards"), ("coco-smoke", "mini")])
@pytest.mark.parametrize("depth", DEPTHS)
def test_shipped_nets_fit_and_are_above_their_bar(name: str, start: str, depth: Depth) -> None:
    profile = load_profile(name)
    state, file = pretrained(depth, profile)
    assert all(x.dtype != torch.float16 for x in state.values())
    assert file.startswith(f"{start}-r{depth}.pt (sha256 ")
    assert profile.pretraining
    assert read_note(net_path(start, depth))["percent"]["stills"] >= profile.pretraining.bar


def test_runs_start_from_a_net_that_is_above_its_bar_and_no_other_is_written(own: Any) -> None:
    path = net_path(own.pretrained, 50)
    before = path.read_bytes()
    with pytest.raises(BadInput, match=r"its bar is 90\.0 %"):
        pretrain(50, own, path)
    assert path.read_bytes() == before
    easy = replace(own, pretraining=replace(own.pretraining, bar=0.0))
    pretrain(50, easy, path)
    assert pretrained(50, easy)[0].keys() == read_tensors(net_path("cards", 50)).keys()


def test_the_digest_is_that_of_the_note(own: Profile) -> None:
    note_path(net_path(own.pretrained, 50)).write_text('{"sha256": "0123", "settings": {}}')
    assert pretrained_digest(own, 50) == "0123"
    assert pretrained_digest(load_profile("paper"), 50) == "imagenet"


def test_a_net_that_is_missing_changed_or_of_other_settings_is_named(own: Profile) -> None:
    wide = replace(own, geometry=replace(own.geometry, width=16))
    with pytest.raises(BadInput, match=r"net\.width is 8, the profile has 16; `pretrain` makes one"):
        pretrained(50, wide)
    with pytest.raises(BadInput, match=r"no pretrained net .*r101.pt; "):
        pretrained(101, own)
    net_path(own.pretrained, 50).write_bytes(b"changed")
    with pytest.raises(BadInput, match="is not the file that its note is of"):
        pretrained(50, own)
    real = replace(load_profile("paper"), pretrained="cards")
    with pytest.raises(BadInput, match=r"the profile paper has no \[pretraining\] and \[generator\]"):
        pretrained(50, real)


@pytest.mark.parametrize("content", ["", "[]", '{"sha256": "1"}', "\x00"])
def test_a_damaged_note_is_named(own: Profile, content: str) -> None:
    note_path(net_path(own.pretrained, 50)).write_text(content)
    with pytest.raises(BadInput, match=r"the note .*r50.json is damaged"):
        pretrained(50, own)


@pytest.fixture
def still(smoke: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """The smoke profile's small nets, to start from files as torchvision has them; its cache is empty."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return replace(smoke, pretrained="imagenet")


def imagenet_state(profile: Profile, depth: Depth) -> State:
    return VideoResNet(NetSpec(depth=depth), profile.geometry, 1000).state_dict()


def test_the_imagenet_file_of_the_depth_is_taken(still: Profile, tmp_path: Path) -> None:
    """A ResNet-101 has all tensors of a ResNet-50, in the same shapes."""
    files = tmp_path / "r101.pth", tmp_path / "r50.pth"
    for file, depth in zip(files, (101, 50), strict=True):
        torch.save(imagenet_state(still, depth), file)
    for depth, file in ((50, files[1]), (101, files[0])):
        state, start = pretrained(depth, still, files)
        given = torch.load(file, weights_only=True)
        assert start.startswith(f"{file.name} (sha256 ")
        assert all(torch.equal(x, given[name]) for name, x in state.items())
        assert set(given) - set(state) == {name for name in given if name.endswith("num_batches_tracked")}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda good: good.pop("layer1.0.conv1.weight"), "lacks layer1.0.conv1.weight"),
        (lambda good: good.update({"fc.bias": torch.zeros(3)}), "has fc.bias of shape .3,., expected .1000"),
        (lambda good: good.update(stray=torch.zeros(1)), "has stray, for which the net has no place"),
    ],
)
def test_imagenet_files_of_other_nets_are_refused(
    still: Profile, tmp_path: Path, change: Callable[[State], object], words: str
) -> None:
    path, state = tmp_path / "given.pth", imagenet_state(still, 50)
    change(state)
    torch.save(state, path)
    url = "no ImageNet weights of resnet50: download https.*0676ba61.pth"
    with pytest.raises(BadInput, match=rf"{url}.*; {path} {words}"):
        pretrained(50, still, (path,))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("fc.bias", lambda x: x / 0, "with values that are no finite numbers"),
        ("bn1.running_var", torch.neg, "with variances below 0"),
        ("fc.bias", torch.Tensor.int, "of torch.int32, expected floating-point"),
        ("fc.weight", torch.Tensor.to_sparse, "as a sparse tensor or without values"),
        ("fc.weight", lambda x: x.to("meta"), "as a sparse tensor or without values"),
        (
            "fc.weight",
            lambda x: (x * torch.nan).to(torch.float8_e4m3fn),
            "with values that are no finite numbers",
        ),
    ],
)
def test_numbers_of_no_working_net_are_named(
    still: Profile, tmp_path: Path, name: str, change: Callable[[Tensor], Tensor], words: str
) -> None:
    path, state = tmp_path / "given.pth", imagenet_state(still, 50)
    torch.save(state | {name: change(state[name])}, path)
    with pytest.raises(BadInput, match=rf"^{path} has {name} {words}"):
        pretrained(50, still, (path,))


@pytest.mark.parametrize("prefix", ["", "_orig_mod.module.", "module._orig_mod.", "net.", "encoder.body."])
def test_what_stands_before_all_names_is_taken_off(still: Profile, tmp_path: Path, prefix: str) -> None:
    path, state = tmp_path / "given", imagenet_state(still, 50)
    named = {prefix + name: x for name, x in state.items()}
    path.write_bytes(
        safetensors.torch.save(named | {f"loss.{prefix}weight": torch.ones(1)} if prefix else named)
    )
    read, _ = pretrained(50, still, (path,))
    net = VideoResNet(NetSpec(), still.geometry, 1000)
    assert start_from_file(net, path) == []
    for name, x in net.state_dict().items():
        assert torch.equal(x, state[name])
        assert name.endswith("num_batches_tracked") or torch.equal(x, read[name])


def test_a_file_of_two_nets_or_of_none_is_named(still: Profile, tmp_path: Path) -> None:
    path, net, state = (
        tmp_path / "given",
        VideoResNet(NetSpec(), still.geometry, 9),
        imagenet_state(still, 50),
    )
    torch.save(
        {f"{prefix}{name}": x for prefix in ("net.", "ema.module.") for name, x in state.items()}, path
    )
    with pytest.raises(BadInput, match=r"given has two nets, net\.\* and ema\.module\.\*; keep one"):
        start_from_file(net, path)
    torch.save({"conv1.bias": torch.ones(1)}, path)
    with pytest.raises(BadInput, match=r"given do not fit: conv1\.weight: .* the parent lacks it"):
        start_from_file(net, path)


# From one net to another


@pytest.mark.parametrize("conv", ["3x1x1", "3x3x3"])
def test_an_inflated_net_of_a_repeated_frame_is_the_2d_net_in_the_middle(
    tiny_net: Geometry, conv: Conv
) -> None:
    """Zeros beyond the borders reach 2 frames (conv1), 1 (pool1), 1 for each of 9 blocks and 1 (pool2)."""
    features: list[Tensor] = []
    clip = torch.randn(1, 3, 1, 16, 16, dtype=torch.float64).expand(-1, -1, 27, -1, -1)
    nets = VideoResNet(NetSpec(), tiny_net, 7), VideoResNet(NetSpec(conv=conv), tiny_net, 7)
    for module in nets[0].modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias, -0.5, 0.5)
    assert start_from(nets[1], nets[0].state_dict()) == []
    with torch.no_grad():
        for net in nets:
            *_, last = net.layer4.children()
            last.register_forward_hook(lambda module, inputs, output: features.append(output))
            net.double().eval()(clip)
    flat, deep = features
    assert flat[13].abs().max() > 0.01
    torch.testing.assert_close(deep[13], flat[13], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(deep[0], flat[0], rtol=1e-2)


FC = ["fc.weight", "fc.bias"]


@pytest.mark.parametrize(("classes", "classifier", "kept"), [(12, True, FC), (7, False, FC), (7, True, [])])
def test_a_parents_file_gives_all_but_an_fc_of_other_classes(
    tiny_net: Geometry, tmp_path: Path, classes: int, classifier: bool, kept: list[str]
) -> None:
    spec, path = NetSpec(blocks="5-block", form="concatenation"), tmp_path / "parent.pt"
    parent, child = VideoResNet(spec, tiny_net, classes).state_dict(), VideoResNet(spec, tiny_net, 7)
    torch.save(parent, path)
    before = child.fc.weight.clone()
    assert start_from_file(child, path, classifier=classifier) == kept
    assert torch.equal(child.fc.weight, before) == bool(kept)
    assert all(name in kept or torch.equal(x, parent[name]) for name, x in child.state_dict().items())


@pytest.mark.parametrize(("conv", "shape"), [("2d", "(4, 3, 3, 3)"), ("3x1x1", "(4, 3, 5, 3, 3)")])
def test_a_misfit_names_the_file_the_tensor_and_both_shapes(
    tiny_net: Geometry, tmp_path: Path, conv: Conv, shape: str
) -> None:
    parent = VideoResNet(NetSpec(), replace(tiny_net, width=8), 7)
    torch.save(parent.state_dict(), tmp_path / "parent.pt")
    message = f"conv1.weight: expected the shape {shape}, the parent has (8, 3, 3, 3)"
    with pytest.raises(BadInput, match=rf"parent\.pt do not fit: {re.escape(message)}"):
        start_from_file(VideoResNet(NetSpec(conv=conv), tiny_net, 7), tmp_path / "parent.pt")
