"""Released files by their names: each line of released_checkpoints.csv is imported, and what contradicts a name is refused."""

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import evaluation
from released_files import narrow

from ablations.__main__ import main
from ablations.registry import TABLES
from nlrepro.config import Profile
from nlrepro.files import BadInput
from nlrepro.nets.reading import tensors
from nlrepro.released.importing import import_weights
from nlrepro.released.known import Released, known, released, variant_of
from nlrepro.released.names import SOURCES, Source
from nlrepro.report.released import stated
from nlrepro.spec import NetSpec, RunSpec

NL = RunSpec(net=NetSpec(conv="3x1x1", blocks="5-block"))
DOT = next(each for each in released() if "dot-product" in each.file)


@pytest.mark.parametrize("line", released(), ids=lambda line: line.file)
def test_every_released_file_is_imported_by_its_name(line: Released, real: Profile, tmp_path: Path) -> None:
    spec = TABLES.spec(line.key)
    torch.save(narrow(line.source, spec, real, line.variant), tmp_path / line.file)
    note = import_weights(tmp_path / line.file, line.source, spec, real, tmp_path / "net.pt")
    assert (note.source, note.variant, note.key) == (line.source, line.variant, line.key)
    assert 50 < line.top1 < line.top5 < 100


def test_all_sources_and_the_papers_numbers_are_among_them() -> None:
    assert {line.source for line in released()} == {*SOURCES} - {"torchvision"}
    assert len({line.file for line in released()}) == len(released())
    assert [line.top1 for line in released() if line.source == "caffe2"][:6] == [72.0, 73.9, 73.6, 74.9, 75.2, 76.5]


@pytest.mark.parametrize(
    "file", [DOT.file, DOT.file.replace("_20220812-8e1f2148", ""), DOT.file.replace(".pth", " (1).pth"), DOT.file[:-4]]
)
def test_a_file_is_known_without_its_digest_or_with_a_browsers_number(file: str) -> None:
    assert known(file) == DOT


REFUSED: list[tuple[str, Source, RunSpec, str | None, str]] = [
    (DOT.file, "mmaction2", NL, None, "wants --key r50-i3d-3x1x1-nl-5-block-dot-spacetime, got r50-i3d-3x1x1-nl-5-block-emb"),
    (DOT.file, "pyslowfast", NL, None, "wants --source mmaction2, got pyslowfast"),
    (DOT.file, "mmaction2", TABLES.spec(DOT.key), "8x8", "wants --variant 32x2, got 8x8"),
    ("mine-nl-dot-product-32x2.pth", "mmaction2", NL, None, "has the form dot, .* give --key r50-i3d-3x1x1-nl-5-block-dot-"),
    ("mine_gaussian_32x2.pth", "mmaction2", NL, None, "has the form gaussian"),
    ("mine_8x8.pkl", "caffe2", NL, "32x2", "wants --variant 8x8, got 32x2"),
    ("i3d_imagenet-pretrained-r50_8xb8-dense-32x2x1-100e_kinetics400-rgb.pth", "mmaction2", NL, None, "dense sampling"),
    ("i3d_imagenet-pretrained-r50-heavy_8xb8-32x2x1-100e_kinetics400-rgb.pth", "mmaction2", NL, None, "heavy I3D"),
    ("SLOWONLY_8x8_R50.pkl", "pyslowfast", NL, None, "Slow or SlowFast"),
    ("SLOW_8x8_R50.pkl", "pyslowfast", NL, None, "Slow or SlowFast"),
    ("x3d_m.pyth", "pyslowfast", NL, None, "another kind of net"),
    ("net.pkl", "caffe2", NL, None, "say --variant, one of 32x2, 128x1, 8x8, 32x4"),
    ("c2_model_iter400000.pkl", "caffe2", NL, None, "say --variant"),
    ("i3d_64x2.pkl", "caffe2", NL, None, "say --variant"),
    ("mine_8xb8.pkl", "caffe2", NL, None, "say --variant"),
]


@pytest.mark.parametrize(("file", "source", "spec", "variant", "words"), REFUSED)
def test_what_contradicts_a_files_name_is_refused(
    file: str, source: Source, spec: RunSpec, variant: str | None, words: str
) -> None:
    with pytest.raises(BadInput, match=words) as refusal:
        variant_of(file, source, spec, variant)
    assert file in str(refusal.value)


@pytest.mark.parametrize(
    ("file", "source", "variant"),
    [
        ("pyslowfast_i3d_8x8.pyth", "pyslowfast", "8x8"),
        ("mine_embedded_gaussian_32x2.pth", "mmaction2", "32x2"),
        ("C2D_nopool_8x8.pkl", "pyslowfast", "8x8-nopool"),
    ],
)
def test_a_name_of_ones_own_tells_its_variant(file: str, source: Source, variant: str) -> None:
    assert variant_of(file, source, NL, None) == variant
    assert variant_of("net.pth", source, NL, variant) == variant


def test_a_known_file_needs_neither_source_nor_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["weights", "import", "--out", str(tmp_path / "net.pt")]
    assert main([*words, str(tmp_path / "mine_8x8.pth")]) == 2
    assert "mine_8x8.pth is not the name of a released file; say --source, one of caffe2, " in capsys.readouterr().err
    assert main([*words, str(tmp_path / "SLOWFAST_8x8_R50.pkl")]) == 2
    assert "SLOWFAST_8x8_R50.pkl, by its name, is a Slow or SlowFast net" in capsys.readouterr().err
    assert main([*words, str(tmp_path / DOT.file)]) == 2
    assert f"cannot read {tmp_path / DOT.file}" in capsys.readouterr().err


def test_any_net_of_the_spec_is_a_key_and_a_wrong_one_is_told_the_nearest() -> None:
    assert TABLES.spec("r101-i3d-3x3x3-nl-res3-dot-time-long").net.form == "dot"
    with pytest.raises(BadInput, match=r"unknown run key 'nonsense'; .* the nearest are (r\S+, ){2}r\S+"):
        TABLES.spec("nonsense")
    with pytest.raises(BadInput, match=r"nearest are .*r50-i3d-3x1x1-nl-5-block-dot-spacetime"):
        TABLES.spec("r50-i3d-nl-5-block-dot-spacetime")


def spoiled(tmp_path: Path, real: Profile, name: str, value: float) -> Path:
    blobs = narrow("pyslowfast", NL, real, "8x8")
    blobs[name].view(-1)[0] = value
    torch.save(blobs, tmp_path / "mine_8x8.pyth")
    return tmp_path / "mine_8x8.pyth"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("s1.pathway0_stem.conv.weight", float("nan"), "no finite numbers"),
        ("head.projection.bias", float("inf"), "no finite numbers"),
        ("s1.pathway0_stem.bn.running_var", -1e-3, "variances below 0"),
    ],
)
def test_values_of_no_working_net_are_refused(tmp_path: Path, real: Profile, name: str, value: float, words: str) -> None:
    with pytest.raises(BadInput, match=rf"mine_8x8.pyth: {re.escape(name)} has .*{words}"):
        import_weights(spoiled(tmp_path, real, name, value), "pyslowfast", NL, real, tmp_path / "net.pt")
    assert not (tmp_path / "net.pt").exists()


@pytest.mark.parametrize("prefix", ["module.", "gpu_0/", "model.", "module.model."])
def test_what_training_on_several_devices_puts_before_names_is_taken_off(tmp_path: Path, real: Profile, prefix: str) -> None:
    blobs = narrow("pyslowfast", NL, real, "8x8")
    torch.save({prefix + name: blob for name, blob in blobs.items()}, tmp_path / "mine_8x8.pyth")
    assert import_weights(tmp_path / "mine_8x8.pyth", "pyslowfast", NL, real, tmp_path / "net.pt").left == ()
    torch.save(blobs | {f"{prefix}head.projection.bias": torch.ones(1)}, tmp_path / "mine_8x8.pyth")
    with pytest.raises(BadInput, match=f"has both {prefix}head.projection.bias and head"):
        import_weights(tmp_path / "mine_8x8.pyth", "pyslowfast", NL, real, tmp_path / "net.pt")


def test_another_source_and_another_number_of_classes_say_what_to_do(tmp_path: Path, real: Profile) -> None:
    blobs = narrow("pyslowfast", NL, real, "8x8")
    torch.save(blobs, tmp_path / "mine_8x8.pyth")
    with pytest.raises(BadInput, match=r"mine_8x8.pyth are those of pyslowfast, not of caffe2; give --source pyslowfast"):
        import_weights(tmp_path / "mine_8x8.pyth", "caffe2", NL, real, tmp_path / "net.pt")
    torch.save(blobs | {"head.projection.weight": torch.ones(9, 64)}, tmp_path / "mine_8x8.pyth")
    with pytest.raises(BadInput, match=r"tells 9 classes apart, the profile \d+.*with classes = 9"):
        import_weights(tmp_path / "mine_8x8.pyth", "pyslowfast", NL, real, tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty; download it again"),
        (b"<!DOCTYPE html><html>not found</html>", "it is a web page"),
        (b"\n<?xml version='1.0'?><Error>AccessDenied</Error>", "it is a web page"),
        (b"\x1f\x8b\x08", "it is compressed"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is Git LFS's pointer"),
        (bytes(257) + b"ustar" + bytes(250), "it is a tar archive"),
    ],
)
@pytest.mark.parametrize("ending", ["pkl", "pyth", "pth"])
def test_what_is_no_file_of_weights_is_named(tmp_path: Path, content: bytes, words: str, ending: str) -> None:
    (tmp_path / f"net.{ending}").write_bytes(content)
    with pytest.raises(BadInput, match=f"net.{ending} is no file of weights: {words}"):
        tensors(tmp_path / f"net.{ending}")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("new", [True, False])
def test_a_file_of_torch_that_was_cut_off_is_named(tmp_path: Path, part: float, new: bool) -> None:
    path = tmp_path / "net.pth"
    torch.save({"w": torch.ones(1000)}, path, _use_new_zipfile_serialization=new)
    assert zipfile.is_zipfile(path) is new
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(
        BadInput, match=r"net.pth is refused by .* it is damaged, cut off, or no such file; get it from its source"
    ):
        tensors(path)


def test_what_its_source_states_stands_beside_what_was_found(real: Profile) -> None:
    found = evaluation(NL, real, "32x2", "0001")
    assert stated(found) == ""
    genuine = replace(found, weights=replace(found.weights, file=DOT.file))
    assert "its source states top-1 74.8 %, top-5 92.1 %, on Kinetics-400" in stated(genuine)
